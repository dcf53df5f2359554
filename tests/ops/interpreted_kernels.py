"""The kernels for a GPU beside slow loops, run by Triton's interpreter on a CPU: `test_kernels.py` starts it."""

import pytest
import torch
from torch import Tensor

from ops.test_nms import candidates, loop, slow_soft_nms
from parts.test_matching import slow_bipartite
from vedette.ops import bipartite_triton
from vedette.ops.bipartite_triton import assign_bipartite
from vedette.ops.boxes import iou
from vedette.ops.nms_triton import hard_nms, soft_nms

ENOUGH = 10**6


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes one element after the other, those that are masked too."""
    monkeypatch.setattr("vedette.ops.nms_triton.CHUNK", 64)


def greedy(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Box by box, with the overlaps of `ops.boxes.iou` in the precision of the boxes."""
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for image in range(len(boxes)):
        hit = iou(boxes[image], boxes[image]) > threshold
        for i in scores[image].argsort(descending=True, stable=True).tolist():
            rivals = hit[i] & keep[image] & (groups[image] == groups[image, i])
            keep[image, i] = scores[image, i] > 0 and not rivals.any()
    return keep


def on_a_grid(images: int, count: int) -> tuple[Tensor, Tensor]:
    """Boxes with whole corners and scores of a few values: many ties, many overlaps of exactly a half."""
    low = torch.randint(0, 12, (images, count, 2))
    boxes = torch.cat([low, low + torch.randint(1, 6, (images, count, 2))], -1).float()
    return boxes, torch.randint(0, 9, (images, count)) / 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7])
def test_hard_nms_is_greedy_in_float32(seed: int, threshold: float) -> None:
    torch.manual_seed(seed)
    boxes, scores = on_a_grid(2, 150 + seed)
    groups = torch.stack([torch.zeros(150 + seed).long(), torch.randint(-2, 3, (150 + seed,)) * 1000])
    assert torch.equal(hard_nms(boxes, scores, groups, threshold, ENOUGH), greedy(boxes, scores, groups, threshold))


def test_hard_nms_walks_over_several_tiles_of_those_that_stay() -> None:
    boxes, scores, _ = candidates(1, 300, 1, torch.float32)
    boxes = boxes + 2000 * torch.rand(1, 300, 1)  # hardly any overlap
    kept = hard_nms(boxes, scores, torch.zeros(1, 300).long(), 0.3, ENOUGH)
    assert kept.sum() > 130
    assert torch.equal(kept, greedy(boxes, scores, torch.zeros(1, 300).long(), 0.3))


def test_a_chain_within_a_tile_is_followed_to_its_end() -> None:
    """Each overlaps the next alone: the first stays, the second goes, the third stays …"""
    left = torch.arange(64.0) * 5
    boxes = torch.stack([left, torch.zeros(64), left + 10, torch.full((64,), 10.0)], -1)[None]
    kept = hard_nms(boxes, torch.linspace(0.9, 0.1, 64)[None], torch.zeros(1, 64).long(), 0.3, ENOUGH)
    assert kept[0].tolist() == [True, False] * 32


def test_enough_of_a_group_end_its_walk() -> None:
    boxes, scores, groups = candidates(2, 200, 2, torch.float32)
    boxes = boxes + 2000 * torch.rand(2, 200, 1)
    full, some = greedy(boxes, scores, groups, 0.3), hard_nms(boxes, scores, groups, 0.3, 5)
    assert (full | ~some).all()
    assert some.sum() < full.sum()
    for image in range(2):
        best, found = (torch.where(mask[image], scores[image], 0).topk(5).values for mask in (full, some))
        assert torch.equal(best, found)


def in_runs(images: int, runs: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates run by run, each from its best down, with padding at its end and in the midst of it."""
    boxes, scores = on_a_grid(images, runs * length)
    scores = scores.view(images, runs, length).sort(-1, descending=True).values
    scores = (scores * (torch.rand(images, runs, length) < 0.8)).flatten(1)
    scores[0, :length] = 0  # nothing but padding
    return boxes, scores, torch.arange(runs).repeat_interleave(length).expand(images, -1)


@pytest.mark.parametrize(("runs", "length"), [(1, 150), (3, 70), (2, 64), (4, 1), (5, 9)])
def test_hard_nms_of_runs_is_greedy(runs: int, length: int) -> None:
    torch.manual_seed(runs)
    inputs = in_runs(2, runs, length)
    assert torch.equal(hard_nms(*inputs, 0.3, ENOUGH, runs), greedy(*inputs, 0.3))


def test_runs_are_taken_at_their_word() -> None:
    """Nothing asks for the groups, nor sorts, where runs are given."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8], [0, 0, 10, 9]]])
    scores, groups = torch.tensor([[0.5, 0.4, 0.9, 0.8]]), torch.zeros(1, 4).long()
    assert hard_nms(boxes, scores, groups, 0.5, ENOUGH, 2).tolist() == [[True, False, True, False]]
    softened = soft_nms(boxes, scores, groups, True, 0.5, 0.5, 2)
    torch.testing.assert_close(softened, torch.tensor([[0.5, 0.04, 0.9, 0.8 / 9]]))


def test_enough_of_a_run_end_its_walk() -> None:
    left = torch.arange(200.0) * 20
    boxes = torch.stack([left, torch.zeros(200), left + 10, torch.full((200,), 10.0)], -1)[None]
    kept = hard_nms(boxes, torch.ones(1, 200), torch.zeros(1, 200).long(), 0.5, 3, 2)
    assert kept[0].tolist() == ([True] * 64 + [False] * 36) * 2


def test_who_stays_in_one_chunk_drops_as_who_stays_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.ops.nms_triton.CHUNK", 16)
    boxes, scores = on_a_grid(1, 200)
    boxes = boxes + 8 * torch.randint(0, 8, (1, 200, 1))
    kept = hard_nms(boxes, scores, torch.zeros(1, 200).long(), 0.3, ENOUGH)
    assert kept.sum() > 80
    assert torch.equal(kept, greedy(boxes, scores, torch.zeros(1, 200).long(), 0.3))


def test_float64_is_compared_in_float64() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 5 + 1e-12], [0, 0, 10, 5]]], dtype=torch.float64)
    scores, groups = torch.tensor([[0.5, 0.5 - 1e-12, 0.5 - 2e-12]], dtype=torch.float64), torch.tensor([[0, 0, 1]])
    assert hard_nms(boxes, scores, groups, 0.5, ENOUGH).tolist() == [[True, False, True]]
    assert hard_nms(boxes, scores.flip(1), groups, 0.5, ENOUGH).tolist() == [[False, True, True]]


@pytest.mark.filterwarnings("ignore:invalid value")  # numpy's, of ∞ - ∞
def test_boxes_that_are_no_boxes_leave_the_others_alone() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [torch.nan, 0, torch.nan, 10], [0, 0, torch.inf, torch.inf]]])
    boxes = torch.cat([boxes, torch.tensor([[[0.0, 0, 10, 9], [0, 0, 10, 8]]])], 1)
    scores, groups = torch.tensor([[0.9, 0.8, 0.7, 0.6, torch.nan]]), torch.zeros(1, 5).long()
    assert hard_nms(boxes, scores, groups, 0.5, ENOUGH).tolist() == [[True, True, True, False, False]]
    softened = soft_nms(boxes, scores, groups, False, 0.5, 0.5)[0, :4]
    torch.testing.assert_close(softened, torch.tensor([0.9, 0.8, 0.7, softened[3]]))
    assert 0 < softened[3] < 0.6


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_nms_is_the_loop(linear: bool, dtype: torch.dtype) -> None:
    boxes, scores, groups = candidates(2, 40, 3, dtype)
    groups[0] = -7
    scores[1, :10] = 0.5  # ties
    found = soft_nms(boxes, scores, groups, linear, 0.25, 0.5)  # exact in float32, as the interpreter has it
    wanted = torch.tensor(loop(slow_soft_nms, boxes, scores, groups, "linear" if linear else "gaussian", 0.25, 0.5))
    torch.testing.assert_close(found, wanted.to(dtype), rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-7)


@pytest.mark.parametrize("linear", [True, False])
def test_soft_nms_of_runs_is_the_loop(linear: bool) -> None:
    boxes, scores, groups = in_runs(2, 3, 20)
    found = soft_nms(boxes, scores, groups, linear, 0.25, 0.5, 3)
    wanted = torch.tensor(loop(slow_soft_nms, boxes, scores, groups, "linear" if linear else "gaussian", 0.25, 0.5))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    assert (found < scores).any()


def test_of_scores_that_become_equal_the_first_of_the_input_goes_first() -> None:
    boxes = torch.tensor([[[0.0, 0, 16, 3], [0, 0, 16, 8], [0, 0, 16, 16]]])
    scores = torch.tensor([[0.375, 0.75, 1.0]])  # the third takes half of the second's; they share 3 / 8 with the first
    found = soft_nms(boxes, scores, torch.zeros(1, 3).long(), True, 0.25, 0.5)
    assert found.tolist() == [[0.375, 0.375 * 0.625, 1.0]]


def test_soft_nms_in_more_than_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.ops.nms_triton.CHUNK", 16)
    boxes, scores, groups = candidates(2, 60, 2, torch.float64)
    scores = (scores * 4).round() / 4  # ties, in one chunk and in two
    wanted = torch.tensor(loop(slow_soft_nms, boxes, scores, groups, "linear", 0.25, 0.5), dtype=torch.float64)
    torch.testing.assert_close(soft_nms(boxes, scores, groups, True, 0.25, 0.5), wanted)


def test_soft_nms_leaves_padding_and_ends_at_0() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]]])
    scores = torch.tensor([[0.5, 0.75, -1.0, 0.0]])
    assert soft_nms(boxes, scores, torch.zeros(1, 4).long(), True, 0.5, 0.5).tolist() == [[0.0, 0.75, -1.0, 0.0]]


@pytest.mark.parametrize("seed", range(12))
def test_bipartite_is_the_loop(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(seed)
    monkeypatch.setattr(bipartite_triton, "CHUNK", 8 if seed % 3 else 4096)
    boxes, anchors = int(torch.randint(1, 14, ())), int(torch.randint(1, 40, ()))
    overlap = torch.rand(3, boxes, anchors, dtype=torch.float64 if seed % 2 else torch.float32)
    overlap = (overlap * 4).round() / 4 if seed % 4 < 2 else overlap * (torch.rand_like(overlap) < 0.7)
    overlap[0, 0] = -1  # padding
    overlap[2] = overlap[2, :1]  # all want the same
    anchor, taken = assign_bipartite(overlap, 1e-6)
    for image in range(3):
        own = slow_bipartite(overlap[image].tolist())
        assert {g: int(anchor[image, g]) for g in range(boxes) if taken[image, g]} == own
        assert not anchor[image][~taken[image]].any()
