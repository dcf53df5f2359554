"""NMS and Soft-NMS of a whole batch in ONNX's operators; `ops/nms.py` says what they do. It imports onnxscript.

Shapes: `B` images, `K` candidates of each; `R` rows of `S` candidates: the images, or their runs where there are any.
"""

from collections.abc import Callable
from typing import Any

import torch
import torchvision.ops  # noqa: F401  # registers its operators
from onnxscript import BOOL, DOUBLE, INT64, script
from onnxscript import opset18 as op  # what torch.onnx works in, before it converts to a later one

import vedette.ops.nms  # noqa: F401  # registers the operators


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What torch.onnx asks at an operator that it does not know."""
    return {
        torch.ops.vedette.nms.default: _nms,
        torch.ops.vedette.soft_nms.default: _soft_nms,
        torch.ops.aten.sort.stable: _sort,
        torch.ops.torchvision.roi_pool.default: _roi_pool,  # torch.onnx's own takes one size for two
    }


def _nms(boxes: Any, scores: Any, groups: Any, iou: float, enough: int, runs: int = 0) -> Any:
    """Without runs, each group of an image is a class of NonMaxSuppression's, its scores 0 in the others."""
    zero = op.Constant(value_float=0.0)
    rows = _in_rows(scores, scores, runs)  # (R, S)
    spread = op.Unsqueeze(rows, [1]) if runs else op.Where(_is_of(groups), op.Unsqueeze(scores, [1]), zero)
    limits = op.Constant(value_int=enough), op.Constant(value_float=iou), zero
    selected = op.NonMaxSuppression(_in_rows(boxes, scores, runs, 4), spread, *limits)  # (M, 3): row, class, candidate
    at = op.Gather(selected, [0, 2], axis=1)
    stay = op.Expand(op.Constant(value_float=1.0), op.Shape(at, start=0, end=1))
    marked = op.ScatterND(op.Mul(rows, zero), at, stay)
    return op.Reshape(op.Greater(marked, zero), op.Shape(scores))


def _soft_nms(boxes: Any, scores: Any, groups: Any, linear: bool, iou: float, sigma: float, runs: int = 0) -> Any:
    """In float64, as on a CPU: the order of nearly equal scores decides much."""
    rows = (
        op.Cast(_in_rows(values, scores, runs, *rest), to=DOUBLE.dtype) for values, *rest in ((boxes, 4), (scores,))
    )
    numbers = (op.Cast(op.Constant(value_floats=[number]), to=DOUBLE.dtype) for number in (iou, sigma))
    is_linear = op.Cast(op.Constant(value_int=int(linear)), to=BOOL.dtype)
    softened = _soften(*rows, _in_rows(groups, scores, runs), *numbers, is_linear)
    return op.Reshape(op.CastLike(softened, scores), op.Shape(scores))


def _sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> tuple[Any, Any]:
    """ONNX's TopK has equals in the order of their places."""
    count = op.Shape(values, start=dim, end=dim + 1 if dim != -1 else None)
    best, places = op.TopK(values, count, axis=dim, largest=int(descending))
    return best, places


def _roi_pool(feature: Any, rois: Any, scale: float, height: int, width: int) -> tuple[Any, Any]:
    """torchvision's gives the places of the largest values too, which nobody reads here."""
    pooled = op.MaxRoiPool(feature, rois, pooled_shape=[height, width], spatial_scale=scale)
    return pooled, pooled


def _in_rows(values: Any, scores: Any, runs: int, *rest: int) -> Any:
    """(B, K, …) → (R, S, …); S is a constant where K is: OpenVINO compiles no NMS in INT8 whose shape is computed."""
    if not runs:
        return values
    count = scores.shape[1]
    if isinstance(count, int):
        return op.Reshape(values, op.Constant(value_ints=[-1, count // runs, *rest]))
    rows = op.Mul(op.Shape(scores, start=0, end=1), op.Constant(value_ints=[runs]))
    return op.Reshape(values, op.Concat(rows, op.Constant(value_ints=[-1, *rest]), axis=0))


def _is_of(groups: Any) -> Any:
    """(B, K) → (B, G, K): whether a candidate is of each group from 0 on."""
    largest = op.Add(op.ReduceMax(groups, keepdims=0), op.Constant(value_int=1))
    every = op.Range(op.Constant(value_int=0), largest, op.Constant(value_int=1))
    return op.Equal(op.Unsqueeze(groups, [1]), op.Unsqueeze(every, [0, 2]))


@script(default_opset=op)  # type: ignore[untyped-decorator]
def _soften(
    boxes: DOUBLE[...],  # of any shape: without the dots it would be that of a number
    scores: DOUBLE[...],
    groups: INT64[...],
    iou: DOUBLE[...],
    sigma: DOUBLE[...],
    linear: BOOL,
) -> DOUBLE[...]:
    """boxes (R, S, 4), scores and groups (R, S): round after round each row's best weakens those of its group."""
    one = op.CastLike(op.Constant(value_float=1.0), scores)
    zero = op.Sub(one, one)
    low, high = op.Split(boxes, num_outputs=2, axis=2)
    areas = op.ReduceProd(op.Max(op.Sub(high, low), zero), [2], keepdims=0)
    places = op.Range(op.Constant(value_int=0), op.Squeeze(op.Shape(scores, start=1, end=2)), op.Constant(value_int=1))
    softened = op.Mul(scores, zero)
    waiting = op.Max(scores, zero)
    going = op.Greater(op.ReduceMax(waiting, keepdims=0), zero)
    while going:
        best = op.ArgMax(waiting, axis=1, keepdims=1)  # (R, 1); ties: the first
        own = op.Equal(places, best)
        softened = op.Add(softened, op.Where(own, op.GatherElements(waiting, best, axis=1), zero))
        corner = op.Expand(op.Unsqueeze(best, [2]), [1, 1, 2])  # (R, 1, 2)
        left = op.Max(low, op.GatherElements(low, corner, axis=1))
        right = op.Min(high, op.GatherElements(high, corner, axis=1))
        shared = op.ReduceProd(op.Max(op.Sub(right, left), zero), [2], keepdims=0)
        union = op.Sub(op.Add(areas, op.GatherElements(areas, best, axis=1)), shared)
        overlap = op.Where(op.Greater(union, zero), op.Div(shared, union), zero)
        kept = op.Sub(one, op.Where(op.GreaterOrEqual(overlap, iou), overlap, zero))
        faded = op.Exp(op.Neg(op.Div(op.Mul(overlap, overlap), sigma)))
        weakened = op.Mul(waiting, op.Where(linear, kept, faded))
        same = op.Equal(groups, op.GatherElements(groups, best, axis=1))
        waiting = op.Where(own, zero, op.Where(same, weakened, waiting))
        going = op.Greater(op.ReduceMax(waiting, keepdims=0), zero)
    return softened
