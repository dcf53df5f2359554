"""From scores to detections: the best candidates, suppression, padding, origins; by hand and against loops; compile."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.errors import InputError
from vedette.parts import detection
from vedette.parts.detection import (
    Candidates,
    Picked,
    best_of_each_level,
    best_of_image,
    check_score,
    find,
    rows_of,
    suppress,
    unpad,
)

Choose = Callable[..., Candidates]
examples = settings(max_examples=40, deadline=None, database=None, derandomize=True)


def candidates(pick: Callable[[Tensor, int], Picked]) -> Choose:
    """What `find` does before it suppresses, with any boxes."""

    def choose(scores: Tensor, decode: Callable[[Tensor], Tensor], *, floor: float, count: int) -> Candidates:
        best, rows, labels, _ = pick(torch.where(scores >= floor, scores, 0.0), count)
        return Candidates(decode(rows), best, labels, rows)

    return choose


best_candidates, best_of_each_class = candidates(best_of_image), candidates(detection.best_of_each_class)


def kept(found: Candidates, **how: Any) -> Candidates:
    return suppress(found, **how).kept


def decoder(boxes: Tensor) -> Callable[[Tensor], Tensor]:
    """(B, A, 4) boxes → the function from (B, K) anchors to (B, K, 4) boxes."""
    return lambda source: boxes.gather(1, source[..., None].expand(-1, -1, 4))


def random_boxes(batch: int, count: int) -> Tensor:
    low = torch.rand(batch, count, 2, dtype=torch.float64) * 80 - 20
    return torch.cat([low, low + 20 + torch.rand(batch, count, 2, dtype=torch.float64) * 30], -1)


def slow_iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_detect(
    scores: list[list[float]], boxes: list[list[float]], floor: float, count: int, iou: float, keep: int
) -> list[tuple[float, int, int]]:
    """One image: (score, label, anchor), best first."""
    pairs = [(s, c, a) for a, row in enumerate(scores) for c, s in enumerate(row) if s >= floor]
    found: list[tuple[float, int, int]] = []
    for score, label, anchor in sorted(pairs, reverse=True)[:count]:
        if all(label != other or slow_iou(boxes[anchor], boxes[a]) <= iou for _, other, a in found):
            found.append((score, label, anchor))
    return found[:keep]


def test_the_best_candidates_by_hand() -> None:
    scores = torch.tensor([[[0.1, 0.9], [0.5, 0.05], [0.0, 0.7]], [[0.01, 0.02], [0.0, 0.3], [0.04, 0.05]]])
    boxes = torch.arange(24.0).view(2, 3, 4)
    best = best_candidates(scores, decoder(boxes), floor=0.05, count=4)
    assert best.scores[0].tolist() == pytest.approx([0.9, 0.7, 0.5, 0.1])
    assert best.labels[0].tolist() == [1, 1, 0, 0]
    assert best.source[0].tolist() == [0, 2, 1, 0]
    assert best.boxes[0].tolist() == boxes[0, [0, 2, 1, 0]].tolist()
    assert best.scores[1].tolist() == pytest.approx([0.3, 0.05, 0, 0])  # one of exactly the floor counts
    assert best.labels[1, :2].tolist() == [1, 1]
    assert best.source[1, :2].tolist() == [1, 2]


def test_no_more_candidates_than_pairs() -> None:
    best = best_candidates(torch.rand(2, 3, 2), decoder(random_boxes(2, 3)), floor=0.0, count=400)
    assert best.scores.shape == (2, 6)
    assert kept(best, iou=0.5, keep=200, floor=0.0).scores.shape == (2, 6)


def test_the_best_of_each_class_by_hand() -> None:
    scores = torch.tensor([[[0.1, 0.9], [0.5, 0.05], [0.3, 0.7]], [[0.01, 0.02], [0.0, 0.3], [0.04, 0.05]]])
    boxes = torch.arange(24.0).view(2, 3, 4)
    best = best_of_each_class(scores, decoder(boxes), floor=0.05, count=2)
    assert best.labels.tolist() == [[0, 0, 1, 1]] * 2
    assert best.scores[0].tolist() == pytest.approx([0.5, 0.3, 0.9, 0.7])
    assert best.source[0].tolist() == [1, 2, 0, 2]
    assert best.boxes[0].tolist() == boxes[0, [1, 2, 0, 2]].tolist()
    assert best.scores[1].tolist() == pytest.approx([0, 0, 0.3, 0.05])  # one of exactly the floor counts
    assert best.source[1, 2] == 1
    assert best_of_each_class(scores, decoder(boxes), floor=0.0, count=400).scores.shape == (2, 6)


@examples
@given(st.integers(0, 2**31))
def test_the_best_of_each_class_equal_the_loop(seed: int) -> None:
    torch.manual_seed(seed)
    scores, boxes = torch.rand(2, 15, 3, dtype=torch.float64), random_boxes(2, 15)
    best = best_of_each_class(scores, decoder(boxes), floor=0.3, count=6)
    found = unpad(kept(best, iou=0.4, keep=9, floor=0.3))
    for image in range(2):
        rows = []
        for label in range(3):
            own = [[s if c == label else 0.0 for c, s in enumerate(row)] for row in scores[image].tolist()]
            rows += slow_detect(own, boxes[image].tolist(), 0.3, 6, 0.4, 6)
        expected = sorted(rows, reverse=True)[:9]
        assert found[image].labels.tolist() == [label for _, label, _ in expected]
        assert found[image].source.tolist() == [anchor for _, _, anchor in expected]
        torch.testing.assert_close(found[image].boxes, boxes[image, found[image].source].float())


def test_suppression_by_hand() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 1, 1]]])
    scores, labels = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.0]]), torch.tensor([[1, 1, 0, 1, 1]])
    given = Candidates(boxes, scores, labels, torch.tensor([[40, 41, 42, 43, 44]]))
    hard = kept(given, iou=0.45, keep=3, floor=0.05)
    assert hard.source.tolist() == [[40, 42, 43]]
    assert hard.labels.tolist() == [[1, 0, 1]]
    assert hard.boxes.tolist() == boxes[:, [0, 2, 3]].tolist()
    linear = kept(given, iou=0.45, keep=4, floor=0.05, method="linear")
    assert linear.source.tolist() == [[40, 42, 43, 41]]
    assert linear.scores[0].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.08])
    above = kept(given, iou=0.45, keep=4, floor=0.1, method="linear")
    assert above.scores[0].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.0])
    gaussian = kept(given, iou=0.45, keep=4, floor=0.05, method="gaussian")
    assert gaussian.scores[0].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.8 * 2.718281828 ** (-(0.9**2) / 0.5)])


@examples
@given(st.integers(0, 2**31))
def test_equals_the_loop(seed: int) -> None:
    torch.manual_seed(seed)
    scores, boxes = torch.rand(2, 15, 3, dtype=torch.float64), random_boxes(2, 15)
    best = best_candidates(scores, decoder(boxes), floor=0.3, count=20)
    found = unpad(kept(best, iou=0.4, keep=9, floor=0.3))
    for image in range(2):
        expected = slow_detect(scores[image].tolist(), boxes[image].tolist(), 0.3, 20, 0.4, 9)
        assert found[image].labels.tolist() == [label for _, label, _ in expected]
        assert found[image].source.tolist() == [anchor for _, _, anchor in expected]
        torch.testing.assert_close(found[image].scores, torch.tensor([s for s, _, _ in expected]))
        torch.testing.assert_close(found[image].boxes, boxes[image, found[image].source].float())


@pytest.mark.parametrize("method", ["hard", "linear", "gaussian"])
def test_scores_descend_and_every_detection_is_its_anchors(method: str) -> None:
    scores, boxes = torch.rand(3, 30, 4), random_boxes(3, 30)
    best = best_candidates(scores, decoder(boxes), floor=0.2, count=50)
    stayed = kept(best, iou=0.4, keep=20, floor=0.2, method=method)  # type: ignore[arg-type]
    for image, found in enumerate(unpad(stayed)):
        assert (found.scores.diff() <= 0).all()
        assert (found.scores > 0.2).all()
        assert torch.equal(found.boxes, boxes[image, found.source].float())
        own = scores[image, found.source, found.labels]
        assert torch.equal(found.scores, own) if method == "hard" else (found.scores <= own).all()


@pytest.mark.parametrize("method", ["hard", "linear"])
def test_a_batch_gives_what_single_images_give(method: str) -> None:
    scores, boxes = torch.rand(2, 30, 4), random_boxes(2, 30)

    def detect(rows: slice) -> Candidates:
        best = best_candidates(scores[rows], decoder(boxes[rows]), floor=0.2, count=50)
        return kept(best, iou=0.4, keep=20, floor=0.2, method=method)  # type: ignore[arg-type]

    together = detect(slice(None))
    for image in range(2):
        for both, one in zip(together, detect(slice(image, image + 1)), strict=True):
            assert torch.equal(both[image : image + 1], one)


@pytest.mark.parametrize("choose", [best_candidates, best_of_each_class])
@pytest.mark.parametrize("method", ["hard", "linear"])
@pytest.mark.parametrize(("images", "anchors"), [(0, 5), (2, 0), (0, 0), (2, 5)])
def test_nothing_found(images: int, anchors: int, method: str, choose: Choose) -> None:
    best = choose(torch.zeros(images, anchors, 3), decoder(torch.rand(images, anchors, 4)), floor=0.05, count=9)
    found = unpad(kept(best, iou=0.5, keep=4, floor=0.05, method=method))  # type: ignore[arg-type]
    assert [len(d) for d in found] == [0] * images
    assert all(d.boxes.shape == (0, 4) and d.source.shape == (0,) for d in found)


@pytest.mark.parametrize("choose", [best_candidates, best_of_each_class])
def test_nan_scores_find_nothing(choose: Choose) -> None:
    scores = torch.full((1, 3, 2), float("nan"))
    assert (choose(scores, decoder(random_boxes(1, 3)), floor=0.05, count=4).scores == 0).all()


def test_detections_are_float32() -> None:
    best = best_candidates(torch.rand(1, 9, 2).bfloat16(), decoder(random_boxes(1, 9)), floor=0.1, count=9)
    (found,) = unpad(kept(best, iou=0.5, keep=5, floor=0.1, method="linear"))
    assert found.boxes.dtype == found.scores.dtype == torch.float32
    assert found.labels.dtype == found.source.dtype == torch.int64


@pytest.mark.parametrize("choose", [best_candidates, best_of_each_class])
@pytest.mark.parametrize("method", ["hard", "linear"])
def test_compiles_whole_for_any_batch(method: str, choose: Choose) -> None:
    def detect(scores: Tensor, boxes: Tensor) -> Candidates:
        best = choose(scores, decoder(boxes), floor=0.2, count=50)
        return kept(best, iou=0.4, keep=20, floor=0.2, method=method)  # type: ignore[arg-type]

    torch.compiler.reset()
    compiled = torch.compile(detect, fullgraph=True, backend="eager")
    for images in (2, 3, 1, 4):
        scores, boxes = torch.rand(images, 40, 3), random_boxes(images, 40).float()
        for found, expected in zip(compiled(scores, boxes), detect(scores, boxes), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_score_that_cannot_be_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 1"):
        check_score(score)


def test_the_ends_of_the_scores_are_taken() -> None:
    check_score(0.0)
    check_score(1.0)


def test_find_by_hand() -> None:
    """Two anchors on one object, one elsewhere, one whose box has no area."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 1, 10, 10], [20, 20, 30, 24], [5, 5, 5, 9]]])
    scores = torch.tensor([[[0.9, 0.0], [0.8, 0.3], [0.7, 0.0], [0.95, 0.0]]])

    def boxes_at(rows: Tensor, labels: Tensor) -> Tensor:
        return rows_of(boxes, rows)

    def pick(scores: Tensor) -> Picked:
        return best_of_image(scores, 5)

    found = find(scores, boxes_at, pick, floor=0.2, iou=0.5, keep=9)
    assert found.candidates.source.tolist() == [[3, 0, 1, 2, 1]]
    assert found.candidates.scores[0, 0] == 0  # without area
    assert found.kept.source[0, :3].tolist() == [0, 2, 1]
    assert found.kept.labels[0, :3].tolist() == [0, 0, 1]
    assert found.places[0, :3].tolist() == [1, 3, 4]
    assert found.search is not None
    assert found.search.scores is scores
    assert found.search.picked.scores[0].tolist() == pytest.approx([0.95, 0.9, 0.8, 0.7, 0.3])  # area or not
    assert found.search[4:] == (0.2, 0.5, 9, "hard", 0.0)
    large = find(scores, boxes_at, pick, floor=0.2, iou=0.5, keep=9, least_side=5.0)
    assert large.kept.source[0, large.kept.scores[0] > 0].tolist() == [0, 1]
    moved = found.from_sources(torch.tensor([[40, 41, 42, 43]]))
    assert moved.kept.source[0, :3].tolist() == [40, 42, 41]
    assert moved.search is found.search


def test_the_best_of_each_level_by_hand() -> None:
    scores = torch.tensor([[[0.1, 0.9], [0.5, 0.2], [0.3, 0.7]]])
    best = best_of_each_level(scores, 2, (2, 1))
    assert best.scores[0].tolist() == pytest.approx([0.9, 0.5, 0.7, 0.3])
    assert best.rows.tolist() == [[0, 1, 2, 2]]
    assert best.labels.tolist() == [[1, 0, 1, 0]]
    assert best_of_each_level(scores, 2, (2, 1), apart=True).labels.tolist() == [[0, 0, 1, 1]]


def test_the_picked_say_what_runs_they_are() -> None:
    scores = torch.rand(2, 7, 3)
    assert best_of_image(scores, 5).runs == 0  # classes among each other
    assert detection.best_of_each_class(scores, 5).runs == 3
    assert best_of_each_level(scores, 5, (4, 3)).runs == 0
    assert best_of_each_level(scores, 5, (4, 3), apart=True).runs == 2
    assert best_of_each_level(scores, 10, (4, 3), apart=True).runs == 0  # ten of one, nine of the other
    assert best_of_each_level(scores, 10, (7,), apart=True).runs == 1


def test_find_hands_the_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []
    monkeypatch.setattr(detection, "nms", lambda boxes, scores, *_, runs, **__: handed.append(runs) or scores > 0)
    monkeypatch.setattr(detection, "soft_nms", lambda boxes, scores, *_, runs, **__: handed.append(runs) or scores)
    boxes = random_boxes(1, 9)
    for method in ("hard", "linear"):
        pick = partial(detection.best_of_each_class, count=4)
        find(torch.rand(1, 9, 3), lambda rows, _: rows_of(boxes, rows), pick, floor=0.1, iou=0.5, keep=5, method=method)
    assert handed == [3, 3]


def test_scores_that_are_no_numbers_find_nothing_and_take_no_room() -> None:
    scores, boxes = torch.tensor([[[torch.nan], [0.7], [torch.nan]]]), random_boxes(1, 3)
    pick = partial(best_of_image, count=1)
    found = find(scores, lambda rows, _: rows_of(boxes, rows), pick, floor=0.1, iou=0.5, keep=2)
    assert found.kept.source.tolist() == [[1]]


@pytest.mark.parametrize("method", ["hard", "linear"])
@pytest.mark.parametrize("score", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_detection_of_exactly_the_score_counts(score: float, method: str) -> None:
    """0.3 as float32 is above 0.3, 0.7 below 0.7: either is the score that was asked for."""
    exact = torch.tensor(score)
    below = torch.nextafter(exact, torch.tensor(0.0))
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]]])
    scores = torch.stack([below, exact, torch.tensor(torch.nan)]).view(1, 3, 1)
    found = find(
        scores,
        lambda rows, labels: rows_of(boxes, rows),
        lambda scores: best_of_image(scores, 3),
        floor=score,
        iou=0.5,
        keep=3,
        method=method,  # type: ignore[arg-type]
    )
    assert [one.source.tolist() for one in unpad(found.kept)] == [[1]]


def test_a_score_weakened_below_the_floor_is_none() -> None:
    """The second overlaps the first by a third: 0.6 times 2/3 is 0.4."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 5, 10, 15]]])
    both = Candidates(boxes, torch.tensor([[0.9, 0.6]]), torch.zeros(1, 2, dtype=torch.int64), torch.arange(2)[None])
    for floor, count in ((0.39, 2), (0.41, 1)):
        found = suppress(both, iou=0.3, keep=2, floor=floor, method="linear").kept
        assert len(unpad(found)[0]) == count


def test_a_score_is_a_python_number() -> None:
    for value in (0.5, 1, 0, np.float32(0.5), np.float64(0.5), np.int64(1)):
        score = check_score(value)  # type: ignore[arg-type]
        assert type(score) is float
        assert score == value
    for value in ("0.5", None, True, np.bool_(True), np.array([0.5])):
        with pytest.raises(InputError, match="give a number from 0 to 1"):
            check_score(value)  # type: ignore[arg-type]


def test_the_number_before_another_of_float32() -> None:
    numbers = [0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 2**-20, *np.random.default_rng(0).random(10_000).tolist()]
    before = np.array([detection._before(number) for number in numbers], np.float32)
    assert np.array_equal(before, np.nextafter(np.array(numbers, np.float32), np.float32(-1)))
    assert detection._before(0.0) == 0.0
