"""Non-maximum suppression of a whole batch at once, hard and soft.

Shapes: `B` images, or any rows to be kept apart, `K` candidates of each. A candidate suppresses candidates of its own
image and group (its class) alone. Every function has static shapes: it returns a mask or new scores for the K
candidates, never a shorter list. On a GPU the work is done by the kernels of `nms_triton`, and the host does not wait.

There it saves time to say what is known of the order: `runs` of how many stretches of equal length each image's
candidates consist, each of one group of its own and from its best down; 0 where they may be in any order.
"""

from math import nextafter
from typing import Literal

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import threshold

from vedette.ops.boxes import area
from vedette.ops.boxes import iou as pairwise_iou
from vedette.ops.kernels import has_kernels, torchvision_nms

BLOCK = 256  # candidates that are compared at once with what stays so far


def nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int | None = None, runs: int = 0) -> Tensor:
    """Greedy hard NMS: which candidates stay.

    boxes (B, K, 4) pixels; scores (B, K); groups (B, K) int64; candidates with a score of 0 or less are padding and
    never stay. One is dropped where a better one that stays (ties: the first), of the same group, overlaps it with
    IoU > `iou`. enough: how many of an image are wanted; beyond its best so many, some that stay may be missing.
    runs: what is known of the order, see above. → (B, K) bool.
    """
    enough = scores.shape[1] if enough is None else enough
    kernel = _nms if _is_direct(scores) else torch.ops.vedette.nms
    keep: Tensor = kernel(boxes, scores, groups, iou, enough, runs)
    return keep


def _is_direct(values: Tensor) -> bool:
    """Whether nobody looks on: to call an operation imports PyTorch's compiler, which takes longer than PyTorch."""
    return values.device.type == "cpu" and not isinstance(values, FakeTensor) and not torch.compiler.is_compiling()


def _nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int, runs: int = 0) -> Tensor:
    """A static shape around what the data say, so that a compiled `detect` holds it as one opaque operation.

    On a GPU without triton (Windows) torchvision's kernel takes image by image, and the host waits for each. Apple's
    has no float64: the CPU does it there.
    """
    if boxes.device.type == "mps":
        return nms(boxes.cpu(), scores.cpu(), groups.cpu(), iou, enough, runs).to(boxes.device)
    if scores.numel() and has_kernels(scores):
        from vedette.ops.nms_triton import hard_nms

        return hard_nms(boxes, scores, groups, iou, enough, runs)
    keep = torch.zeros_like(scores, dtype=torch.bool)
    find = _best_that_stay if boxes.device.type == "cpu" else _all_that_stay
    for row in range(len(boxes)):  # image by image is B times fewer pairs
        order = scores[row].argsort(descending=True, stable=True)
        order = order[scores[row, order] > 0]
        if len(order):
            keep[row, find(boxes[row], scores[row], groups[row], order, iou, enough)] = True
    return keep


def _best_that_stay(boxes: Tensor, scores: Tensor, groups: Tensor, order: Tensor, iou: float, enough: int) -> Tensor:
    """Which of one image's candidates stay: at least the best `enough`. order: the candidates, from the best down.

    Block by block: those that stay so far drop what they overlap in the next block at once, and torchvision's kernel
    settles the rest of it. The kernel takes pair after pair: all at once it is several times slower.
    """
    kernel, extent = torchvision_nms(), _extent(boxes[order])
    stay, there = order[:0], boxes.new_zeros(0, 4, dtype=torch.float64)
    for block in torch.split(order, BLOCK):
        apart = _move_apart(boxes[block], groups[block], extent)
        left = (~(pairwise_iou(there, apart) > iou).any(0)).nonzero()[:, 0]
        left = left[kernel(apart[left], scores[block[left]].double(), iou)]
        stay, there = torch.cat([stay, block[left]]), torch.cat([there, apart[left]])
        if len(stay) >= enough:
            break
    return stay


def _all_that_stay(boxes: Tensor, scores: Tensor, groups: Tensor, order: Tensor, iou: float, enough: int) -> Tensor:
    """The same, where the kernel takes all pairs side by side: none is left out for being beyond `enough`."""
    apart = _move_apart(boxes[order], groups[order], _extent(boxes[order]))
    return order[torchvision_nms()(apart, scores[order].double(), iou)]


@torch.library.custom_op("vedette::nms", _nms, mutates_args=()).register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int, runs: int = 0) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def _extent(boxes: Tensor) -> Tensor:
    """How far apart groups of boxes are moved: further than any of these (N, 4) reaches."""
    low, high = boxes.double().nan_to_num(0.0, 0.0, 0.0).aminmax()
    return high - low + 1


def _move_apart(boxes: Tensor, groups: Tensor, extent: Tensor) -> Tensor:
    """(N, 4) boxes in float64, each group in a place of its own; in float32 high groups would move by 0.1 pixel."""
    return boxes.double() + (groups * extent)[:, None]


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou: float = 0.3,
    sigma: float = 0.5,
    runs: int = 0,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017): the scores after each candidate was weakened by the better ones.

    boxes (B, K, 4) pixels; scores (B, K); groups (B, K) int64. In the order of their current scores (ties: the first),
    each candidate multiplies the scores of those after it in its group: linear by 1 - IoU where IoU ≥ `iou`, Gaussian
    by exp(-IoU² / sigma). Scores of 0 or less are padding and stay. runs: what is known of the order, see above.
    → (B, K) float scores, in the order of the input.
    """
    if method not in ("linear", "gaussian"):
        raise ValueError(f"soft_nms method must be 'linear' or 'gaussian', not {method!r}")
    kernel = _soft_nms if _is_direct(scores) else torch.ops.vedette.soft_nms
    weakened: Tensor = kernel(boxes, scores, groups, method == "linear", iou, sigma, runs)
    return weakened


def _soft_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float, runs: int = 0
) -> Tensor:
    """Every image's groups side by side, `R` rows padded to the largest, `S`: S rounds over (R, S), not K over (B, K).

    In float64, as the order of nearly equal scores decides much; on a GPU in the precision of the boxes, and for
    Apple's, which has no float64, on the CPU.
    """
    if boxes.device.type == "mps":
        method: Literal["linear", "gaussian"] = "linear" if linear else "gaussian"
        given = (boxes.cpu(), scores.cpu(), groups.cpu())
        return soft_nms(*given, method=method, iou=iou, sigma=sigma, runs=runs).to(boxes.device)
    if scores.numel() and has_kernels(scores):
        from vedette.ops.nms_triton import soft_nms as soften_on_device

        return soften_on_device(boxes, scores, groups, linear, iou, sigma, runs)
    softened = scores.clone()
    image, candidate = (scores > 0).nonzero(as_tuple=True)
    if not len(image):
        return softened
    row, place, sizes = _regroup(image * (groups.amax() - groups.amin() + 1) + groups[image, candidate])
    rows = scores.new_zeros(len(sizes), int(sizes[0]), dtype=torch.float64)
    rows[row, place] = scores[image, candidate].double()
    columns = rows.new_zeros(4, *rows.shape)
    columns[:, row, place] = boxes[image, candidate].double().T
    softened[image, candidate] = _soften(columns, rows, sizes, linear, iou, sigma)[row, place].to(scores.dtype)
    return softened


def _regroup(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A row for each different key, the longest first: the row and the place in it of every key, the rows' sizes."""
    _, row, sizes = torch.unique(keys, return_inverse=True, return_counts=True)
    sizes, longest_first = sizes.sort(descending=True)
    row = longest_first.argsort()[row]
    order = row.argsort(stable=True)  # equals go in the order of the input
    place = torch.empty_like(row)
    place[order] = torch.arange(len(row), device=row.device) - (sizes.cumsum(0) - sizes)[row[order]]
    return row, place, sizes


def _soften(columns: Tensor, waiting: Tensor, sizes: Tensor, linear: bool, iou: float, sigma: float) -> Tensor:
    """columns (4, R, S): x1, y1, x2, y2; waiting (R, S) scores, 0 is padding, used up; sizes (R,) descending → (R, S).

    Who has had its turn waits with a score of 0, which is never the best and which nothing weakens.
    """
    softened, areas = torch.zeros_like(waiting), area(columns.permute(1, 2, 0))
    below = nextafter(iou, -1.0)  # threshold() keeps what is above, the paper what is not below
    rounds = torch.arange(waiting.shape[1], device=sizes.device)
    for count in (sizes[:, None] > rounds).sum(0).tolist():  # rows that are long enough for this round
        left, own = waiting[:count], columns[:, :count]
        score, best = left.max(1, keepdim=True)
        softened[:count].scatter_add_(1, best, score)
        left.scatter_(1, best, 0.0)
        overlap = _iou_with(best, own, areas[:count])
        left *= 1 - threshold(overlap, below, 0.0) if linear else torch.exp(overlap.square() / -sigma)
    return softened


def _iou_with(best: Tensor, columns: Tensor, areas: Tensor) -> Tensor:
    """(R, S) IoU of each row's boxes with its best, (R, 1): `ops.boxes.iou` made whole rounds a third slower."""
    (x1, y1, x2, y2), (left, top, right, bottom) = columns, columns.gather(2, best.expand(4, -1, -1))
    width = torch.minimum(x2, right) - torch.maximum(x1, left)
    height = torch.minimum(y2, bottom) - torch.maximum(y1, top)
    shared = width.clamp_(min=0) * height.clamp_(min=0)
    union = areas.gather(1, best) + areas - shared
    return shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


@torch.library.custom_op("vedette::soft_nms", _soft_nms, mutates_args=()).register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float, runs: int = 0) -> Tensor:
    return torch.empty_like(scores)
