"""Matching: hand-written cases, the greedy loop over pairs, ignored and padded boxes, ties, crowds, empty input."""

from itertools import permutations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.parts.anchors import grid_anchors, ratio_shapes
from vedette.parts.matching import IGNORED, NEGATIVE, assign_bipartite, match, match_by_thresholds

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)
devices = pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
)
Box = list[float]
ANCHORS = torch.cat(
    [grid_anchors(ratio_shapes(4 * s, (0.5, 1.0, 2.0)), 128 // s, 128 // s, s) for s in (8, 16, 32, 64)]
)


def slow_iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def slow_bipartite(overlap: list[list[float]]) -> dict[int, int]:
    """Box → anchor: best pair first; ties: the first box, then its first anchor."""
    pairs = [(-value, g, a) for g, row in enumerate(overlap) for a, value in enumerate(row) if value > 1e-6]
    own: dict[int, int] = {}
    for _, g, a in sorted(pairs):
        if g not in own and a not in own.values():
            own[g] = a
    return own


def slow_match(anchors: list[Box], boxes: list[Box], ignore: list[bool], iou: float) -> list[int]:
    """One image, without padding."""
    overlap = [[slow_iou(box, anchor) for anchor in anchors] for box in boxes]
    real = [g for g in range(len(boxes)) if not ignore[g]]
    own = slow_bipartite([overlap[g] if g in real else [0.0] * len(anchors) for g in range(len(boxes))])
    owner = {a: g for g, a in own.items()}
    matched = []
    for a in range(len(anchors)):
        best = max(real, key=lambda g: overlap[g][a], default=None)  # ties: the first
        if a in owner:
            matched.append(owner[a])
        elif best is not None and overlap[best][a] >= iou:
            matched.append(best)
        elif any(overlap[g][a] >= iou for g in range(len(boxes)) if ignore[g]):
            matched.append(-2)
        else:
            matched.append(-1)
    return matched


def match_one(anchors: Tensor, boxes: Tensor, ignore: Tensor | None = None, iou: float = 0.5) -> list[int]:
    ignore = torch.zeros(len(boxes), dtype=torch.bool) if ignore is None else ignore
    found: list[int] = match(anchors, boxes[None], torch.ones_like(ignore)[None], ignore[None], iou)[0].tolist()
    return found


def random_boxes(count: int) -> Tensor:
    low = torch.rand(count, 2, dtype=torch.float64) * 110 - 10
    return torch.cat([low, low + 3 + torch.rand(count, 2, dtype=torch.float64) * 60], -1)


def line(*spans: tuple[float, float]) -> Tensor:
    """Boxes of height 10 that differ in x alone."""
    return torch.tensor([[low, 0.0, high, 10.0] for low, high in spans])


def test_by_hand() -> None:
    anchors = line((0, 10), (5, 15), (20, 30), (40, 50), (42, 52))
    boxes = line((0, 10), (24, 40), (40, 50))
    # box 1 has IoU 6 / 20 with anchor 2 alone and takes it all the same; anchor 4 overlaps box 2 by 8 / 12; anchor 1
    # overlaps box 0 by 1 / 3
    assert match_one(anchors, boxes) == [0, NEGATIVE, 1, 2, 2]
    assert match_one(anchors, boxes, iou=0.7) == [0, NEGATIVE, 1, 2, NEGATIVE]
    assert match_one(anchors, boxes, iou=0.3) == [0, 0, 1, 2, 2]


def test_the_threshold_itself_matches() -> None:
    anchors = line((0, 10), (0, 5), (0, 4.875))
    assert match_one(anchors, line((0, 10))) == [0, 0, NEGATIVE]  # IoU 1, 1/2, less
    assert match_one(anchors, line((0, 10)), torch.tensor([True])) == [IGNORED, IGNORED, NEGATIVE]


def test_two_boxes_with_one_best_anchor_both_get_one() -> None:
    anchors = line((0, 10), (20, 30), (2, 12))
    boxes = line((1, 10), (0, 10))  # both best with anchor 0; the second is better, the first falls back on anchor 2
    assert match_one(anchors, boxes) == [1, NEGATIVE, 0]
    assert match_one(anchors, boxes.flip(0)) == [0, NEGATIVE, 1]


def test_of_equal_pairs_the_first_box_then_the_first_anchor_goes_first() -> None:
    anchors = line((0, 10), (0, 10), (0, 10))
    assert match_one(anchors, line((0, 10))) == [0, 0, 0]
    assert match_one(anchors, line((0, 10), (0, 10)), iou=1.1) == [0, 1, NEGATIVE]
    assert match_one(anchors, line((0, 10), (0, 10))) == [0, 1, 0]
    assert match_one(line((0, 10)), line((0, 8), (2, 10))) == [0]


def test_a_boxs_own_anchor_wins_over_the_threshold() -> None:
    anchors = line((0, 10))
    small = torch.tensor([[0.0, 0.0, 10.0, 2.0], [0.0, 0.0, 10.0, 10.0]])
    assert match_one(anchors, small) == [1]
    anchors = line((0, 10), (0.5, 10.5))
    # both anchors overlap box 0 far more than box 1, but box 1 must have one: it takes what box 0 left
    assert match_one(anchors, torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 1.0]])) == [0, 1]


def test_ignored_boxes_take_no_anchor_and_shield_theirs() -> None:
    anchors = line((0, 10), (1, 11), (20, 30), (40, 50), (60, 70))
    boxes = line((0, 10), (20, 30), (41, 55))
    ignore = torch.tensor([False, True, True])
    assert match_one(anchors, boxes, ignore) == [0, 0, IGNORED, IGNORED, NEGATIVE]
    assert match_one(anchors, boxes[1:], ignore[1:]) == [NEGATIVE, NEGATIVE, IGNORED, IGNORED, NEGATIVE]
    # a real box on the same place wins, by threshold and by its own anchor
    assert match_one(anchors, line((20, 30), (20, 30)), torch.tensor([True, False])) == [-1, -1, 1, -1, -1]
    assert match_one(anchors, line((20, 30), (20, 23)), torch.tensor([True, False])) == [-1, -1, 1, -1, -1]


def test_padding_is_nobody() -> None:
    boxes, valid = random_boxes(9), torch.tensor([True] * 3 + [False] * 6)  # whatever stands there
    ignore = torch.tensor([False, True, False] + [False, True] * 3)
    found = match(ANCHORS, boxes[None], valid[None], ignore[None])
    assert torch.equal(found, match(ANCHORS, boxes[None, :3], valid[None, :3], ignore[None, :3]))


@devices
@pytest.mark.parametrize("iou", [0.3, 0.5])
def test_equals_the_loop(iou: float, device: str) -> None:
    boxes, ignore = torch.stack([random_boxes(8) for _ in range(4)]), torch.rand(4, 8) < 0.2
    anchors = ANCHORS.double() + torch.randn(4, len(ANCHORS), 4).sort(2).values  # as refined: of each image its own
    inputs = (anchors, boxes, torch.ones_like(ignore), ignore)
    found = match(*(t.to(device) for t in inputs), iou)
    rows = zip(anchors.tolist(), boxes.tolist(), ignore.tolist(), strict=True)
    assert found.tolist() == [slow_match(*row, iou) for row in rows]
    assert found.dtype == torch.int64
    assert {int(value) for value in found.unique()} == {-2, *range(-1, 8)}


@devices
@examples
@given(st.integers(1, 9), st.integers(1, 11), st.integers(0, 2**31), st.booleans())
@example(boxes=9, anchors=1, seed=0, ties=True)
def test_bipartite_equals_the_greedy_loop(device: str, boxes: int, anchors: int, seed: int, ties: bool) -> None:
    torch.manual_seed(seed)
    overlap = torch.rand(3, boxes, anchors, dtype=torch.float64)
    overlap = (overlap * 4).round() / 4 if ties else overlap * (torch.rand_like(overlap) < 0.7)
    overlap[0, 0] = -1  # padding
    anchor, taken = assign_bipartite(overlap.to(device))
    for image in range(3):
        own = slow_bipartite(overlap[image].tolist())
        assert {g: int(anchor[image, g]) for g in range(boxes) if taken[image, g]} == own


def test_bipartite_ends_where_a_late_refusal_sets_off_another() -> None:
    """Box 2 loses anchor 1 to box 1 only after box 1 lost anchor 0: more rounds of asking than there are boxes."""
    overlap = torch.tensor([[[0.9, 0.0, 0.0], [0.8, 0.7, 0.0], [0.5, 0.6, 0.4]]])
    anchor, taken = assign_bipartite(overlap)
    assert anchor.tolist() == [[0, 1, 2]]
    assert taken.all()


@examples
@given(st.integers(0, 2**31), st.permutations(range(6)))
def test_the_order_of_boxes_does_not_matter_without_ties(seed: int, order: list[int]) -> None:
    torch.manual_seed(seed)
    boxes, ignore, anchors = random_boxes(6), torch.rand(6) < 0.2, random_boxes(12)
    names = torch.tensor([*order, -2, -1])  # -1 and -2 stay what they are
    shuffled = match_one(anchors, boxes[order], ignore[order])
    assert names[shuffled].tolist() == match_one(anchors, boxes, ignore)


def test_crowds_more_boxes_than_anchors() -> None:
    anchors = line((0, 10), (10, 20))
    boxes = line((2, 12), (4, 14), (6, 16), (0, 9))
    assert match_one(anchors, boxes) == [3, 2]
    anchor, taken = assign_bipartite(torch.rand(2, 300, 40))
    assert taken.sum(1).tolist() == [40, 40]
    assert all(len(set(anchor[i][taken[i]].tolist())) == 40 for i in range(2))


def test_three_hundred_boxes_each_get_an_anchor() -> None:
    boxes = random_boxes(300)
    found = match_one(ANCHORS.double(), boxes, iou=2.0)
    expected = slow_match(ANCHORS.tolist(), boxes.tolist(), [False] * 300, 2.0)
    assert found == expected
    assert set(range(300)) <= set(found)


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 128.0, 128.0), (63.0, 63.0, 65.0, 65.0), (-9.0, -9.0, 3.0, 4.0), (0.0, 0.0, 2.0, 128.0)]
)
def test_whole_tiny_and_long_boxes_get_an_anchor(box: tuple[float, ...]) -> None:
    found = match_one(ANCHORS.double(), torch.tensor([box]).double())
    assert 0 in found
    assert found == slow_match(ANCHORS.tolist(), [list(box)], [False], 0.5)


def test_a_box_that_touches_no_anchor_takes_none() -> None:
    assert match_one(line((0, 10), (10, 20)), line((100, 110))) == [NEGATIVE, NEGATIVE]
    assert match_one(line((0, 10), (10, 20)), line((100, 110), (0, 10))) == [1, NEGATIVE]


def test_anchors_without_area_match_nothing() -> None:
    anchors = torch.tensor([[5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 0.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    assert match_one(anchors, torch.tensor([[0.0, 0.0, 10.0, 10.0], [4.0, 4.0, 6.0, 6.0]])) == [-1, -1, 0]


def test_a_batch_gives_what_single_images_give() -> None:
    boxes, valid = torch.stack([random_boxes(5) for _ in range(3)]), torch.rand(3, 5) < 0.7
    ignore, anchors = torch.rand(3, 5) < 0.3, ANCHORS + torch.rand(3, len(ANCHORS), 4)
    together = match(anchors, boxes, valid, ignore)
    for image in range(3):
        one = slice(image, image + 1)
        assert torch.equal(together[one], match(anchors[one], boxes[one], valid[one], ignore[one]))
    shared = match(ANCHORS, boxes, valid, ignore)
    assert torch.equal(shared, match(ANCHORS.expand(3, -1, 4), boxes, valid, ignore))


@pytest.mark.parametrize(("images", "boxes", "anchors"), [(2, 0, 5), (0, 3, 5), (0, 0, 5), (2, 3, 0), (2, 0, 0)])
def test_nothing_to_match(images: int, boxes: int, anchors: int) -> None:
    flags = torch.ones(images, boxes, dtype=torch.bool)
    found = match(torch.rand(anchors, 4), torch.rand(images, boxes, 4), flags, ~flags)
    assert found.dtype == torch.int64
    assert torch.equal(found, torch.full((images, anchors), NEGATIVE))


def test_all_permutations_of_a_tie_give_the_first_boxes_their_anchor() -> None:
    anchors, boxes = line((0, 10), (30, 40)), line((0, 10), (0, 10), (30, 40))
    for order in permutations(range(3)):
        found = match_one(anchors, boxes[list(order)])
        assert found == [min(order.index(0), order.index(1)), order.index(2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_float_type(dtype: torch.dtype) -> None:
    anchors, boxes = line((0, 10), (5, 15), (20, 30)), line((0, 10), (18, 30))
    assert match_one(anchors.to(dtype), boxes.to(dtype)) == [0, NEGATIVE, 1]


def test_the_operator_keeps_torchs_rules() -> None:
    for shape in ((2, 9, 7), (2, 0, 7), (0, 3, 7), (2, 3, 0)):
        torch.library.opcheck(
            torch.ops.vedette.assign_bipartite.default,
            (torch.rand(shape),),
            test_utils=("test_schema", "test_faketensor"),
        )


def test_compiles_whole_for_any_number_of_boxes() -> None:
    torch.compiler.reset()
    compiled = torch.compile(match, fullgraph=True, backend="eager")
    for count in (0, 1, *range(2, 14)):
        boxes = random_boxes(count)[None].float()
        flags = torch.ones(1, count, dtype=torch.bool)
        assert torch.equal(compiled(ANCHORS, boxes, flags, ~flags), match(ANCHORS, boxes, flags, ~flags))


def slow_thresholds(
    anchors: list[Box],
    boxes: list[Box],
    ignore: list[bool],
    usable: list[bool],
    limits: tuple[float, float, float],
    best: bool,
) -> list[int]:
    """One image, without padding."""
    high, low, least = limits
    overlap = [[slow_iou(box, anchor) for anchor in anchors] for box in boxes]
    real = [g for g in range(len(boxes)) if not ignore[g]]
    highest = {g: max((overlap[g][a] for a in range(len(anchors)) if usable[a]), default=0.0) for g in real}
    matched = []
    for a in range(len(anchors)):
        own = max(real, key=lambda g: overlap[g][a], default=None)
        value = overlap[own][a] if own is not None else -1.0
        is_best = best and any(overlap[g][a] == highest[g] > 1e-6 for g in real)
        if not usable[a]:
            matched.append(-2)
        elif own is not None and (value >= high or is_best):
            matched.append(own)
        elif max(value, 0.0) < least:
            matched.append(-2)
        elif value < low and not any(overlap[g][a] >= high for g in range(len(boxes)) if ignore[g]):
            matched.append(-1)
        else:
            matched.append(-2)
    return matched


corner = st.integers(0, 12)
small_box = st.tuples(corner, corner, st.integers(1, 8), st.integers(1, 8)).map(
    lambda t: [float(t[0]), float(t[1]), float(t[0] + t[2]), float(t[1] + t[3])]
)


@examples
@given(
    st.lists(small_box, min_size=1, max_size=8),
    st.lists(st.tuples(small_box, st.booleans()), max_size=4),
    st.data(),
    st.sampled_from(
        [(0.7, 0.3, 0.0), (0.5, 0.5, 0.0), (0.5, 0.4, 0.0), (0.1, 0.1, 0.0), (0.5, 0.5, 0.1), (0.5, 0.3, 0.2)]
    ),
    st.booleans(),
)
def test_thresholds_are_the_loop(
    anchors: list[Box],
    objects: list[tuple[Box, bool]],
    data: st.DataObject,
    limits: tuple[float, float, float],
    best: bool,
) -> None:
    usable = data.draw(st.lists(st.booleans(), min_size=len(anchors), max_size=len(anchors)))
    boxes, ignore = [box for box, _ in objects], [ignored for _, ignored in objects]
    wanted = slow_thresholds(anchors, boxes, ignore, usable, limits, best)
    padded = torch.tensor([*boxes, [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)[None]  # and one of padding
    matched = match_by_thresholds(
        torch.tensor(anchors, dtype=torch.float64),
        padded,
        torch.tensor([[True] * len(boxes) + [False]]),
        torch.tensor([[*ignore, False]]),
        positive=limits[0],
        negative=limits[1],
        negative_from=limits[2],
        usable=torch.tensor(usable),
        keep_best=best,
    )
    assert matched.tolist() == [wanted]


def test_thresholds_at_their_borders() -> None:
    anchors = torch.tensor(
        [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 7.0], [0.0, 0.0, 10.0, 3.0], [0.0, 0.0, 10.0, 2.0]]
    )
    boxes, valid = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]]).double(), torch.tensor([[True]])
    given = (anchors.double(), boxes, valid, ~valid)
    matched = match_by_thresholds(*given, positive=0.7, negative=0.3)
    assert matched.tolist() == [[0, 0, -2, -1]]  # IoU 1, exactly 0.7, exactly 0.3, 0.2
    far = (anchors.double(), boxes + 9, valid, ~valid)  # IoU at most 1 / 199
    assert match_by_thresholds(*far, positive=0.7, negative=0.3).tolist() == [[-1] * 4]
    assert match_by_thresholds(*far, positive=0.7, negative=0.3, keep_best=True).tolist() == [[0, -1, -1, -1]]
    nothing = (anchors, torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.bool), torch.zeros(2, 0, dtype=torch.bool))
    assert match_by_thresholds(*nothing, positive=0.7, negative=0.3).tolist() == [[-1] * 4] * 2
    assert match_by_thresholds(*nothing, positive=0.5, negative=0.5, negative_from=0.1).tolist() == [[-2] * 4] * 2
    matched = match_by_thresholds(*given, positive=0.7, negative=0.7, negative_from=0.3)
    assert matched.tolist() == [[0, 0, -1, -2]]  # exactly 0.3 is background, 0.2 nothing


def test_the_best_of_a_box_is_the_best_that_is_usable() -> None:
    anchors, box = line((0, 10), (3, 13), (5, 15)), line((0, 10))[None]
    flags, usable = torch.tensor([[True]]), torch.tensor([False, True, True])
    limits = {"positive": 0.9, "negative": 0.3, "keep_best": True}
    assert match_by_thresholds(anchors, box, flags, ~flags, **limits, usable=usable).tolist() == [[-2, 0, -2]]
    assert match_by_thresholds(anchors, box, flags, ~flags, **limits).tolist() == [[0, -2, -2]]


def test_references_of_each_image_and_what_is_not_usable() -> None:
    references = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 12.0]], [[9.0, 9.0, 12.0, 12.0], [0.0] * 4]])
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0]], [[9.0, 9.0, 12.0, 12.0]]])
    valid = torch.ones(2, 1, dtype=torch.bool)
    usable = torch.tensor([[True, True], [True, False]])
    matched = match_by_thresholds(references, boxes, valid, ~valid, positive=0.5, negative=0.5, usable=usable)
    assert matched.tolist() == [[0, -1], [0, -2]]
