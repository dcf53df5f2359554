"""Running a model over a data set: order, frames, modes."""

from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from vedette.evaluate.run import eval_loaders, evaluate_model
from vedette.infer.detector import Detector
from vedette.infer.look import in_frame
from vedette.infer.multiscale import plan_passes
from vedette.structures import Detections, InputSpec
from vedette.zoo import build

SPEC = InputSpec(size=64, mean=(10.0, 10.0, 10.0))


class Pictures:
    """Plain pictures of growing brightness, 80 + 10 i wide and 50 high."""

    classes = ("thing",)

    def __init__(self, count: int, frame: tuple[int, int] | None = None) -> None:
        self.count, self.frame = count, frame

    def __len__(self) -> int:
        return self.count

    def file(self, index: int) -> Path:
        return Path(f"{index}.png")

    def size(self, index: int) -> tuple[int, int]:
        return (80 + 10 * index, 50) if self.frame is None else self.frame

    def boxes(self, index: int) -> torch.Tensor:
        return torch.tensor([[8.0, 5.0, 40.0, 25.0]])

    def labels(self, index: int) -> torch.Tensor:
        return torch.tensor([0])

    def difficult(self, index: int) -> torch.Tensor:
        return torch.tensor([False])

    crowd = difficult

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (80 + 10 * index, 50), (20 + index, 20 + index, 20 + index))


class Finder(nn.Module):
    """Finds one box, wider than the input, in every image, with the image's brightness as its score."""

    config = SimpleNamespace(nms="hard", nms_iou=0.45, keep=200)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Conv2d(3, 1, 1)
        self.frozen = nn.BatchNorm2d(3).eval()
        nn.init.constant_(self.scale.weight, 1 / 3)
        nn.init.zeros_(self.scale.bias)
        self.seen: list[torch.Tensor] = []
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor, sizes: None = None, proposals: None = None) -> torch.Tensor:
        self.modes.append(self.training)
        self.seen.append(self.scale(images))
        return images.mean((1, 2, 3))

    def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
        box = torch.tensor([[-5.0, 16.0, 32.0, 80.0]])
        zero = torch.tensor([0])
        return [Detections(box, value[None], zero, torch.tensor([7])) for value in predictions]


@pytest.mark.parametrize("workers", [0, 1])
def test_gives_every_image_in_order(workers):
    found = evaluate_model(Finder(), Pictures(5), plan_passes(SPEC, batch_size=2), workers=workers)
    assert [one.scores.item() for one in found] == pytest.approx([10, 11, 12, 13, 14])  # brightness less the mean
    assert [one.source.item() for one in found] == [7] * 5


def test_loaders_that_are_kept_start_their_workers_once(monkeypatch):
    started = []
    begin = BaseProcess.start
    monkeypatch.setattr(BaseProcess, "start", lambda process: (started.append(process), begin(process))[1])
    passes = plan_passes(SPEC, batch_size=2)
    loaders = eval_loaders(Pictures(5), passes, workers=1)
    ways = {"workers": 1, "loaders": loaders}
    first, second = (evaluate_model(Finder(), Pictures(5), passes, **ways) for _ in range(2))
    assert [one.scores.item() for one in first] == [one.scores.item() for one in second]
    assert len(started) == 1
    del loaders, ways
    evaluate_model(Finder(), Pictures(5), passes, workers=1)  # of its own, each time
    evaluate_model(Finder(), Pictures(5), passes, workers=1)
    assert len(started) == 3


def test_boxes_are_in_the_annotation_s_pixels_and_clipped():
    found = evaluate_model(Finder(), Pictures(2), plan_passes(SPEC, batch_size=2), workers=0)
    assert found[0].boxes.tolist() == [[0.0, 12.5, 40.0, 50.0]]
    assert found[1].boxes.tolist() == [[0.0, 12.5, 45.0, 50.0]]
    stated = evaluate_model(Finder(), Pictures(1, frame=(640, 100)), plan_passes(SPEC), workers=0)
    assert stated[0].boxes.tolist() == [[0.0, 25.0, 320.0, 100.0]]


def test_the_annotated_box_comes_back():
    size = torch.tensor([123, 457])
    boxes = torch.tensor([[8.0, 5.0, 40.0, 250.0]])
    warped = boxes * 64 / torch.tensor([123, 457, 123, 457])
    found = Detections(warped, torch.ones(1), torch.tensor([0]), torch.tensor([0]))
    torch.testing.assert_close(in_frame(found, torch.tensor([64, 64]), size).boxes, boxes)


def test_each_axis_of_a_padded_input_has_its_scale():
    """333 x 250 seen as 133 x 100, and annotated in a frame twice as wide."""
    found = Detections(torch.tensor([[13.3, 10.0, 140.0, 50.0]]), torch.ones(1), torch.tensor([0]), torch.tensor([0]))
    back = in_frame(found, torch.tensor([100, 133]), torch.tensor([666, 250]))
    torch.testing.assert_close(back.boxes, torch.tensor([[66.6, 25.0, 666.0, 125.0]]))


def test_modes_are_as_before():
    model = Finder()
    evaluate_model(model, Pictures(1), plan_passes(SPEC), workers=0)
    assert model.modes == [False]
    assert (model.training, model.scale.training, model.frozen.training) == (True, True, False)


def test_modes_are_as_before_where_it_fails():
    model = Finder()
    with pytest.raises(ZeroDivisionError):
        evaluate_model(model, Pictures(1), plan_passes(SPEC), workers=0, progress=lambda done, of: 1 / 0)
    assert model.training


def test_bf16_runs_the_network_in_bfloat16_channels_last():
    model = Finder()
    evaluate_model(model, Pictures(1), plan_passes(SPEC), workers=0)
    evaluate_model(model, Pictures(1), plan_passes(SPEC), workers=0, bf16=True)
    assert [seen.dtype for seen in model.seen] == [torch.float32, torch.bfloat16]
    assert not model.seen[1].requires_grad
    assert model.scale.weight.dtype == torch.float32


def test_bf16_is_for_layers_that_run_in_detect_too():
    """The head of a Faster R-CNN looks at bf16 maps."""
    settings = {"image_size": 64, "max_side": 96, "width": 16, "rpn_channels": 16, "proposals": (20, 10)}
    model = build("faster-rcnn-timm/resnet10t-fpn", num_classes=2, **settings)
    found = evaluate_model(model, Pictures(2), plan_passes(model.input_spec), workers=0, bf16=True, score=0.0)
    assert all(len(one) > 0 for one in found)


def test_says_how_far_it_is():
    steps: list[tuple[int, int]] = []
    evaluate_model(
        Finder(), Pictures(5), plan_passes(SPEC, batch_size=2), workers=0, progress=lambda *step: steps.append(step)
    )
    assert steps == [(2, 5), (4, 5), (5, 5)]


def test_passes_are_merged_image_by_image():
    steps: list[tuple[int, int]] = []
    passes = plan_passes(SPEC, flip=True, batch_size=2)
    found = evaluate_model(Finder(), Pictures(3), passes, workers=0, progress=lambda *step: steps.append(step))
    # the left half, and its mirror image
    assert [sorted(one.boxes.tolist()) for one in found] == [
        [[0.0, 12.5, width / 2, 50.0], [width / 2, 12.5, width, 50.0]] for width in (80.0, 90.0, 100.0)
    ]
    assert [one.source.tolist() for one in found] == [[-1, -1]] * 3
    assert steps == [(2, 3), (3, 3)]


class Bright(nn.Module):
    """Finds the smallest box around what is white, in whole pixels of the input."""

    config = SimpleNamespace(nms="hard", nms_iou=0.45, keep=200)

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []
        self.sizes: list[torch.Tensor | None] = []

    def forward(self, images: torch.Tensor, sizes: torch.Tensor | None = None, proposals: None = None) -> torch.Tensor:
        self.batches.append(tuple(images.shape))
        self.sizes.append(sizes)
        for image, (height, width) in zip(images, [] if sizes is None else sizes.tolist(), strict=False):
            assert not image[:, height:].any()
            assert not image[:, :, width:].any()
        return images

    def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
        found = []
        for image in predictions:
            rows, columns = (image[0] > 100).nonzero(as_tuple=True)
            box = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
            found.append(Detections(box[None], torch.tensor([0.8]), torch.tensor([0]), torch.tensor([7])))
        return found


class Squares(Pictures):
    """White squares on black, left of the middle."""

    def image(self, index: int) -> Image.Image:
        picture = Image.new("RGB", self.size(index))
        picture.paste("white", (11 + index, 7, 35 + index, 31))
        return picture


@pytest.mark.parametrize("options", [{"scales": (32, 96)}, {"flip": True}, {"scales": (96, 32), "flip": True}])
@pytest.mark.parametrize("vote", [False, True])
def test_finds_what_the_detector_finds(options, vote):
    model, pictures = Bright(), Squares(3)
    passes = plan_passes(SPEC, vote=vote, batch_size=4, **options)
    found = evaluate_model(model, pictures, passes, workers=0)
    detector = Detector(model, SPEC, None, device="cpu")
    expected = detector.detect([pictures.image(index) for index in range(3)], score=0.01, vote=vote, **options)
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.source.tolist() == [-1]
        torch.testing.assert_close(one.boxes, other.boxes)
        true = torch.tensor([[11.0 + index, 7, 35 + index, 31]])
        torch.testing.assert_close(one.boxes, true, rtol=0, atol=2.0)  # the pixels of an input of 32
    assert model.batches[0][0] == (1 if "scales" in options else 3)  # 96² is more than twice 64²
    if "scales" in options and vote:
        plain = evaluate_model(model, pictures, replace(passes, vote=False), workers=0)
        assert not torch.equal(plain[0].boxes, found[0].boxes)


PADDED = InputSpec(size=64, resize="short side", max_side=120, divisor=32, mean=(10.0, 10.0, 10.0))


@pytest.mark.parametrize(
    "options", [{}, {"flip": True}, {"scales": (32, 96)}, {"scales": (96, 32), "flip": True, "vote": True}]
)
def test_padded_batches_find_what_the_detector_finds(options):
    """Pictures of 80, 90, 100, 110 and 120 x 50 become 64, 64, 60, 54 and 50 high."""
    model, pictures = Bright(), Squares(5)
    found = evaluate_model(model, pictures, plan_passes(PADDED, batch_size=5, **options), workers=0)
    if not options:
        assert model.batches == [(5, 3, 64, 128)]
        # 110 · (120 / 110) is a little less than 120
        assert model.sizes[0].tolist() == [[64, 102], [64, 115], [60, 120], [54, 119], [50, 120]]
    detector = Detector(model, PADDED, None, device="cpu")
    expected = detector.detect([pictures.image(index) for index in range(5)], score=0.01, **options)
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        torch.testing.assert_close(one.boxes, other.boxes)
        true = torch.tensor([[11.0 + index, 7, 35 + index, 31]])
        torch.testing.assert_close(one.boxes, true.expand(len(one), 4), rtol=0, atol=1.6)  # a pixel of the input


def test_one_stage_models_are_given_images_alone():
    model = Bright()
    evaluate_model(model, Squares(2), plan_passes(SPEC), workers=0)
    assert model.sizes == [None]


class Echo(nn.Module):
    """Finds its proposals."""

    needs_proposals = True
    config = SimpleNamespace(nms="hard", nms_iou=0.99, keep=200)

    def forward(self, images, sizes, proposals):
        return proposals

    def detect(self, predictions, score):
        rows = [torch.arange(len(boxes)) for boxes in predictions]
        return [
            Detections(boxes, torch.linspace(0.9, 0.8, len(boxes)), torch.zeros_like(row), row)
            for boxes, row in zip(predictions, rows, strict=True)
        ]


def proposals_of(index: int) -> torch.Tensor:
    return torch.tensor([[10.0, 5, 50 + index, 45], [3, 3, 3, 8], [0, 0, 70, 50]])[: 3 - index]


def test_proposals_are_seen_as_the_boxes_are_and_keep_their_rows():
    found = evaluate_model(Echo(), Squares(3), plan_passes(PADDED), workers=0, proposals=proposals_of)
    for index, one in enumerate(found):
        wanted = proposals_of(index)
        visible = wanted[:, 2] > wanted[:, 0]  # one of them has no area
        torch.testing.assert_close(one.boxes, wanted[visible])
        assert one.source.tolist() == visible.nonzero().flatten().tolist()
    twice = evaluate_model(Echo(), Squares(3), plan_passes(PADDED, flip=True), workers=0, proposals=proposals_of)
    for one, other in zip(found, twice, strict=True):
        torch.testing.assert_close(one.boxes[one.boxes[:, 2] > 3.5], other.boxes[other.boxes[:, 2] > 3.5])


def test_no_images():
    assert evaluate_model(Finder(), Pictures(0), plan_passes(SPEC), workers=0) == []
