"""Batches: what they hold, and that nothing but (seed, epoch) decides them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_leaves

from vedette.data.loader import Batch, DetectionDataset, eval_loader, train_loader
from vedette.data.sampler import Draw, EpochSampler, group_batches, repeat_factors, shape_groups
from vedette.data.transforms import eval_transform
from vedette.errors import InputError
from vedette.structures import InputSpec

SPEC = InputSpec(size=32)
PADDED = InputSpec(size=20, resize="short side", max_side=60, divisor=16)


class Pictures:
    """A data set in memory: gradients of 40 x 20, image i with i % 3 boxes."""

    def __init__(self, length: int = 10, size: tuple[int, int] = (40, 20), broken: int | None = None) -> None:
        self.length, self.annotated, self.broken = length, size, broken

    def __len__(self) -> int:
        return self.length

    def file(self, index: int) -> Path:
        return Path(f"images/{index}.jpg")

    def size(self, index: int) -> tuple[int, int]:
        return self.annotated

    def boxes(self, index: int) -> Tensor:
        return torch.tensor([[0.0, 0, 20, 20], [10, 5, 30, 15]])[: index % 3]

    def labels(self, index: int) -> Tensor:
        return torch.tensor([index, 1])[: index % 3]

    def difficult(self, index: int) -> Tensor:
        return torch.tensor([True, False])[: index % 3]

    def crowd(self, index: int) -> Tensor:
        return torch.tensor([False, True])[: index % 3]

    def image(self, index: int) -> Image.Image:
        if index == self.broken:
            raise InputError(f"{self.file(index)}: truncated image; remove it or copy it again")
        return Image.linear_gradient("L").rotate(index).resize((40, 20)).convert("RGB")


def assert_same(first: Sequence[Batch], second: Sequence[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.images, other.images)
        assert one.indices == other.indices
        for a, b in zip(one.targets, other.targets, strict=True):
            assert torch.equal(a.boxes, b.boxes)
            assert torch.equal(a.labels, b.labels)


def epoch(loader: object, number: int) -> list[Batch]:
    loader.sampler.set_epoch(number)
    return list(loader)


def test_a_batch_holds_images_and_their_targets() -> None:
    (batch,) = eval_loader(Pictures(3), SPEC, batch_size=4, workers=0)
    assert batch.images.shape == (3, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous()
    assert next(iter(train_loader(Pictures(3), SPEC, 4, workers=0))).images.is_contiguous()
    assert batch.indices == [0, 1, 2]
    assert batch.files == [str(Path(f"images/{index}.jpg")) for index in range(3)]
    assert batch.sizes.tolist() == [[40, 20]] * 3
    assert [target.boxes.tolist() for target in batch.targets] == [
        [],
        [[0, 0, 16, 32]],
        [[0, 0, 16, 32], [8, 8, 24, 24]],
    ]
    assert type(batch.targets[2].boxes) is Tensor
    assert batch.targets[2].labels.tolist() == [2, 1]


class Shapes(Pictures):
    """Pictures of the given sizes, one white box of 10 x 5 at 4, 2 on each."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        super().__init__(len(sizes))
        self.sizes = sizes

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index]

    def boxes(self, index: int) -> Tensor:
        return torch.tensor([[4.0, 2, 14, 7]])

    def labels(self, index: int) -> Tensor:
        return torch.tensor([0])

    def difficult(self, index: int) -> Tensor:
        return torch.tensor([False])

    crowd = difficult

    def image(self, index: int) -> Image.Image:
        image = Image.new("RGB", self.sizes[index])
        image.paste("white", (4, 2, 14, 7))
        return image


def test_a_picture_of_one_column_is_mirrored_too() -> None:
    """numpy calls such a one contiguous whichever way it runs."""
    spec = InputSpec(size=1, resize="short side", max_side=60)
    samples = train_loader(Shapes((1, 40)), spec, 1, workers=0).dataset
    assert {tuple(samples[Draw(0, seed)].image.shape) for seed in range(20)} == {(3, 40, 1)}


def test_some_images_in_the_order_of_their_indices() -> None:
    batches = eval_loader(Pictures(5), SPEC, batch_size=2, workers=0, indices=[3, 0, 4])
    assert [batch.indices for batch in batches] == [[3, 0], [4]]


def test_what_a_gpu_fetches_of_a_batch_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[Tensor] = []

    def pin(tensor: Tensor) -> Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    (batch,) = eval_loader(Pictures(3), SPEC, batch_size=3, workers=0, proposals=lambda index: torch.ones(index, 4))
    monkeypatch.setattr(Tensor, "pin_memory", pin)
    found = batch.pin_memory()
    parts = [found.images, found.shapes, *found.truth, *(found.proposals or [])]
    assert len(parts) == len(pinned) == 10
    assert all(any(part is one for one in pinned) for part in parts)
    assert_same([batch], [found])
    assert found.files == batch.files


def test_few_tensors_cross_from_a_worker() -> None:
    """Each costs the process that trains a fraction of a millisecond: with three of every image a GPU waits."""
    (batch,) = eval_loader(Pictures(12), SPEC, batch_size=12, workers=0)
    crossing = [value for value in tree_leaves(list(vars(batch).values())) if isinstance(value, Tensor)]
    assert len(crossing) <= 8


def test_images_of_several_shapes_are_padded_to_one() -> None:
    """20 x 10 becomes 40 x 20, 30 x 41 becomes 20 x 27, 100 x 10 meets the longest side: 60 x 6."""
    (batch,) = eval_loader(Shapes((20, 10), (30, 41), (100, 10)), PADDED, batch_size=4, workers=0)
    assert batch.images.shape == (3, 3, 32, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.shapes.tolist() == [[20, 40], [27, 20], [6, 60]]
    assert batch.sizes.tolist() == [[20, 10], [30, 41], [100, 10]]
    for image, (height, width) in zip(batch.images, batch.shapes.tolist(), strict=True):
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()
    boxes = torch.cat([target.boxes for target in batch.targets])
    expected = [[8.0, 4, 28, 14], [8 / 3, 2 * 27 / 41, 28 / 3, 7 * 27 / 41], [2.4, 1.2, 8.4, 4.2]]
    torch.testing.assert_close(boxes, torch.tensor(expected))
    back = boxes * (batch.sizes / batch.shapes.flip(1)).repeat(1, 2)
    torch.testing.assert_close(back, torch.tensor([[4.0, 2, 14, 7]]).expand(3, 4))


def test_images_that_are_warped_are_not_padded() -> None:
    spec = InputSpec(size=36, divisor=32)  # as a training that begins with smaller images may have it
    (batch,) = eval_loader(Pictures(3), spec, batch_size=4, workers=0)
    assert batch.images.shape == (3, 3, 36, 36)
    assert batch.shapes.tolist() == [[36, 36]] * 3
    assert batch.proposals is None


def test_proposals_go_the_way_of_the_boxes() -> None:
    """Annotated in a frame twice as large; half of the images are mirrored, boxes and proposals with them."""
    pictures, mirrored = Shapes(*[(20, 10)] * 40), 0
    pictures.size = lambda index: (40, 20)
    proposals = lambda index: torch.tensor([[4, 2, 14, 7], [50, 0, 60, 9], [-4, 0, 60, 20]])[: 3 * (index != 5)]  # noqa: E731
    for batch in epoch(train_loader(pictures, PADDED, 8, workers=2, proposals=proposals), 0):
        for index, target, given in zip(batch.indices, batch.targets, batch.proposals, strict=True):
            flip = target.boxes.tolist() == [[26, 2, 36, 7]]
            assert flip or target.boxes.tolist() == [[4, 2, 14, 7]]
            rows = [target.boxes[0].tolist(), [0, 0, 0, 9] if flip else [40, 0, 40, 9], [0, 0, 40, 20]]
            assert given.tolist() == rows[: 3 * (index != 5)]
            assert given.shape[1] == 4
            mirrored += flip
    assert 5 < mirrored < 35


def test_difficult_objects_are_ignored_or_trained_on_but_crowds_ignored() -> None:
    for difficult, expected in [("ignore", [True, True]), ("train", [False, True])]:
        samples = DetectionDataset(Pictures(), eval_transform(SPEC), difficult)
        assert samples[2].target.ignore.tolist() == expected


def test_boxes_annotated_for_another_size_are_scaled() -> None:
    sample = DetectionDataset(Pictures(size=(80, 60)), eval_transform(SPEC))[2]
    assert sample.target.boxes[0].tolist() == pytest.approx([0, 0, 8, 32 / 3])
    assert sample.size == (80, 60)


def test_without_an_annotated_size_the_image_tells() -> None:
    sample = DetectionDataset(Pictures(size=(0, 0)), eval_transform(SPEC))[2]
    assert sample.size == (40, 20)
    assert sample.target.boxes[0].tolist() == [0, 0, 16, 32]


def test_boxes_beyond_the_image_are_cut_before_they_are_moved() -> None:
    pictures, given, warp = Pictures(), [], eval_transform(SPEC)
    pictures.boxes = lambda index: torch.tensor([[-10.0, 5, 50, 25], [45, 0, 60, 9]])
    sample = DetectionDataset(pictures, lambda image, found, r: given.append(found) or warp(image, found, r))[2]
    assert given[0].boxes.tolist() == [[0, 5, 40, 20], [40, 0, 40, 9]]
    assert sample.target.boxes.tolist() == [[0, 8, 32, 32]]  # the other has no area left


def test_workers_change_nothing() -> None:
    alone, pair = (train_loader(Pictures(), SPEC, 3, workers=workers, seed=7) for workers in (0, 2))
    for number in (0, 1):
        assert_same(epoch(alone, number), epoch(pair, number))


def test_an_epoch_can_be_had_again() -> None:
    loader = train_loader(Pictures(), SPEC, 3, workers=0, seed=7)
    first, second = epoch(loader, 4), epoch(loader, 5)
    assert_same(first, epoch(train_loader(Pictures(), SPEC, 3, workers=0, seed=7), 4))
    for other in (second, epoch(train_loader(Pictures(), SPEC, 3, workers=0, seed=8), 4)):
        assert [batch.indices for batch in first] != [batch.indices for batch in other]


def test_zoom_out_can_be_switched_off() -> None:
    pictures = Pictures(40)
    pictures.image = lambda index: Image.new("RGB", (40, 20))
    for largest, filled in [(1.0, False), (4.0, True)]:
        batches = epoch(train_loader(pictures, SPEC, 8, workers=0, max_zoom_out=largest), 0)
        corners = torch.cat([batch.images[:, :, :: SPEC.size - 1, :: SPEC.size - 1] for batch in batches])
        assert bool((corners == 127).all(1).any()) is filled  # a black picture is never as light as the fill


def test_an_image_is_augmented_anew_each_epoch() -> None:
    seeds = []
    for number in range(3):
        sampler = EpochSampler(torch.ones(10), seed=0)
        sampler.set_epoch(number)
        seeds.append({draw.index: draw.seed for draw in sampler})
    assert all(one[index] != other[index] for one, other in pairwise(seeds) for index in range(10))


def test_the_random_numbers_of_the_process_are_left_alone() -> None:
    loader = train_loader(Pictures(), SPEC, 3, workers=0)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    samples = [loader.dataset[Draw(2, seed)] for seed in (1, 2)]
    assert torch.equal(torch.rand(4), expected)
    assert not torch.equal(samples[0].image, samples[1].image)


def test_a_last_batch_is_left_out_unless_it_is_the_only_one() -> None:
    lengths = {length: len(train_loader(Pictures(length), SPEC, 4, workers=0)) for length in (3, 4, 5, 8, 11)}
    assert lengths == {3: 1, 4: 1, 5: 1, 8: 2, 11: 2}
    assert len(eval_loader(Pictures(11), SPEC, 4, workers=0)) == 3
    assert [len(batch.files) for batch in train_loader(Pictures(3), SPEC, 4, workers=0)] == [3]


def test_processes_share_an_epoch() -> None:
    shares = [[draw.index for draw in EpochSampler(torch.ones(10), 0, rank, world=3)] for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    assert {index for share in shares for index in share} == set(range(10))
    assert len(EpochSampler(torch.ones(10), 0, 1, world=3)) == 4
    assert sorted(draw.index for draw in EpochSampler(torch.ones(10), 0)) == list(range(10))


def test_an_image_comes_as_often_as_its_factor_says() -> None:
    factors = torch.tensor([1.0, 1.5, 1.0, 2.25, 1.0])
    sampler = EpochSampler(factors, seed=0)
    assert len(sampler) == 7  # 6.75
    counts = torch.zeros(400, 5)
    seeds = set()
    for number in range(400):
        sampler.set_epoch(number)
        drawn = list(sampler)
        assert len(drawn) == 7
        seeds |= {draw.seed for draw in drawn}
        for draw in drawn:
            counts[number, draw.index] += 1
    assert counts.min() == 1
    assert counts.max(0).values.tolist() == [2, 2, 2, 3, 2]  # 7 marks on 6.75: now and then one more than the ceiling
    assert (counts.mean(0) - factors * 7 / 6.75).abs().max() < 0.08
    assert len(seeds) > 2700  # an image that comes twice is augmented in two ways


def in_order(batches: Tensor) -> list[list[int]]:
    return sorted(row.tolist() for row in batches)


def test_groups_fill_batches_by_hand() -> None:
    groups = torch.tensor([0, 1, 0, 1, 0, 0, 1])
    order = group_batches(groups, 2, torch.Generator().manual_seed(0))
    assert in_order(order[:6].view(3, 2)) == [[0, 2], [1, 3], [4, 5]]
    assert order[6:].tolist() == [6]  # beyond the last whole batch, as it would be without groups
    order = group_batches(torch.tensor([0, 1, 0, 0]), 2, torch.Generator().manual_seed(0))
    assert in_order(order.view(2, 2)) == [[0, 2], [1, 3]]  # one of each is left
    assert group_batches(torch.tensor([0, 1]), 3, torch.Generator()).tolist() == [0, 1]
    assert group_batches(torch.tensor([], dtype=torch.int64), 3, torch.Generator()).tolist() == []
    firsts = {int(group_batches(groups, 2, torch.Generator().manual_seed(seed))[0]) for seed in range(30)}
    assert firsts == {0, 1, 4}  # which batch comes first is a matter of chance


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("factors", [torch.ones(24), torch.linspace(0.5, 2.5, 24)])
def test_grouping_leaves_an_epoch_its_images_and_its_number_of_steps(world: int, factors: Tensor) -> None:
    groups = (torch.arange(24) % 3 == 0).long()
    for number in (0, 5):
        draws, plain = ([], []), []
        for rank in range(world):
            for found in draws:
                sampler = EpochSampler(factors, 7, rank, world, groups, batch_size=2)
                sampler.set_epoch(number)
                found.append(list(sampler))
            sampler = EpochSampler(factors, 7, rank, world)
            sampler.set_epoch(number)
            plain.append(list(sampler))
        assert draws[0] == draws[1]
        assert [len(own) for own in draws[0]] == [len(own) for own in plain] == [len(sampler)] * world
        grouped, expected = steps_of(draws[0], 2 * world), steps_of(plain, 2 * world)
        whole = len(sampler) * world // (2 * world)
        everything = [
            sorted((draw for step in steps[:whole] for draw in step), key=repr) for steps in (grouped, expected)
        ]
        assert everything[0] == everything[1]
        assert grouped[whole:] == expected[whole:]
        mixed = [len({int(groups[draw.index]) for draw in step}) - 1 for step in grouped[:whole]]
        assert sum(mixed) <= 1


def steps_of(draws: list[list[Draw]], size: int) -> list[list[Draw]]:
    """What the processes see in a step together, in the order of the whole batch."""
    together = [draw for own in zip(*draws, strict=True) for draw in own]
    return [together[at : at + size] for at in range(0, len(together), size)]


@pytest.mark.parametrize("groups", [None, (torch.arange(24) % 3 == 0).long()])
def test_which_images_make_a_step_does_not_depend_on_the_processes(groups: Tensor | None) -> None:
    steps = []
    for world in (1, 2, 3):
        samplers = [EpochSampler(torch.ones(24), 7, rank, world, groups, 6 // world) for rank in range(world)]
        steps.append(steps_of([list(sampler) for sampler in samplers], 6))
    assert steps[0] == steps[1] == steps[2]


def test_an_image_alone_in_its_group_is_seen() -> None:
    """101 images in pairs: one is left out of an epoch by chance, and it is not always the only high one."""
    groups, seen = (torch.arange(101) == 50).long(), 0
    for number in range(20):
        sampler = EpochSampler(torch.ones(101), 0, groups=groups, batch_size=2)
        sampler.set_epoch(number)
        seen += any(draw.index == 50 for draw in list(sampler)[:100])
    assert seen >= 19


def test_wide_and_high_images_are_groups() -> None:
    assert shape_groups(Shapes((30, 20), (20, 30), (20, 20), (0, 0))).tolist() == [0, 1, 0, 0]  # 0, 0: not known
    assert shape_groups(Shapes()).shape == (0,)
    assert train_loader(Pictures(3), SPEC, 2, workers=0).sampler.groups is None


def padding(loader: object) -> float:
    """Share of a loader's pixels that are no image."""
    batches = list(loader)
    pixels = sum(batch.images[:, 0].numel() for batch in batches)
    return 1 - sum(int(batch.shapes.prod(1).sum()) for batch in batches) / pixels


def test_batches_of_one_shape_save_padding() -> None:
    """60 x 40 and 40 x 60 in turn: both in a batch of 60 x 60 are a third padding, each kind alone none."""
    spec = InputSpec(size=40, resize="short side", divisor=10)
    even, odd = Shapes(*[(60, 40), (40, 60)] * 4), Shapes(*[(60, 40), (40, 60)] * 3, (60, 40), (60, 40))
    assert padding(eval_loader(even, spec, 2, workers=0)) == pytest.approx(1 / 3)
    assert padding(train_loader(even, spec, 2, workers=0)) == 0
    # five and three: one batch of four is mixed, two images of 2400 pixels in 3600 each
    assert padding(train_loader(odd, spec, 2, workers=0)) == pytest.approx(2400 / (6 * 2400 + 2 * 3600))
    shares = [train_loader(even, spec, 2, workers=0, rank=rank, world=2) for rank in range(2)]
    assert [len(share) for share in shares] == [2, 2]


def test_rare_classes_ask_for_their_images() -> None:
    pictures = Pictures(8)
    held = [[0], [0], [0, 0], [0, 1], [0], [0], [0], []]
    pictures.labels = lambda index: torch.tensor(held[index], dtype=torch.int64)
    # class 0 is in 7/8 of the images, class 1 in 1/8: sqrt(0.5 / 0.125) = 2
    assert repeat_factors(pictures, 0.5).tolist() == [1, 1, 1, 2, 1, 1, 1, 1]
    assert repeat_factors(pictures, 0.0).tolist() == [1.0] * 8
    assert repeat_factors(Pictures(0), 0.5).tolist() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named_in_one_line(workers: int) -> None:
    loader = train_loader(Pictures(9, broken=6), SPEC, 3, workers=workers)
    with pytest.raises(InputError) as raised:
        list(loader)
    assert str(raised.value) == f"{Path('images/6.jpg')}: truncated image; remove it or copy it again"


def test_a_missing_file_is_bad_input_too() -> None:
    pictures = Pictures()
    pictures.image = lambda index: Image.open(pictures.file(index))
    with pytest.raises(InputError, match=r"1\.jpg: cannot be read"):
        DetectionDataset(pictures, eval_transform(SPEC))[1]
