"""The candidates of a stage as columns: all that may ever be found at a page's lowest settings.

Shapes: `N` pairs of row and class, `K` candidates.
"""

from functools import partial
from heapq import heappush, heappushpop

import torch
from torch import Tensor

from vedette.glass.columns import Column, column
from vedette.glass.stage import Stage
from vedette.parts.detection import Pick, at_least, best_of_each_class, best_of_each_level, best_of_image
from vedette.parts.equals import by_row

PICKED_OF = {best_of_image: "image", best_of_each_class: "class", best_of_each_level: "level"}


def picked_of(pick: Pick) -> tuple[str, int | None]:
    """Of what candidates are picked, "image", "class" or "level", and how many; "own", None of somebody's own way."""
    if isinstance(pick, partial) and pick.func is by_row:
        (pick,) = pick.args
    if not isinstance(pick, partial) or pick.func not in PICKED_OF:
        return "own", None
    return PICKED_OF[pick.func], int(pick.keywords["count"])


def candidates(stage: Stage, lowest: float, left_out: list[str]) -> dict[str, Column]:
    """The columns of the candidates of a stage; what is not among them is said in `left_out`."""
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
    of, count = picked_of(stage.search.pick)
    groups = {"class": columns, "level": stage.level_of(rows)}.get(of, torch.zeros_like(rows))
    scores = stage.scores[rows, columns]
    empty = torch.zeros_like(scores) if stage.emptiness is None else stage.emptiness[rows]
    order = scores.argsort(descending=True, stable=True)
    order = order[empty[order].argsort(stable=True)]
    best: dict[int, list[float]] = {}  # the highest scores of each group so far, a heap
    chosen = torch.zeros(len(rows), dtype=torch.bool)
    entries = zip(order.tolist(), groups[order].tolist(), scores[order].tolist(), strict=True)
    taken = [place for place, group, score in entries if _enters(best.setdefault(group, []), score, count or len(rows))]
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
