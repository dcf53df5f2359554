"""NMS, hard and soft: hand-written numbers, a loop over single candidates, groups, ties, padding, compile."""

from math import exp, inf, nan

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.ops.nms import nms, soft_nms

examples = settings(max_examples=40, deadline=None, database=None, derandomize=True)
devices = pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
)
Box = list[float]


def slow_iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def slow_nms(boxes: list[Box], scores: list[float], groups: list[int], iou: float) -> list[bool]:
    keep = [False] * len(boxes)
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):  # stable: of equal scores the first
        rivals = [j for j in range(len(boxes)) if keep[j] and groups[j] == groups[i]]
        keep[i] = scores[i] > 0 and all(slow_iou(boxes[i], boxes[j]) <= iou for j in rivals)
    return keep


def slow_soft_nms(
    boxes: list[Box], scores: list[float], groups: list[int], method: str, iou: float, sigma: float
) -> list[float]:
    """Figure 2 of the paper, group by group."""
    scores = list(scores)
    for group in set(groups):
        waiting = [i for i, own in enumerate(groups) if own == group]
        while waiting:
            best = max(waiting, key=lambda i: scores[i])
            waiting.remove(best)
            for i in waiting:
                overlap = slow_iou(boxes[best], boxes[i])
                if method == "gaussian":
                    scores[i] *= exp(-(overlap**2) / sigma)
                elif overlap >= iou:
                    scores[i] *= 1 - overlap
    return scores


def candidates(
    batch: int, count: int, groups: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Crowded boxes, some with negative coordinates; a tenth of them padding."""
    low = torch.rand(batch, count, 2, dtype=dtype) * 80 - 40
    boxes = torch.cat([low, low + 20 + 40 * torch.rand(batch, count, 2, dtype=dtype)], -1)
    scores = torch.rand(batch, count, dtype=dtype).clamp(min=0.1) - 0.1
    return boxes, scores, torch.randint(groups, (batch, count))


def loop(function: object, boxes: Tensor, scores: Tensor, groups: Tensor, *more: object) -> list[list[float]]:
    rows = zip(boxes.tolist(), scores.tolist(), groups.tolist(), strict=True)
    return [function(*row, *more) for row in rows]


@pytest.mark.parametrize("block", [1, 2, 256])
def test_nms_by_hand(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.ops.nms.BLOCK", block)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 8], [0, 0, 10, 5], [30, 30, 40, 40]]])
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.0]])
    groups = torch.tensor([[0, 0, 1, 0, 0]])
    # the second falls to the first (0.8), the third is of another class, 0.5 is not above 0.5, a score of 0 is padding
    assert nms(boxes, scores, groups, 0.5).tolist() == [[True, False, True, True, False]]
    assert nms(boxes, scores, groups, 0.49).tolist() == [[True, False, True, False, False]]


def test_what_was_dropped_drops_nothing() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]])
    assert nms(boxes, torch.tensor([[0.9, 0.8, 0.7]]), torch.zeros(1, 3).long(), 0.4).tolist() == [[True, False, True]]


def test_classes_do_not_meet_at_negative_coordinates() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [-10, -10, 0, 0], [-30, -30, -20, -20]]])
    assert nms(boxes, torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 1, 3]]), 0.5).all()


def test_a_box_that_is_no_box_leaves_the_others_alone() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [nan, 0, nan, 10], [0, 0, inf, inf], [0, 0, 10, 9], [0, 0, 10, 8]]])
    scores, groups = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]]), torch.tensor([[0, 0, 0, 0, 1]])
    assert nms(boxes, scores, groups, 0.5)[0, [0, 3, 4]].tolist() == [True, False, True]


def test_padding_leaves_the_others_alone_wherever_it_lies_and_no_score_is_padding() -> None:
    boxes = torch.tensor([[[0.0, 0, 1e30, 1e30], [0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [0, 0, 10, 10]]])
    scores, groups = torch.tensor([[0.0, 0.8, 0.7, 0.6, nan]]), torch.tensor([[0, 1, 2, 1, 1]])
    assert nms(boxes, scores, groups, 0.5).tolist() == [[False, True, True, False, False]]


def test_equal_scores_keep_the_first() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [0, 0, 10, 10]]])
    scores, groups = torch.full((1, 4), 0.5), torch.zeros(1, 4).long()
    assert nms(boxes, scores, groups, 0.5).tolist() == [[True, False, False, False]]
    assert nms(boxes.flip(1), scores, groups, 0.5).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("block", [1, 7, 256, 10_000])
def test_many_candidates_equal_the_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the best down, one by one, block by block or all at once."""
    monkeypatch.setattr("vedette.ops.nms.BLOCK", block)
    boxes, scores, groups = candidates(2, 300, 7)
    scores[0, :40] = 0.5  # ties
    full = torch.tensor(loop(slow_nms, boxes, scores, groups, 0.3))
    assert torch.equal(nms(boxes, scores, groups, 0.3), full)
    for enough in (1, 5, 20, 300):
        kept = nms(boxes, scores, groups, 0.3, enough)
        assert (full | ~kept).all()  # nothing but what stays
        for image in range(2):
            best, found = (torch.where(mask[image], scores[image], 0).topk(enough).values for mask in (full, kept))
            assert torch.equal(best, found)


def test_the_search_goes_on_until_enough_stay() -> None:
    copies = torch.tensor([[0.0, 0, 10, 10]]).repeat(50, 1)
    apart = torch.tensor([[20.0, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    boxes, scores = torch.cat([copies, apart])[None], torch.linspace(0.9, 0.1, 53)[None]
    assert nms(boxes, scores, torch.zeros(1, 53).long(), 0.5, 3).nonzero()[:, 1].tolist()[:3] == [0, 50, 51]


@devices
def test_nms_equals_the_loop(device: str) -> None:
    boxes, scores, groups = candidates(6, 40, 3)
    scores[0, :20] = 0.5  # ties
    kept = nms(boxes.to(device), scores.to(device), groups.to(device), 0.3)
    assert kept.tolist() == loop(slow_nms, boxes, scores, groups, 0.3)


@devices
def test_classes_far_from_the_origin_are_kept_apart_exactly(device: str) -> None:
    """An offset a class in float32 would move these boxes by tenths of a pixel and flip what is near the threshold."""
    count, classes, threshold = 600, 91, 0.5
    low = 9000 + torch.randint(0, 8000, (2, count // 2, 2)) / 8
    size = torch.randint(40, 400, (2, count // 2, 2)) / 8
    first = torch.cat([low, low + size], -1)
    second = first.clone()
    second[..., 2] -= size[..., 0] / 2 + 0.125 * torch.randint(-1, 2, (2, count // 2))  # IoU just about one half
    boxes = torch.stack([first, second], 2).flatten(1, 2)
    scores = torch.rand(2, count) + 0.1
    groups = torch.randint(classes, (2, count // 2, 1)).expand(-1, -1, 2).flatten(1)
    kept = nms(boxes.to(device), scores.to(device), groups.to(device), threshold)
    expected = torch.zeros_like(kept, device="cpu")
    for image in range(2):
        for group in range(classes):
            own = (groups[image] == group).nonzero().squeeze(1)
            local = boxes[image, own].double() - 9000  # exact: multiples of 1/8
            expected[image, own[torchvision.ops.nms(local, scores[image, own].double(), threshold)]] = True
    assert torch.equal(kept.cpu(), expected)
    assert 0.6 < expected.float().mean() < 0.9  # both answers occur


@devices
def test_runs_change_nothing_but_the_time(device: str) -> None:
    boxes, scores, groups = candidates(3, 60, 1)
    scores = scores.view(3, 4, 15).sort(-1, descending=True).values.flatten(1)
    scores[torch.rand(3, 60) < 0.1] = 0  # padding in the midst
    inputs = [t.to(device) for t in (boxes, scores, groups + torch.arange(4).repeat_interleave(15))]
    assert torch.equal(nms(*inputs, 0.4, runs=4), nms(*inputs, 0.4))
    assert torch.equal(soft_nms(*inputs, iou=0.4, runs=4), soft_nms(*inputs, iou=0.4))


@devices
def test_images_do_not_meet(device: str) -> None:
    boxes, scores, groups = (t.to(device) for t in candidates(3, 20, 2))
    together = nms(boxes, scores, groups, 0.4)
    softened = soft_nms(boxes, scores, groups, iou=0.4)
    for image in range(3):
        alone = slice(image, image + 1)
        assert torch.equal(together[alone], nms(boxes[alone], scores[alone], groups[alone], 0.4))
        assert torch.equal(softened[alone], soft_nms(boxes[alone], scores[alone], groups[alone], iou=0.4))


@examples
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.5, 0.7]))
def test_nms_again_changes_nothing(seed: int, threshold: float) -> None:
    torch.manual_seed(seed)
    boxes, scores, groups = candidates(2, 15, 2)
    kept = nms(boxes, scores, groups, threshold)
    assert torch.equal(nms(boxes, scores * kept, groups, threshold), kept)


@examples
@given(st.integers(0, 2**31))
def test_the_order_of_candidates_does_not_matter(seed: int) -> None:
    torch.manual_seed(seed)
    boxes, scores, groups = candidates(1, 15, 2)
    scores = scores + torch.arange(15) * 1e-6  # no ties
    order = torch.randperm(15)
    assert torch.equal(
        nms(boxes, scores, groups, 0.4)[:, order], nms(boxes[:, order], scores[:, order], groups[:, order], 0.4)
    )
    soft = soft_nms(boxes, scores, groups, iou=0.4)[:, order]
    assert torch.equal(soft, soft_nms(boxes[:, order], scores[:, order], groups[:, order], iou=0.4))


def test_linear_soft_nms_by_hand() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 3], [0, 0, 10, 8]]], dtype=torch.float64)
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6]], dtype=torch.float64)
    groups = torch.tensor([[0, 0, 0, 1]])
    # 0.8 · (1 - 0.8) = 0.16; the third has IoU 0.3 with the first, at the threshold: 0.7 · 0.7 = 0.49, and goes next;
    # it overlaps the second by 0.375: 0.16 · 0.625 = 0.1
    expected = torch.tensor([[0.9, 0.1, 0.49, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(soft_nms(boxes, scores, groups, iou=0.3), expected)
    expected = torch.tensor([[0.9, 0.8 * 0.2 * 0.625, 0.7, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(soft_nms(boxes, scores, groups, iou=0.35), expected)


def test_gaussian_soft_nms_by_hand() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 5]]], dtype=torch.float64)
    scores = torch.tensor([[0.9, 0.8, 0.8]], dtype=torch.float64)
    found = soft_nms(boxes, scores, torch.tensor([[0, 0, 1]]), method="gaussian", sigma=0.5)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.8 * exp(-0.5), 0.8]], dtype=torch.float64))
    found = soft_nms(boxes, scores, torch.tensor([[0, 0, 1]]), method="gaussian", sigma=1.0)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.8 * exp(-0.25), 0.8]], dtype=torch.float64))


@devices
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_equals_the_loop(method: str, device: str) -> None:
    boxes, scores, groups = candidates(4, 30, 3)
    scores[0, :10] = 0.5  # ties
    found = soft_nms(boxes.to(device), scores.to(device), groups.to(device), method=method, iou=0.2, sigma=0.4)
    expected = torch.tensor(loop(slow_soft_nms, boxes, scores, groups, method, 0.2, 0.4), dtype=torch.float64)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-12, atol=1e-12)


def test_soft_nms_lets_the_first_of_equals_go_first() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 10]]])
    assert soft_nms(boxes, torch.full((1, 2), 0.5), torch.zeros(1, 2).long()).tolist() == [[0.5, 0.0]]


@devices
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_of_groups_large_small_and_strange(method: str, device: str) -> None:
    """A group of half the candidates beside groups of one, numbers far apart and below 0, ties and padding."""
    boxes, scores, groups = candidates(3, 60, 30, torch.float32)
    groups = torch.where(torch.rand(3, 60) < 0.5, -1, 1000 * groups)
    groups[0], groups[1, :2] = 5, 30000
    scores = (scores * 8).round() / 8  # many ties, much padding
    scores[2, 40:] = 0
    found = soft_nms(boxes.to(device), scores.to(device), groups.to(device), method=method)
    expected = torch.tensor(loop(slow_soft_nms, boxes, scores, groups, method, 0.3, 0.5))
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-6)
    assert (found[0] > 0).sum() > 25


def test_soft_nms_compares_in_double() -> None:
    """In float32 the second would fall below the third after the first round, and the third would go before it."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]]])  # each has IoU 1 / 3 with the next
    second = torch.tensor(0.75)
    weakened = second.double() * (1 - 1 / 3)
    third = weakened.float()
    assert second * (1 - torch.tensor(1 / 3)) < third <= weakened
    found = soft_nms(boxes, torch.stack([torch.tensor(0.9), second, third])[None], torch.zeros(1, 3).long())
    torch.testing.assert_close(found[0], torch.stack([torch.tensor(0.9), third, third * 2 / 3]))


def test_soft_nms_leaves_padding_as_it_is() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8], [0, 0, 10, 8]]])
    scores = torch.tensor([[0.0, 0.5, -1.0, 0.25]])
    found = soft_nms(boxes, scores, torch.zeros(1, 4).long(), iou=0.5)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.5, -1.0, 0.25 / 9]]))


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_never_raises_a_score(method: str) -> None:
    boxes, scores, groups = candidates(3, 30, 2)
    softened = soft_nms(boxes, scores, groups, method=method)
    assert (softened <= scores).all()
    assert (softened >= 0).all()
    assert torch.equal(softened.amax(1), scores.amax(1))  # the best stays as it is


def test_soft_nms_refuses_another_method() -> None:
    with pytest.raises(ValueError, match="'lineal'"):
        soft_nms(*candidates(1, 3, 1), method="lineal")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 5)])
def test_no_candidates(shape: tuple[int, int]) -> None:
    boxes, scores, groups = torch.zeros(*shape, 4), torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
    assert nms(boxes, scores, groups, 0.5).shape == shape
    assert soft_nms(boxes, scores, groups).shape == shape


def test_padding_alone() -> None:
    boxes, scores, groups = torch.zeros(2, 5, 4), torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.int64)
    assert not nms(boxes, scores, groups, 0.5).any()
    assert not nms(boxes, scores - 1, groups, 0.5).any()
    assert torch.equal(soft_nms(boxes, scores, groups, method="gaussian"), scores)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("box_dtype", [torch.float32, torch.float64])
def test_scores_keep_their_type(dtype: torch.dtype, box_dtype: torch.dtype) -> None:
    boxes, scores, groups = candidates(1, 12, 2)
    kept = nms(boxes.to(box_dtype), scores.to(dtype), groups, 0.4)
    assert kept.dtype == torch.bool
    assert kept.tolist() == loop(slow_nms, boxes, scores.to(dtype), groups, 0.4)
    softened = soft_nms(boxes.to(box_dtype), scores.to(dtype), groups, method="gaussian")
    assert softened.dtype == dtype
    expected = torch.tensor(loop(slow_soft_nms, boxes, scores.to(dtype), groups, "gaussian", inf, 0.5))
    torch.testing.assert_close(softened.float(), expected, rtol=0.03, atol=0.01)


def test_inputs_are_left_alone() -> None:
    inputs = candidates(2, 10, 2)
    before = [t.clone() for t in inputs]
    nms(*inputs, 0.5)
    soft_nms(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def test_the_operators_keep_torchs_rules() -> None:
    boxes, scores, groups = candidates(2, 6, 2, torch.float32)
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(torch.ops.vedette.nms.default, (boxes, scores, groups, 0.5, 6), test_utils=checks)
    for linear in (True, False):
        for number in (scores, scores.bfloat16()):
            arguments = (boxes, number, groups, linear, 0.3, 0.5)
            torch.library.opcheck(torch.ops.vedette.soft_nms.default, arguments, test_utils=checks)


def test_both_compile_whole_and_for_any_count() -> None:
    def both(boxes: Tensor, scores: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        return nms(boxes, scores, groups, 0.45), soft_nms(boxes, scores, groups, method="gaussian")

    torch.compiler.reset()
    compiled = torch.compile(both, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch, count in ((2, 7), (3, 9), (4, 20), (2, 30)):
        inputs = candidates(batch, count, 3, torch.float32)
        for found, expected in zip(compiled(*inputs), both(*inputs), strict=True):
            assert torch.equal(found, expected)
