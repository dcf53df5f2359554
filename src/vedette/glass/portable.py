"""The trace as JSON, for a page that lets one look and turn the knobs without Python.

    {"format": 1, "detector", "picture", "score", "lowest", "reasons", "passes": [PASS, …], "merge", "detections",
     "left_out"}

detector    {"paper": "RefineDet", "classes": [name, …], "config": {field: value}}
picture     {"width", "height"} in pixels, after EXIF rotation; the pixels themselves are not in it
score       the floor that was asked for; lowest: the floor down to which all candidates are in it
reasons     words; "fates" and "reasons" below are indices into them
detections  COLUMNS boxes (picture's pixels), scores, labels, source
merge       of several passes {"rule", "votes": bool, "looks": (K,) int32, "fates": (K,) uint8, "by": (K,) int32}, of the
            passes' detections one after the other, else null; rule: {"floor", "iou", "method", "sigma", "keep"}, as below
left_out    sentences: what is not in it

A PASS is a look at the picture: {"input", "levels", "stages", "steps", "detections"}

input       {"width", "height", "padded": [height, width], "size", "mirrored", "scale": [x, y]}: a box of the input becomes
            one of the picture so: mirrored, x → width - x (and x1, x2 change places); times scale; cut at the picture;
            without area it is outside and gone. This comes after NMS. null for none.
levels      of the anchors, fine to coarse: {"first": its first anchor, "rows", "columns", "per_cell", "stride": [x, y],
            "shapes": [[width, height], …] of the first cell's anchors, "receptive"}: input pixels. Anchors run level by
            level, row by row, cell by cell. receptive: {head: [x1, y1, x2, y2]} of what its middle cell sees ("arm" and "odm",
            "rpn" or "head"), or null where not measured (`Trace.to_json(receptive=True)`). [] where regions are given.
steps       [{"name", "in", "on", "reasons": {word: number}}, …] as in `Trace.steps`
detections  of this pass alone, as above

A stage is a `find`: {"enter", "name", "last", "rows", "rule", "references", "moved", "objectness", "best", "maps",
"candidates"}. Boxes are in the input's pixels. `A` rows: anchors, or what was proposed; `K` candidates.

enter       "anchors" or "regions"; name: what its steps' names begin with, "rpn " or ""; last: it gives detections
rule        {"pick": {"of": "image" | "class" | "level", "count", "levels"}, "floor", "iou", "method": "hard" | "linear" |
            "gaussian", "sigma", "keep", "least_side", "theta"}. In this order: rows with emptiness > theta go; scores
            below the floor go; the count best pairs of the image, of each class or of each level (levels: anchors of
            each) are picked; boxes with a side of 0 or below least_side go; NMS in each class (in the RPN: each level);
            the keep best of the image. theta null: no rows go first. Numbers compare as float32, `Math.fround`;
            IoU in float64; hard: IoU > iou drops; linear: IoU ≥ iou weakens by 1 - IoU; gaussian: by exp(-IoU² / sigma).
references  (A, 4) int16 anchors or regions; moved: (A, 4) int16 after the first move, or null
objectness  (A,) uint8 of being an object; null where nobody was asked
best        {"scores": (A,) uint8, "labels": (A,) int32, "boxes": (A, 4) int16, "fates": (A,) uint8} of each row's best
            class: what a click anywhere needs
maps        (cells of all levels, C) uint8: the highest score of a cell's anchors for each class; null without levels
candidates  COLUMNS by descending score, all float32 or int32: rows (K,), source (K,) anchor (or region of selective
            search), labels (K,), boxes (K, 4), scores (K,), objectness (K,), emptiness (K,) (0 without theta), group
            (K,) what NMS keeps apart, fates (K,) uint8, by (K,) place among the candidates, -1 nobody, overlap (K,) IoU
            with it, after (K,) score after Soft-NMS. In the last stage: all pairs that some theta lets among the picked
            ones at a floor from `lowest` on; so theta, floor, iou, sigma, method and keep may be turned.

A column is {"type": "float32" | "int32" | "int16" | "uint8", "shape", "data"}: base64 of little-endian numbers, row by
row; with "scale" it is quantised, a value is the number times it.
"""

from dataclasses import asdict
from functools import partial
from heapq import heappush, heappushpop
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vedette.glass.columns import column, quantised, quantised_boxes
from vedette.glass.levels import Level, levels_of
from vedette.glass.merge import Merge
from vedette.glass.record import REASONS, Step
from vedette.glass.stage import Stage
from vedette.ops.nms import soft_nms
from vedette.parts.detection import at_least, best_of_each_class, best_of_each_level, best_of_image
from vedette.structures import Detections

if TYPE_CHECKING:
    from vedette.glass.trace import Pass, Trace

FORMAT = 1
LOWEST = 0.01  # the floor from which on all candidates are told
PICKED_OF = {best_of_image: "image", best_of_each_class: "class", best_of_each_level: "level"}
SIGMA = signature(soft_nms).parameters["sigma"].default


def portable(trace: "Trace", receptive: bool = False) -> dict[str, Any]:
    """The trace as what `json` writes, as this module's docstring has it."""
    lowest, left_out = min(LOWEST, trace.score), list[str]()
    passes = [_pass(trace, one, number, lowest, left_out, receptive) for number, one in enumerate(trace.passes)]
    config = trace.detector.model.config
    return {
        "format": FORMAT,
        "detector": {
            "paper": type(trace.detector.model).__name__,
            "classes": trace.classes,
            "config": asdict(config),  # type: ignore[call-overload]
        },
        "picture": {"width": trace.picture.width, "height": trace.picture.height},
        "score": trace.score,
        "lowest": lowest,
        "reasons": [str(reason) for reason in REASONS],
        "passes": passes,
        "merge": None if trace.merge is None else _merge(trace.merge, config, trace.score),
        "detections": _detections(trace.detections),
        "left_out": list(dict.fromkeys(left_out)),
    }


def _merge(merge: Merge, config: Any, score: float) -> dict[str, Any]:
    rule = {"floor": score, "iou": config.nms_iou, "method": config.nms, "sigma": SIGMA, "keep": config.keep}
    fates = merge.suppress.reasons.clone()
    fates[merge.keep.rows] = merge.keep.reasons
    columns = {"looks": column(merge.looks), "fates": column(fates), "by": column(merge.suppress.by)}
    return {"rule": rule, "votes": merge.votes is not None} | columns


def _pass(
    trace: "Trace", one: "Pass", number: int, lowest: float, left_out: list[str], receptive: bool
) -> dict[str, Any]:
    height, width = one.frame.shape.tolist()
    levels = [] if one.anchors is None else levels_of(one.anchors, one.padded)
    return {
        "input": {
            "width": width,
            "height": height,
            "padded": list(one.padded),
            "size": one.spec.size,
            "mirrored": one.frame.mirrored,
            "scale": one.frame.scale.tolist(),
        },
        "levels": [_level(level, trace.receptive_fields(number) if receptive else {}, n) for n, level in enumerate(levels)],
        "stages": [_stage(stage, one, levels, lowest, left_out) for stage in one.stages],
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


def _stage(stage: Stage, one: "Pass", levels: list[Level], lowest: float, left_out: list[str]) -> dict[str, Any]:
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
        "candidates": _candidates(stage, lowest, left_out),
    }


def _rule(stage: Stage) -> dict[str, Any]:
    s = stage.search
    given = s.pick.keywords if isinstance(s.pick, partial) else {}
    of = PICKED_OF.get(s.pick.func, "own") if isinstance(s.pick, partial) else "own"
    return {
        "pick": {"of": of, "count": given.get("count"), "levels": list(given.get("levels", ())) or None},
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
    cells = [part.unflatten(0, (-1, level.per_cell)).amax(1) for part, level in zip(parts, levels, strict=True)]
    return torch.cat(cells)


def _candidates(stage: Stage, lowest: float, left_out: list[str]) -> dict[str, Any]:
    rows, columns = _told(stage, lowest, left_out)
    order = stage.scores[rows, columns].argsort(descending=True, stable=True)
    rows, columns = rows[order], columns[order]
    r, shape = stage.rivals, stage.scores.shape
    place = torch.full(shape, -1)
    place[rows, columns] = torch.arange(len(rows))
    rival = torch.full(shape, -1)
    rival[r.rows, r.columns] = torch.arange(len(r.rows))
    own = rival[rows, columns]  # of each candidate, -1 where it was not picked at the settings of the trace
    scores = stage.scores[rows, columns]
    by, overlap, after = torch.full_like(rows, -1), torch.zeros(len(rows)), scores.clone()
    if len(r.rows):
        picked = own >= 0
        suppressor = torch.where(picked, r.by[own.clamp(min=0)], -1)
        by = torch.where(suppressor >= 0, place[r.rows, r.columns][suppressor.clamp(min=0)], -1)
        overlap = torch.where(picked, r.overlap[own.clamp(min=0)], overlap)
        after = torch.where(picked, r.after[own.clamp(min=0)], after)
    nothing = torch.zeros(len(rows))
    return {
        "rows": column(rows),
        "source": column(stage.source[rows]),
        "labels": column(columns if stage.last else torch.full_like(columns, -1)),
        "boxes": column(stage.boxes_at(rows, columns)),
        "scores": column(scores),
        "objectness": column(stage.objectness[rows]),
        "emptiness": column(nothing if stage.emptiness is None else stage.emptiness[rows]),
        "group": column(columns if stage.last else stage.level_of(rows)),
        "fates": column(stage.fates[rows, columns]),
        "by": column(by),
        "overlap": column(overlap),
        "after": column(after),
    }


def _told(stage: Stage, lowest: float, left_out: list[str]) -> tuple[Tensor, Tensor]:
    """Rows and columns of the pairs that are told: all that may ever be picked; of the RPN, those that were."""
    if not stage.last:
        left_out.append("anchors that the RPN did not pick: the head saw what it proposed alone")
        return stage.rivals.rows, stage.rivals.columns
    rows, columns = (at_least(stage.scores, lowest) > 0).nonzero(as_tuple=True)
    chosen = ever_picked(stage, rows, columns)
    left_out.append(f"pairs with a score below {lowest:g}: their maps alone, in eight bits")
    if not bool(chosen.all()):
        left_out.append(f"{int((~chosen).sum())} pairs that are not among the picked ones at any θ")
    return rows[chosen], columns[chosen]


def ever_picked(stage: Stage, rows: Tensor, columns: Tensor) -> Tensor:
    """(N,) bool: which of the pairs some θ lets among the best that are picked of their image, class or level.

    Fewest rivals has a pair at the least θ that lets it in: those on rows that are as empty as its own or less.
    """
    pick = _rule(stage)["pick"]
    count = pick["count"] or len(rows)
    groups = {"class": columns, "level": stage.level_of(rows)}.get(pick["of"], torch.zeros_like(rows))
    scores = stage.scores[rows, columns]
    empty = torch.zeros_like(scores) if stage.emptiness is None else stage.emptiness[rows]
    order = scores.argsort(descending=True, stable=True)
    order = order[empty[order].argsort(stable=True)]
    best: dict[int, list[float]] = {}  # the highest scores of each group so far, a heap
    chosen = torch.zeros(len(rows), dtype=torch.bool)
    entries = zip(order.tolist(), groups[order].tolist(), scores[order].tolist(), strict=True)
    taken = [place for place, group, score in entries if _enters(best.setdefault(group, []), score, count)]
    chosen[taken] = True
    return chosen


def _enters(heap: list[float], score: float, count: int) -> bool:
    """Whether a score is among the `count` highest so far; it is remembered then."""
    if len(heap) < count:
        heappush(heap, score)
    elif score < heap[0]:
        return False
    else:
        heappushpop(heap, score)
    return True
