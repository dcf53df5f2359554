"""The trace as JSON, for a page that lets one look and turn the knobs without Python.

    {"format": 1, "detector", "picture", "score", "lowest", "reasons", "passes": [PASS, …], "merge", "detections",
     "left_out"}

detector    {"paper": "RefineDet", "classes": [name, …], "config": {field: value}}
picture     {"width", "height"} in pixels, after EXIF rotation; the pixels themselves are not in it
score       the floor that was asked for; lowest: the floor down to which all candidates are in it
reasons     words; "fates" and "reasons" below are indices into them
detections  COLUMNS boxes (picture's pixels), scores, labels, source
merge       of several passes {"rule", "votes": bool, "looks": (K,) int32, "fates": (K,) uint8, "by": (K,) int32}: of
            their detections one after the other; null for one. rule: {"floor", "iou", "method", "sigma", "keep"}
left_out    sentences: what is not in it

A PASS is a look at the picture: {"input", "levels", "stages", "steps", "detections"}

input       {"width", "height", "padded": [height, width], "size", "mirrored", "scale": [x, y]}: a box of the input
            becomes one of the picture so: mirrored, x → width - x (and x1, x2 change places); times scale; cut at the
            picture; without area it is outside and gone. This comes last, behind NMS and keep.
levels      of the anchors, fine to coarse: {"first": its first anchor, "rows", "columns", "per_cell", "stride": [x, y],
            "shapes": [[width, height], …] of the first cell's anchors, "receptive"}: input pixels. Anchors run level by
            level, row by row, cell by cell. receptive: {head: [x1, y1, x2, y2]} of what its middle cell sees ("arm" and
            "odm", "rpn" or "head"), null unless asked for: `Trace.to_json(receptive=True)`. [] where there are regions.
steps       [{"name", "in", "on", "reasons": {word: number}}, …] as in `Trace.steps`
detections  of this pass alone, as above

A stage is a `find`: {"enter", "name", "last", "rows", "rule", "references", "moved", "objectness", "best", "maps",
"candidates", "regions"}. Boxes are in the input's pixels. `A` rows: anchors, or what was proposed; `K` candidates.

enter       "anchors" or "regions"; name: what its steps' names begin with, "rpn " or ""; last: it gives detections
rule        {"pick": {"of": "image" | "class" | "level", "count", "levels"}, "floor", "iou", "method": "hard" | "linear"
            | "gaussian", "sigma", "keep", "least_side", "theta"}. In this order: rows with emptiness > theta go; scores
            below the floor go; the count best pairs of the image, of each class or of each level (levels: anchors of
            each) are picked; boxes with a side of 0 or below least_side go; NMS in each group; the keep best of the
            image. theta null: no rows go first. Numbers compare as float32, `Math.fround`; IoU in float64. hard:
            IoU > iou drops; linear: IoU ≥ iou weakens by 1 - IoU; gaussian: any by exp(-IoU² / sigma), and soft ones go
            below the floor.
references  (A, 4) int16 anchors or regions; moved: (A, 4) int16 after the first move, or null
objectness  (A,) uint8 of being an object; 1 where nobody was asked
best        {"scores": (A,) uint8, "labels": (A,) int32, "boxes": (A, 4) int16, "fates": (A,) uint8} of each row's best
            class: what a click anywhere needs
maps        (cells of all levels, C) uint8: the highest score of a cell's anchors for each class; null without levels
candidates  COLUMNS by descending score, float32 or int32: rows (K,), source (K,) anchor (or region of selective
            search), labels (K,), boxes (K, 4), scores (K,), objectness (K,), emptiness (K,) (0 without theta), group
            (K,) what NMS keeps apart, fates (K,) uint8, by (K,) place among the candidates, -1 nobody, overlap (K,) IoU
            with it, after (K,) score after Soft-NMS. In the last stage: all pairs that some theta lets among the picked
            ones at a floor from `lowest` on; so theta, floor, iou, sigma, method and keep may be turned.
regions     where the stage pools them {"levels": (A,) int32, "windows": (A, 4) float32 in cells of that level's map,
            "bins": a side, "strides": of the levels, "warped": true where the window is warped to that many pixels},
            else null

A column is {"type": "float32" | "int32" | "int16" | "uint8", "shape", "data"}: base64 of little-endian numbers, row by
row; with "scale" it is quantised, a value is the number times it.
"""

from dataclasses import asdict
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vedette.glass.candidates import candidates, picked_of
from vedette.glass.columns import column, quantised, quantised_boxes
from vedette.glass.levels import Level, levels_of
from vedette.glass.merge import Merge
from vedette.glass.record import REASONS, Step
from vedette.glass.regions import Regions
from vedette.glass.stage import Stage
from vedette.ops.nms import soft_nms
from vedette.structures import Detections

if TYPE_CHECKING:
    from vedette.glass.trace import Pass, Trace

FORMAT = 1
LOWEST = 0.01  # the floor from which on all candidates are told
SIGMA = signature(soft_nms).parameters["sigma"].default


def portable(trace: "Trace", receptive: bool = False) -> dict[str, Any]:
    """The trace as what `json` writes, as this module's docstring has it."""
    lowest, left_out = min(LOWEST, trace.score), [list[str]() for _ in trace.passes]
    passes = [_pass(trace, one, n, lowest, left_out[n], receptive) for n, one in enumerate(trace.passes)]
    config = trace.detector.model.config
    return {
        "format": FORMAT,
        "detector": {
            "paper": type(trace.detector.model).__name__,
            "classes": trace.classes,
            "config": asdict(config),
        },
        "picture": {"width": trace.picture.width, "height": trace.picture.height},
        "score": trace.score,
        "lowest": lowest,
        "reasons": [str(reason) for reason in REASONS],
        "passes": passes,
        "merge": None if trace.merge is None else _merge(trace.merge, config, trace.score),
        "detections": _detections(trace.detections),
        "left_out": _of_looks(left_out),
    }


def _merge(merge: Merge, config: Any, score: float) -> dict[str, Any]:
    rule = {"floor": score, "iou": config.nms_iou, "method": config.nms, "sigma": SIGMA, "keep": config.keep}
    fates = merge.suppress.reasons.clone()
    fates[merge.keep.rows] = merge.keep.reasons
    columns = {"looks": column(merge.looks), "fates": column(fates), "by": column(merge.suppress.by)}
    return {"rule": rule, "votes": merge.votes is not None} | columns


def _of_looks(sentences: list[list[str]]) -> list[str]:
    """One after the other; what is not true of every look says which it is of."""
    told = [
        sentence if all(sentence in other for other in sentences) else f"of look {look}, {sentence}"
        for look, own in enumerate(sentences, 1)
        for sentence in own
    ]
    return list(dict.fromkeys(told))


def _pass(
    trace: "Trace", one: "Pass", number: int, lowest: float, left_out: list[str], receptive: bool
) -> dict[str, Any]:
    height, width = one.frame.shape.tolist()
    levels = [] if one.anchors is None else levels_of(one.anchors, one.padded)
    fields = trace.receptive_fields(number) if receptive and levels else {}
    return {
        "input": {
            "width": width,
            "height": height,
            "padded": list(one.padded),
            "size": one.spec.size,
            "mirrored": one.frame.mirrored,
            "scale": one.frame.scale.tolist(),
        },
        "levels": [_level(level, fields, n) for n, level in enumerate(levels)],
        "stages": [
            _stage(stage, levels, lowest, left_out)
            | {"regions": _regions(trace.regions(number)) if stage.enter == "regions" else None}
            for stage in one.stages
        ],
        "steps": [_step(step) for step in trace.steps if step.look == number],
        "detections": _detections(one.detections),
    }


def _level(level: Level, fields: dict[str, Tensor], number: int) -> dict[str, Any]:
    return {
        "first": level.first,
        "rows": level.rows,
        "columns": level.columns,
        "per_cell": level.per_cell,
        "stride": list(level.stride),
        "shapes": level.shapes.tolist(),
        "receptive": {head: boxes[number].tolist() for head, boxes in fields.items()} or None,
    }


def _step(step: Step) -> dict[str, Any]:
    counts = {str(reason): number for reason, number in step.counts().items()}
    return {"name": step.name, "in": len(step), "on": int(step.kept.sum()), "reasons": counts}


def _detections(found: Detections) -> dict[str, Any]:
    return {name: column(getattr(found, name)) for name in ("boxes", "scores", "labels", "source")}


def _regions(regions: Regions) -> dict[str, Any]:
    return {
        "levels": column(regions.level),
        "windows": column(regions.window),
        "bins": regions.bins,
        "strides": list(regions.strides),
        "warped": regions.warped,
    }


def _stage(stage: Stage, levels: list[Level], lowest: float, left_out: list[str]) -> dict[str, Any]:
    rows = torch.arange(len(stage.scores))
    best, labels = stage.scores.max(1)
    on_anchors = stage.enter == "anchors"
    return {
        "enter": stage.enter,
        "name": stage.name,
        "last": stage.last,
        "rows": len(rows),
        "rule": _rule(stage),
        "references": quantised_boxes(stage.references),
        "moved": None if stage.moved is None else quantised_boxes(stage.moved),
        "objectness": quantised(stage.objectness),
        "best": {
            "scores": quantised(best),
            "labels": column(labels),
            "boxes": quantised_boxes(stage.boxes_at(rows, labels)),
            "fates": column(stage.fates[rows, labels]),
        },
        "maps": quantised(_class_maps(stage.scores, levels)) if on_anchors and stage.last else None,
        "candidates": candidates(stage, lowest, left_out),
    }


def _rule(stage: Stage) -> dict[str, Any]:
    s = stage.search
    of, count = picked_of(s.pick)
    return {
        "pick": {"of": of, "count": count, "levels": list(stage.level_sizes) or None},
        "floor": s.floor,
        "iou": s.iou,
        "method": s.method,
        "sigma": SIGMA,
        "keep": s.keep,
        "least_side": s.least_side,
        "theta": stage.theta,
    }


def _class_maps(scores: Tensor, levels: list[Level]) -> Tensor:
    """(A, C) scores → (cells, C) the highest of each cell."""
    parts = torch.split(scores, [level.count for level in levels])
    cells = [part.view(-1, level.per_cell, part.shape[1]).amax(1) for part, level in zip(parts, levels, strict=True)]
    return torch.cat(cells)
