"""A guided tour of one picture for one who has never read the paper, made of this picture's own numbers.

    for stop in tour(trace):
        print(stop["title"], stop["text"])

A stop is {"title", "text", "step", "selection"}: `step` is the name of the step to open, `selection` what to show on
the picture: {"detection": number}, {"box": [x1, y1, x2, y2], "label": class, "look": number, "row": number} of a
candidate of that look's last stage, in the picture's pixels, or None.
"""

from typing import Any

from torch import Tensor

from vedette.glass.guide import Guide
from vedette.glass.life import Life, overlap, shift
from vedette.glass.phrases import listed, many
from vedette.glass.record import Reason, Step
from vedette.glass.say import Values, say
from vedette.glass.tour_words import MOVE, NO_MOVE, TOUR
from vedette.glass.trace import Trace
from vedette.ops.boxes import iou

Stop = dict[str, Any]
MOST_NAMED = 5  # detections in one sentence
SAME_OBJECT = 0.5  # IoU


def tour(trace: Trace) -> list[Stop]:
    """About a dozen stops; where nothing was found, along the way of what came nearest to it."""
    guide = Guide(trace)
    stops = (tell(guide) for tell in STOPS)
    return [stop for stop in stops if stop is not None]


def _stop(kind: str, values: Values, step: str, selection: dict[str, Any] | None = None) -> Stop:
    title, text = TOUR[kind]
    return {"title": title, "text": say(text, values), "step": step, "selection": selection}


def _opening(guide: Guide) -> Stop:
    found, nearest = guide.trace.detections, guide.hero
    last = guide.trace.steps[-1].name
    values: dict[str, Any] = {"floor": guide.trace.score, "name": guide.name}
    if nearest is None:
        return _stop("nothing to look at", values, last)
    if not guide.found:
        return _stop("found nothing", values | {"score": nearest.score}, last, guide.shown(nearest))
    pairs = zip(found.names[:MOST_NAMED], found.scores.tolist(), strict=False)
    named = [say("{name:a} ({score:share})", {"name": name, "score": score}) for name, score in pairs]
    more = [many(guide.found - MOST_NAMED, "more", "more")] if guide.found > MOST_NAMED else []
    told = {"count": guide.found, "named": listed([*named, *more])}
    return _stop("found", values | told, last, guide.shown(nearest))


def _beginning(guide: Guide) -> Stop | None:
    if guide.hero is None:
        return None
    first = guide.steps[guide.hero.first.enter]
    if guide.hero.place is None:
        return _stop("regions", {"count": len(first)}, first.name)
    look = guide.hero.look
    assert look.anchors is not None
    grids = listed(f"{rows} × {columns}" for rows, columns in look.anchors.grids)
    return _stop("anchors", {"count": len(first), "levels": len(look.anchors.grids), "grids": grids}, first.name)


def _first_box(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    start, first = hero.boxes[hero.first.enter], hero.first.enter
    wide, high = (start[2:] - start[:2]).tolist()
    values: dict[str, Any] = {"name": guide.name, "wide": wide, "high": high, "overlap": overlap(start, hero.end)}
    if hero.place is None:
        return _stop("one region", values | {"number": hero.row + 1}, first, guide.shown(hero))
    level, where = hero.place
    values |= {"row": int(where.row) + 1, "rows": level.rows, "column": int(where.column) + 1, "columns": level.columns}
    return _stop("one anchor", values | {"anchor": hero.anchor, "stride": level.stride[0]}, first, guide.shown(hero))


def _objectness(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.moved is None:
        return None
    better = int((hero.first.objectness > hero.objectness).sum())
    values = {"who": "RPN" if hero.first.name else "ARM", "score": hero.objectness, "better": better}
    return _stop("objectness", values, f"{hero.first.name}refine", guide.shown(hero))


def _easy(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.theta is None:
        return None
    step = guide.steps["refine"]
    values = {"easy": step.counts().get(Reason.EASY, 0), "count": len(step), "theta": hero.first.theta}
    return _stop("easy", values, step.name)


def _first_move(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.moved is None:
        return None
    name = f"{hero.first.name}refine"
    before, after = hero.boxes[hero.first.enter], hero.boxes[name]
    if overlap(before, after) > 1 - 1e-6:
        return None
    near = {"before": overlap(before, hero.end), "after": overlap(after, hero.end)}
    return _stop("first move", near | {"move": _moved(before, after)}, name, guide.shown(hero))


def _proposals(guide: Guide) -> Stop | None:
    if guide.hero is None or not guide.hero.first.name:
        return None
    picked, step, kept = (guide.steps[f"rpn {name}"] for name in ("pick", "suppress", "keep"))
    counts = {"picked": _on(picked), "gone": len(step) - _on(step), "kept": _on(kept)}
    values = counts | {"iou": guide.hero.first.search.iou}
    return _stop("proposals", values, step.name, guide.shown(guide.hero))


def _scores(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    step = guide.steps["floor"]
    values: dict[str, Any] = {"name": guide.name, "score": hero.score, "thing": guide.thing, "floor": guide.trace.score}
    values |= {"came": len(step), "on": _on(step), "others": min(1, len(hero.others))}
    for label, score in hero.others[:1]:
        values |= {"next": guide.trace.classes[label], "next_score": score}
    return _stop("scores", values, step.name, guide.shown(hero))


def _last_move(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    name = f"{hero.first.name}refine"
    begins = hero.look.frame.boxes(hero.stage.references[hero.row][None])[0]
    if hero.stage is hero.first:
        begins = hero.boxes.get(name, begins)
    twice = name in hero.boxes and overlap(hero.boxes[hero.first.enter], hero.boxes[name]) <= 1 - 1e-6
    move = {"move": _moved(begins, hero.boxes["decode"])}
    return _stop("last move" if twice else "only move", move, "decode", guide.shown(hero))


def _crowd(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.rival < 0:
        return None
    step, victims, r = guide.steps["suppress"], hero.victims, hero.stage.rivals
    values: dict[str, Any] = {"name": guide.name, "soft": int(hero.stage.search.method != "hard")}
    if not len(victims):
        return _stop("no crowd", values, step.name, guide.shown(hero))
    best = int(victims[0])
    values |= {"count": len(victims), "score": float(r.scores[best]), "overlap": float(r.overlap[best])}
    return _stop("crowd", values | {"iou": hero.stage.search.iou}, step.name, guide.shown(hero))


def _runner_up(guide: Guide) -> Stop | None:
    life = guide.runner_up
    if life is None or guide.hero is None:
        return None
    r, kind = life.stage.rivals, "gone"
    values: dict[str, Any] = {"name": guide.trace.classes[life.label], "score": life.score, "fate": str(life.fate)}
    values |= {"overlap": float(r.overlap[life.rival]), "after": float(r.after[life.rival])}
    if life.fate == Reason.SUPPRESSED:
        by = int(r.by[life.rival])
        kind = "suppressed by ours" if by == guide.hero.rival else "suppressed by another"
        values |= {"better": float(r.scores[by])}
    elif life.fate == Reason.WEAKENED:
        kind = "weakened"
    return _stop(kind, values, _step_of(life), guide.shown(life))


def _lost(guide: Guide) -> Stop | None:
    life = guide.hero
    if guide.found or life is None or life.fate == Reason.KEPT:
        return None
    values: dict[str, Any] = {"name": guide.name, "score": life.score, "fate": str(life.fate)}
    return _stop("lost", values, _step_of(life), guide.shown(life))


def _near_miss(guide: Guide) -> Stop | None:
    life = guide.near_miss
    if life is None or (not guide.found and guide.hero is not None and life.row == guide.hero.row):
        return None
    found = guide.trace.detections
    reached = (iou(life.end[None], found.boxes)[0] >= SAME_OBJECT).nonzero().flatten().tolist()
    values: dict[str, Any] = {
        "score": life.score,
        "name": guide.trace.classes[life.label],
        "floor": guide.trace.score,
    }
    values |= {"reached": min(1, len(reached)), "other": found.names[reached[0]] if reached else ""}
    return _stop("near miss", values, "floor", guide.shown(life))


def _merging(guide: Guide) -> Stop | None:
    merge = guide.trace.merge
    if merge is None:
        return None
    step, hero = merge.suppress, guide.hero
    values: dict[str, Any] = {"looks": len(guide.trace.passes), "came": len(step), "on": _on(step), "ours": 0}
    if hero is not None and guide.found:
        values |= {"ours": 1, "look": guide.trace.passes.index(hero.look) + 1, "view": str(hero.look)}
        values |= {"gone": int((step.by == merge.row_of(0)).sum()), "soft": int(hero.stage.search.method != "hard")}
        values |= {"voters": 0 if merge.votes is None else int((merge.votes[0] > 0).sum())}
    return _stop("several looks", values, step.name, guide.shown(hero))


def _end(guide: Guide) -> Stop:
    counts = [len(step) for step in guide.steps.values()] + [guide.found]
    way = [f"{count:,}" for place, count in enumerate(counts) if not place or count != counts[place - 1]]
    return _stop("end", {"way": " → ".join(way), "thing": guide.thing}, guide.trace.steps[-1].name)


STOPS = (
    _opening,
    _beginning,
    _first_box,
    _objectness,
    _easy,
    _first_move,
    _proposals,
    _scores,
    _last_move,
    _crowd,
    _runner_up,
    _lost,
    _near_miss,
    _merging,
    _end,
)


def _on(step: Step) -> int:
    """How many go on from it."""
    return int(step.kept.sum())


def _moved(before: Tensor, after: Tensor) -> str:
    """ "by 13 to the right and 4 up in pixels of the picture, to 1.20 times its width and 0.90 its height"."""
    right, down, wide, high = shift(before, after)
    if max(abs(right), abs(down)) < 0.5 and max(abs(wide - 1), abs(high - 1)) < 0.005:
        return NO_MOVE
    way = {"right": int(right >= 0), "low": int(down >= 0), "across": abs(right), "along": abs(down)}
    return say(MOVE, way | {"wide": wide, "high": high})


def _step_of(life: Life) -> str:
    names = {
        Reason.EASY: "refine",
        Reason.BEYOND_COUNT: "pick",
        Reason.SUPPRESSED: "suppress",
        Reason.WEAKENED: "suppress",
        Reason.SMALL: "decode",
        Reason.BEYOND_KEEP: "keep",
        Reason.OUTSIDE: "frame",
    }
    return names.get(life.fate, "floor")
