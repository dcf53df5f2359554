"""Tiles of large pictures: where they lie, what is cut and merged, by hand and against a loop, small pictures."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.multiscale import Tiles, plan_passes
from vedette.infer.tiles import Window, merge_tiles, plan_tiles, windows
from vedette.structures import Detections

MODEL = SimpleNamespace(config=SimpleNamespace(nms="hard", nms_iou=0.45, keep=200))
TILES = Tiles(100, 0.3)
PLAN: list[Window] = [(0, 0, 170, 100), (0, 0, 100, 100), (70, 0, 170, 100)]  # a border is within 2 pixels
Row = tuple[tuple[float, float, float, float], float, int]


def found(*rows: Row) -> Detections:
    """(box in the picture's pixels, score, label) each."""
    boxes = torch.tensor([row[0] for row in rows]).view(-1, 4)
    scores, labels = torch.tensor([row[1] for row in rows]), torch.tensor([row[2] for row in rows], dtype=torch.int64)
    return Detections(boxes, scores, labels, torch.arange(len(rows)))


def merged(*looks: list[Row], tiles: Tiles = TILES, plan: list[Window] = PLAN) -> list[Row]:
    """What is left of looks at the whole and at each tile."""
    seen = [found(*rows) for rows in looks]
    in_tiles = [
        replace(one, boxes=one.boxes - torch.tensor(place[:2] * 2)) for one, place in zip(seen, plan, strict=True)
    ]
    one = merge_tiles(in_tiles, plan, tiles, MODEL, 0.05)
    assert (one.source == -1).all()
    rows = zip(one.boxes.tolist(), one.scores.tolist(), one.labels.tolist(), strict=True)
    return [((x1, y1, x2, y2), round(score, 4), label) for (x1, y1, x2, y2), score, label in rows]


def test_windows_by_hand() -> None:
    assert windows(170, 100, TILES) == PLAN
    assert windows(1000, 600, Tiles(640, 0.2)) == [(0, 0, 1000, 600), (0, 0, 640, 600), (360, 0, 1000, 600)]
    across = [(x, 0, x + 640, 640) for x in (0, 453, 907, 1360)]  # 1360 in three steps of 512 at most
    assert windows(2000, 640, Tiles(640, 0.2))[1:] == across
    assert windows(640, 640, Tiles(640, 0.2)) == [(0, 0, 640, 640)]
    assert windows(1, 1, Tiles(640, 0.2)) == [(0, 0, 1, 1)]
    assert len(windows(641, 641, Tiles(640, 0.2))) == 5


@given(st.integers(1, 3000), st.integers(1, 700), st.integers(32, 900), st.floats(0, 0.9))
def test_tiles_cover_the_picture_and_overlap(width: int, height: int, side: int, overlap: float) -> None:
    tiles = Tiles(side, overlap)
    own = windows(width, height, tiles)
    assert own[0] == (0, 0, width, height)
    xs = sorted({(x1, x2) for x1, _, x2, _ in own[1:] or own})
    assert (xs[0][0], max(x2 for _, x2 in xs)) == (0, width)
    assert all(x2 - x1 == min(side, width) for x1, x2 in xs)
    for (_, end), (start, _) in pairwise(xs):
        assert end - start >= min(int(side * overlap), side - 1)


def test_what_a_border_cuts_is_left_to_the_tile_that_sees_it_whole() -> None:
    whole = ((90.0, 40.0, 110.0, 60.0), 0.5, 0)
    assert merged([], [((90, 40, 100, 60), 0.9, 0)], [whole]) == [whole]
    assert merged([], [((90, 40, 98.5, 60), 0.9, 0)], [whole]) == [whole]  # nearly at the border
    assert merged([], [((90, 40, 100, 60), 0.9, 0)], []) == []  # the other tile, which sees all of it, says no
    mirrored = ((60.0, 40.0, 80.0, 60.0), 0.5, 0)
    assert merged([], [mirrored], [((70, 40, 80, 60), 0.9, 0)]) == [mirrored]


def test_what_ends_before_the_border_is_not_cut() -> None:
    box = ((80.0, 40.0, 97.5, 60.0), 0.9, 0)
    assert merged([], [box], []) == [box]


def test_the_pictures_own_border_cuts_nothing() -> None:
    rows = [((0.0, 0.0, 30.0, 100.0), 0.9, 0)], [((150.0, 60.0, 170.0, 100.0), 0.8, 0)]
    assert merged([], *rows) == [*rows[0], *rows[1]]


def test_parts_of_a_large_object_fall_to_the_whole_of_it() -> None:
    large = ((40.0, 10.0, 140.0, 90.0), 0.5, 0)
    parts = [((40.0, 10.0, 100.0, 90.0), 0.9, 0)], [((70.0, 10.0, 140.0, 90.0), 0.8, 0)]
    assert merged([large], *parts) == [large]
    assert merged([], *parts) == [parts[0][0], parts[1][0]]  # better a part than nothing: IoU 3/10
    weak = (large[0], 0.42, 0)  # more than half the second's score, less than half the first's
    assert merged([weak], *parts) == [parts[0][0]]  # which suppresses the whole, IoU 6/10
    other = (large[0], 0.5, 1)
    assert merged([other], *parts) == [parts[0][0], parts[1][0], other]  # another class is no whole of them
    beside = ((0.0, 10.0, 69.0, 90.0), 0.7, 0)  # covers less than half of the first
    assert merged([], [*parts[0], beside], []) == [parts[0][0], beside]


def test_what_two_looks_see_is_kept_once() -> None:
    one, other = ((75.0, 40.0, 95.0, 60.0), 0.8, 0), ((75.0, 40.0, 95.0, 61.0), 0.7, 0)
    assert merged([], [one], [other]) == [one]
    assert merged([], [], []) == []


def test_small_boxes_of_the_whole_picture_are_left_to_the_tiles() -> None:
    """Where it is a quarter as large, the box of an object lies anywhere near it."""
    one, coarse = ((75.0, 40.0, 95.0, 60.0), 0.8, 0), ((72.0, 36.0, 96.0, 64.0), 0.9, 0)
    far = windows(201, 100, TILES)
    nothing: list[list[Row]] = [[] for _ in far[2:]]
    assert merged([coarse], [one], *nothing, plan=far) == [one]
    assert merged([coarse], [], *nothing, plan=far) == []
    large = ((10.0, 0.0, 150.0, 100.0), 0.9, 0)  # which no tile holds
    assert merged([large], [], *nothing, plan=far) == [large]
    assert merged([coarse], [one], []) == [coarse]  # a picture of less than two sides is seen nearly as large


def test_each_look_may_keep_as_many_as_the_model_keeps() -> None:
    rows: list[list[Row]] = [
        [((x + 5.0 * i, 10.0 * j, x + 5.0 * i + 4, 10.0 * j + 8), 0.5, 0) for i in range(3) for j in range(4)]
        for x in (30, 120)
    ]
    rows = [[], *rows]
    model = SimpleNamespace(config=SimpleNamespace(nms="hard", nms_iou=0.45, keep=10))
    seen = [found(*own) for own in rows]
    seen = [replace(one, boxes=one.boxes - torch.tensor(at[:2] * 2)) for one, at in zip(seen, PLAN, strict=True)]
    assert len(merge_tiles(seen, PLAN, TILES, model, 0.05)) == 24


def slow(looks: list[list[Row]], tiles: Tiles, plan: list[Window]) -> list[Row]:
    """The same in loops, box by box."""
    near, whole = 0.02 * tiles.side, plan[0]

    def inner(place: Window) -> list[bool]:
        return [a != b for a, b in zip(place, whole, strict=True)]

    def is_cut(box: tuple[float, ...], place: Window) -> bool:
        return any(i and abs(a - b) <= near for i, a, b in zip(inner(place), box, place, strict=True))

    def holds(place: Window, box: tuple[float, ...]) -> bool:
        signs = (1, 1, -1, -1)
        return all(
            not i or s * (a - b) > near for i, a, b, s in zip(inner(place), box, place, signs, strict=True)
        ) and all(s * (a - b) >= 0 for a, b, s in zip(box, place, signs, strict=True))

    def shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        return max(0.0, width) * max(0.0, height)

    def size(a: tuple[float, ...]) -> float:
        return (a[2] - a[0]) * (a[3] - a[1])

    rows = []
    for own, place in zip(looks, plan, strict=True):
        for row in own:
            cut = is_cut(row[0], place)
            if not ((cut or place == whole) and any(holds(tile, row[0]) for tile in plan[1:])):
                rows.append((row, cut))
    free = [row for row, cut in rows if not cut]
    left = [
        row
        for row, cut in rows
        if not (
            cut
            and any(
                row[2] == o[2] and shared(row[0], o[0]) >= 0.5 * size(row[0]) and o[1] >= 0.5 * row[1] for o in free
            )
        )
    ]
    kept: list[Row] = []
    for row in sorted(left, key=lambda row: -row[1]):
        overlaps = (shared(row[0], o[0]) / (size(row[0]) + size(o[0]) - shared(row[0], o[0])) for o in kept
                    if o[2] == row[2])  # fmt: skip
        if all(overlap <= 0.45 for overlap in overlaps):
            kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(8))
def test_merging_equals_the_loop(seed: int) -> None:
    torch.manual_seed(seed)
    tiles = Tiles(100, 0.3)
    plan = windows(230, 160, tiles)
    scores = iter((torch.randperm(5000) / 5000).clamp(min=0.06).tolist())
    looks: list[list[Row]] = []
    for x1, y1, x2, y2 in plan:
        low = torch.rand(25, 2) * torch.tensor([x2 - x1, y2 - y1]) * 0.9
        high = torch.minimum(low + 4 + torch.rand(25, 2) * 70, torch.tensor([x2 - x1, y2 - y1]))
        boxes = (torch.cat([low, high], 1).round() + torch.tensor([x1, y1, x1, y1])).tolist()
        looks.append([((a, b, c, d), round(next(scores), 4), i % 2) for i, (a, b, c, d) in enumerate(boxes)])
    got = merged(*looks, tiles=tiles, plan=plan)
    expected = [((a, b, c, d), round(score, 4), label) for (a, b, c, d), score, label in slow(looks, tiles, plan)]
    assert sorted(got) == sorted(expected)
    assert 20 < len(got) < 25 * len(plan)


def picture(box: tuple[int, int, int, int], size: tuple[int, int] = (400, 100)) -> Image.Image:
    image = Image.new("RGB", size)
    image.paste("white", box)
    return image


def test_a_small_object_of_a_large_picture(detector: Detector) -> None:
    detector.model.config = MODEL.config
    one = detector.detect(picture((150, 20, 160, 30)), tiles=100, batch_size=2)
    assert one.boxes.tolist() == [[150, 20, 160, 30]]
    assert one.source.tolist() == [-1]
    assert one.names == ["bright"]
    assert one.image is not None
    assert one.image.size == (400, 100)
    assert [len(batch) for batch in detector.model.batches] == [2, 2, 2]  # the whole and five tiles


def test_pictures_of_one_tile_are_looked_at_as_ever(detector: Detector) -> None:
    """A model that has no suppression to merge by is never asked for it."""
    pictures = [picture((15, 20, 60, 30), (100, 80)), picture((5, 20, 16, 30), (90, 100))]
    tiled = detector.detect(pictures, tiles=100)
    plain = detector.detect(pictures)
    for one, other in zip(tiled, plain, strict=True):
        assert torch.equal(one.boxes, other.boxes)
        assert one.source.tolist() == other.source.tolist() == [42]
    first, second = detector.model.batches
    assert torch.equal(first, second)


def test_small_and_large_pictures_together_keep_their_order(detector: Detector) -> None:
    detector.model.config = MODEL.config
    small, large = picture((15, 20, 60, 30), (100, 100)), picture((150, 20, 160, 30))
    boxes = [one.boxes.tolist() for one in detector.detect([large, small, large], tiles=100, batch_size=4)]
    assert boxes == [[[150, 20, 160, 30]], [[15, 20, 60, 30]], [[150, 20, 160, 30]]]


def test_an_object_across_a_border_is_found_once_in_the_mirror_too(detector: Detector) -> None:
    detector.model.config = MODEL.config
    image = picture((90, 20, 104, 40))  # tiles of 100 begin at 0, 75, 150, …
    for turned, box in ((image, [90, 20, 104, 40]), (ImageOps.mirror(image), [296, 20, 310, 40])):
        assert detector.detect(turned, tiles=100).boxes.tolist() == [box]


def test_each_tile_is_looked_at_in_all_passes(detector: Detector) -> None:
    detector.model.config = MODEL.config
    one = detector.detect(picture((150, 20, 160, 30)), tiles=100, flip=True, batch_size=16)
    assert one.boxes.tolist() == [[150, 20, 160, 30]]
    assert [len(batch) for batch in detector.model.batches] == [6, 6]


def test_tiles_tell_how_far_they_are(detector: Detector) -> None:
    detector.model.config = MODEL.config
    told: list[float] = []
    passes = replace(plan_passes(detector.input_spec, batch_size=3), tiles=Tiles(100, 0.2, told.append))
    detector.look([picture((150, 20, 160, 30)), picture((1, 2, 9, 9), (50, 50))], passes, 0.5, False)
    assert told == pytest.approx([0.5, 1.0, 2.0])


@pytest.mark.parametrize("side", [31, 0, -640, 65537, 640.0, "640", True])
def test_sides_that_cannot_be_are_refused(side: object) -> None:
    with pytest.raises(InputError, match=f"tiles is {side!r}: give the pixels of a side"):
        plan_tiles(side)  # type: ignore[arg-type]


@pytest.mark.parametrize("overlap", [-0.1, 0.95, 1, float("nan"), "0.2"])
def test_overlaps_that_cannot_be_are_refused(overlap: object) -> None:
    with pytest.raises(InputError, match=f"overlap is {overlap!r}: give the share of a tile"):
        plan_tiles(640, overlap)  # type: ignore[arg-type]


def test_an_overlap_of_no_tiles_is_refused(detector: Detector) -> None:
    with pytest.raises(InputError, match="overlap is of tiles alone: give their side too"):
        detector.detect(picture((1, 1, 9, 9)), overlap=0.3)
    assert plan_tiles(None) is None
    assert plan_tiles(640) == Tiles(640, 0.2)
