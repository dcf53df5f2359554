"""The multibox loss and its mining: by hand, against loops, gradients, empty images, degenerate anchors, compile."""

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.parts.box_coder import BoxCoder
from vedette.parts.losses import box_loss, class_loss, gather_labels, mine_hard_negatives, multibox_loss
from vedette.parts.matching import match
from vedette.structures import HeadOutput

CODER = BoxCoder()
examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)
Rows = list[list[float]]


def slow_smooth_l1(x: float) -> float:
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def slow_encode(box: list[float], anchor: list[float]) -> list[float]:
    width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x, y = (box[0] + box[2] - anchor[0] - anchor[2]) / 2 / width, (box[1] + box[3] - anchor[1] - anchor[3]) / 2 / height
    return [x / 0.1, y / 0.1, log((box[2] - box[0]) / width) / 0.2, log((box[3] - box[1]) / height) / 0.2]


def slow_multibox(
    logits: list[Rows],
    deltas: list[Rows],
    anchors: list[Rows],
    boxes: list[Rows],
    labels: list[list[int]],
    matched: list[list[int]],
    minable: list[list[bool]],
    ratio: float,
    least: int,
) -> tuple[float, float]:
    """Equation 1 of SSD, anchor by anchor."""
    class_sum, box_sum, number = 0.0, 0.0, 0
    for b in range(len(logits)):
        negatives, positives = [], 0
        for a, own in enumerate(matched[b]):
            wanted = labels[b][own] if own >= 0 else 0
            loss = log(sum(exp(v) for v in logits[b][a])) - logits[b][a][wanted]
            if own >= 0:
                positives += 1
                class_sum += loss
                target = slow_encode(boxes[b][own], anchors[b][a])
                box_sum += sum(slow_smooth_l1(p - t) for p, t in zip(deltas[b][a], target, strict=True))
            elif own == -1 and minable[b][a]:
                negatives.append(loss)
        number += positives
        class_sum += sum(sorted(negatives, reverse=True)[: max(int(ratio * positives), least)])
    return class_sum / max(number, 1), box_sum / max(number, 1)


class Case:
    """A batch with boxes near some of its anchors, one of them ignored, all in float64."""

    def __init__(self, images: int = 3, anchors: int = 40, boxes: int = 4, classes: int = 3) -> None:
        low = torch.rand(images, anchors, 2, dtype=torch.float64) * 100
        self.anchors = torch.cat([low, low + 10 + 40 * torch.rand(images, anchors, 2, dtype=torch.float64)], -1)
        self.boxes = self.anchors[:, :boxes] + torch.rand(images, boxes, 4, dtype=torch.float64)
        self.labels = torch.randint(1, classes + 1, (images, boxes))
        self.valid = torch.ones(images, boxes, dtype=torch.bool)
        self.valid[-1] = False  # an image without objects
        self.ignore = torch.zeros_like(self.valid)
        self.ignore[0, :1] = True
        self.matched = match(self.anchors, self.boxes, self.valid, self.ignore)
        self.minable = torch.rand(images, anchors) < 0.8
        self.logits = torch.randn(images, anchors, classes + 1, dtype=torch.float64)
        self.deltas = torch.randn(images, anchors, 4, dtype=torch.float64)

    def loss(self, rows: slice = slice(None), ratio: float = 3.0, least: int = 0) -> tuple[Tensor, Tensor]:
        step = HeadOutput(self.logits[rows], self.deltas[rows])
        given = (t[rows] for t in (self.anchors, self.boxes, self.labels, self.matched, self.minable))
        return multibox_loss(step, *given, coder=CODER, negative_ratio=ratio, min_negatives=least)


def test_by_hand() -> None:
    """Two anchors on a box of class 2, three negatives; the logits favour nothing but on one negative."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [70, 70, 80, 80], [90, 90, 99, 99]])
    boxes, labels = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]]), torch.tensor([[2]])
    logits, deltas = torch.zeros(1, 5, 3), torch.zeros(1, 5, 4)
    logits[0, 3, 1] = log(4)  # background has 1 / 6 here
    deltas[0, 0, 2] = 0.5  # off by 1/2: 1/8; the second anchor is off by 1 / 10 / 0.1 = 1: 1/2
    deltas[0, 4] = 100  # a negative's deltas are free
    matched = torch.tensor([[0, 0, -1, -1, -2]])
    everything = torch.ones(1, 5, dtype=torch.bool)
    given = (HeadOutput(logits, deltas), anchors, boxes, labels, matched)
    classes, shifts = multibox_loss(*given, everything, coder=CODER, negative_ratio=0.5, min_negatives=0)
    assert classes.item() == pytest.approx((2 * log(3) + log(6)) / 2)
    assert shifts.item() == pytest.approx((1 / 8 + 1 / 2) / 2)
    classes, _ = multibox_loss(*given, everything, coder=CODER, negative_ratio=3, min_negatives=0)
    assert classes.item() == pytest.approx((2 * log(3) + log(6) + log(3)) / 2)  # the ignored anchor is not mined
    hidden = torch.tensor([[False, False, True, False, True]])
    classes, _ = multibox_loss(*given, hidden, coder=CODER, negative_ratio=3, min_negatives=0)
    assert classes.item() == pytest.approx((2 * log(3) + log(3)) / 2)  # positives count, hidden or not


@pytest.mark.parametrize(("ratio", "least"), [(3.0, 0), (1.0, 5), (0.5, 0)])
def test_equals_the_loop(ratio: float, least: int) -> None:
    case = Case()
    given = (case.logits, case.deltas, case.anchors, case.boxes, case.labels, case.matched, case.minable)
    expected = slow_multibox(*(t.tolist() for t in given), ratio, least)
    assert [float(t) for t in case.loss(ratio=ratio, least=least)] == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_two_is_two_batches_of_one() -> None:
    case = Case(images=2)
    case.valid[-1] = True
    case.matched = match(case.anchors, case.boxes, case.valid, case.ignore)
    count = (case.matched >= 0).sum(1)
    assert (count > 0).all()
    alone = [case.loss(slice(i, i + 1)) for i in range(2)]
    for together, (first, second) in zip(case.loss(), zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(together, (first * count[0] + second * count[1]) / count.sum())


def test_shared_anchors_are_each_images_own() -> None:
    case = Case()
    shared = case.anchors[0]
    given = (HeadOutput(case.logits, case.deltas), case.boxes, case.labels, case.matched, case.minable)
    options = {"coder": CODER, "negative_ratio": 3.0, "min_negatives": 0}
    one = multibox_loss(given[0], shared, *given[1:], **options)
    each = multibox_loss(given[0], shared.expand(3, -1, 4), *given[1:], **options)
    assert one == each


def test_images_without_objects_teach_background_only_where_asked_to() -> None:
    case = Case()
    assert [t.item() for t in case.loss(slice(-1, None))] == [0.0, 0.0]
    classes, shifts = case.loss(slice(-1, None), least=3)
    losses = class_loss(case.logits[-1:], torch.zeros_like(case.matched[-1:])).masked_fill(~case.minable[-1:], 0)
    assert classes.item() == pytest.approx(losses.topk(3).values.sum().item())
    assert shifts.item() == 0.0


@pytest.mark.parametrize(("images", "boxes", "anchors"), [(2, 0, 7), (0, 0, 7), (0, 3, 7), (2, 3, 0)])
def test_empty_batches_have_a_finite_loss_with_a_gradient(images: int, boxes: int, anchors: int) -> None:
    logits = torch.randn(images, anchors, 4, requires_grad=True)
    deltas = torch.randn(images, anchors, 4, requires_grad=True)
    matched = torch.full((images, anchors), -1)
    everything = torch.ones(images, anchors, dtype=torch.bool)
    given = (
        torch.rand(anchors, 4),
        torch.rand(images, boxes, 4),
        torch.ones(images, boxes).long(),
        matched,
        everything,
    )
    losses = multibox_loss(HeadOutput(logits, deltas), *given, coder=CODER, negative_ratio=3, min_negatives=3)
    sum(losses).backward()
    assert all(torch.isfinite(t) for t in losses)
    assert losses[1].item() == 0.0
    assert torch.isfinite(logits.grad).all()
    assert (deltas.grad == 0).all()


def test_overflown_deltas_of_a_batch_without_boxes_do_no_harm() -> None:
    deltas = torch.full((1, 3, 4), float("inf"))
    assert box_loss(deltas, torch.rand(3, 4), torch.zeros(1, 0, 4), torch.full((1, 3), -1), CODER).item() == 0.0


def test_refined_anchors_without_area_leave_loss_and_gradient_finite() -> None:
    """exp(-1e4) is 0: the ARM can shrink an anchor to a point, on a box or anywhere."""
    anchors = torch.tensor([[0.0, 0, 20, 20], [0, 0, 20, 20], [40, 40, 60, 60], [1, 0, 20, 19]])
    shrink = torch.zeros(1, 4, 4)
    shrink[0, 1:3, 2:] = torch.tensor([[-1e5, -1e5], [-1e5, 0.0]])
    refined = CODER.decode(shrink, anchors)
    assert (refined[0, 1, 2:] == refined[0, 1, :2]).all()
    boxes = torch.tensor([[[0.0, 0.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0]]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    matched = match(refined, boxes, valid, ~valid)
    assert matched.tolist() == [[0, -1, -1, 0]]
    logits, deltas = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 4, 4, requires_grad=True)
    given = (refined, boxes, torch.ones(1, 2).long(), matched, torch.ones(1, 4, dtype=torch.bool))
    losses = multibox_loss(HeadOutput(logits, deltas), *given, coder=CODER, negative_ratio=3, min_negatives=3)
    sum(losses).backward()
    for value in (*losses, logits.grad, deltas.grad):
        assert torch.isfinite(value).all()
    assert (deltas.grad[0, [0, 3]] != 0).any()


def test_class_loss_by_hand_and_in_float32() -> None:
    logits = torch.tensor([[[0.0, log(3)], [log(3), 0.0]]])
    labels = torch.tensor([[0, 0]])
    torch.testing.assert_close(class_loss(logits, labels), torch.tensor([[log(4), log(4 / 3)]]))
    assert class_loss(logits.bfloat16(), labels).dtype == torch.float32
    assert class_loss(torch.tensor([[[1e4, -1e4]]]), torch.tensor([[1]])).item() == 2e4


def test_gather_labels_by_hand() -> None:
    labels, matched = torch.tensor([[5, 7], [3, 0]]), torch.tensor([[1, -1, 0, -2], [0, 0, -1, -1]])
    assert gather_labels(labels, matched).tolist() == [[7, 0, 5, 0], [3, 3, 0, 0]]
    assert gather_labels(torch.zeros(2, 0).long(), torch.full((2, 3), -1)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_half_precision_predictions_give_a_float32_loss() -> None:
    case = Case()
    exact = case.loss()
    case.logits, case.deltas = case.logits.bfloat16(), case.deltas.bfloat16()
    case.anchors, case.boxes = case.anchors.float(), case.boxes.float()
    rough = case.loss()
    assert all(t.dtype == torch.float32 for t in rough)
    torch.testing.assert_close(torch.stack(rough), torch.stack(exact).float(), rtol=0.02, atol=0)


def test_gradients_are_right() -> None:
    """The losses work in float32, so the check allows its error; the smooth L1 alone is checked through its input."""
    case = Case(images=2, anchors=10, boxes=3)
    case.logits.requires_grad_()
    case.deltas.requires_grad_()

    def total(logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        given = (case.anchors, case.boxes, case.labels, case.matched, case.minable)
        return multibox_loss(HeadOutput(logits, deltas), *given, coder=CODER, negative_ratio=3.0, min_negatives=0)

    assert torch.autograd.gradcheck(total, (case.logits, case.deltas), eps=1e-2, atol=1e-2, rtol=1e-2)


@pytest.mark.slow
def test_compiles_whole_with_matching_for_any_number_of_boxes() -> None:
    def loss(step: HeadOutput, anchors: Tensor, boxes: Tensor, labels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        matched = match(anchors, boxes, valid, ~valid)
        everything = torch.ones_like(matched, dtype=torch.bool)
        given = (anchors, boxes, labels, matched, everything)
        return multibox_loss(step, *given, coder=CODER, negative_ratio=3.0, min_negatives=3)

    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for boxes in (2, 0, 5, 1, 9, 10, 11, 12, 13, 14):
        case = Case(images=2, boxes=boxes)
        step = HeadOutput(case.logits.float().requires_grad_(), case.deltas.float().requires_grad_())
        given = (case.anchors[0].float(), case.boxes.float(), case.labels, case.valid)
        found, expected = compiled(step, *given), loss(step, *given)
        torch.testing.assert_close(found, expected)
        sum(found).backward()
        assert torch.isfinite(step.logits.grad).all()


def slow_mine(loss: list[float], candidates: list[bool], positives: int, ratio: float, least: int) -> list[bool]:
    wanted = max(int(positives * ratio), least)
    hardest = sorted((a for a in range(len(loss)) if candidates[a]), key=lambda a: -loss[a])[:wanted]
    return [a in hardest for a in range(len(loss))]


def test_mining_by_hand() -> None:
    loss = torch.tensor([[0.1, 0.9, 0.5, 0.7, 0.3, 0.8], [0.1, 0.9, 0.5, 0.7, 0.3, 0.8]])
    candidates = torch.tensor([[True, False, True, True, True, True], [True] * 6])
    chosen = mine_hard_negatives(loss, candidates, torch.tensor([1, 0]), ratio=3.0)
    assert chosen.tolist() == [[False, False, True, True, False, True], [False] * 6]
    chosen = mine_hard_negatives(loss, candidates, torch.tensor([1, 0]), ratio=2.0, min_negatives=1)
    assert chosen.tolist() == [[False, False, False, True, False, True], [False, True, False, False, False, False]]


def test_three_negatives_a_positive_by_default() -> None:
    chosen = mine_hard_negatives(torch.rand(3, 50), torch.ones(3, 50, dtype=torch.bool), torch.tensor([0, 1, 4]))
    assert chosen.sum(1).tolist() == [0, 3, 12]


@examples
@given(st.integers(0, 2**31), st.floats(0, 5), st.integers(0, 6))
def test_mining_equals_the_loop(seed: int, ratio: float, least: int) -> None:
    torch.manual_seed(seed)
    loss, candidates, positives = torch.rand(3, 20), torch.rand(3, 20) < 0.7, torch.randint(0, 8, (3,))
    chosen = mine_hard_negatives(loss, candidates, positives, ratio, least)
    rows = zip(loss.tolist(), candidates.tolist(), positives.tolist(), strict=True)
    assert chosen.tolist() == [slow_mine(*row, ratio, least) for row in rows]


def test_ties_in_mining_do_not_change_the_count() -> None:
    candidates = torch.rand(4, 100) < 0.5
    chosen = mine_hard_negatives(torch.ones(4, 100), candidates, torch.tensor([0, 1, 5, 99]), min_negatives=2)
    assert chosen.sum(1).tolist() == [2, 3, 15, int(candidates[3].sum())]
    assert not (chosen & ~candidates).any()
    assert torch.equal(chosen, mine_hard_negatives(torch.ones(4, 100), candidates, torch.tensor([0, 1, 5, 99]), 3.0, 2))


def test_no_more_are_mined_than_there_are() -> None:
    candidates = torch.tensor([[True, False, False], [False, False, False]])
    chosen = mine_hard_negatives(torch.tensor([[0.0, 5.0, 5.0]] * 2), candidates, torch.tensor([2, 2]), min_negatives=3)
    assert torch.equal(chosen, candidates)


@pytest.mark.parametrize(("images", "anchors"), [(0, 5), (2, 0), (0, 0)])
def test_nothing_to_mine(images: int, anchors: int) -> None:
    candidates = torch.ones(images, anchors, dtype=torch.bool)
    chosen = mine_hard_negatives(torch.rand(images, anchors), candidates, torch.ones(images).long(), min_negatives=3)
    assert chosen.shape == (images, anchors)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_no_gradient_passes_mining_and_any_float_type_goes(dtype: torch.dtype) -> None:
    loss = torch.rand(2, 9, dtype=dtype, requires_grad=True)
    chosen = mine_hard_negatives(loss, torch.ones(2, 9, dtype=torch.bool), torch.tensor([1, 2]))
    assert chosen.sum(1).tolist() == [3, 6]
    assert not chosen.requires_grad
