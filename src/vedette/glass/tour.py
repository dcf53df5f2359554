"""A guided tour of one picture for one who has never read the paper, made of this picture's own numbers.

    for stop in tour(trace):
        print(stop["title"], stop["text"])

A stop is {"title", "text", "step", "selection"}: `step` is the name of the step to open, `selection` what to show on
the picture: {"detection": number}, {"box": [x1, y1, x2, y2], "label": class} in the picture's pixels, or None.
"""

from typing import Any

from torch import Tensor

from vedette.glass.guide import Guide
from vedette.glass.life import Life, overlap, shift
from vedette.glass.phrases import alone, apart, as_set, capital, in_words, listed, many, plain, share
from vedette.glass.record import Reason
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


def _stop(title: str, text: str, step: str, selection: dict[str, Any] | None = None) -> Stop:
    return {"title": title, "text": text, "step": step, "selection": selection}


def _opening(guide: Guide) -> Stop:
    found, floor = guide.trace.detections, as_set(guide.trace.score)
    last = guide.trace.steps[-1].name
    if not guide.found:
        begin = f"No box reached a score of {floor}, so nothing was found in this picture."
        nearest = guide.hero
        if nearest is None:
            return _stop("What was found", f"{begin} There was nothing to look at either.", last)
        near = f"What came nearest was {_a(guide.name)} with {share(nearest.score)}. We shall follow it and see why."
        return _stop("What was found", f"{begin} {near}", last, guide.shown(nearest))
    pairs = zip(found.names[:MOST_NAMED], found.scores.tolist(), strict=False)
    named = [f"{_a(name)} ({share(score)})" for name, score in pairs]
    more = [many(guide.found - MOST_NAMED, "more", "more")] if guide.found > MOST_NAMED else []
    text = (
        f"The detector found {many(guide.found, 'object')} here: {listed([*named, *more])}. "
        f"The number is a score from 0 to 1; those of at least {floor} are told. "
        f"We shall follow {'it' if guide.found == 1 else f'the strongest, the {guide.name},'} from the very beginning."
    )
    return _stop("What was found", text, last, guide.shown(guide.hero))


def _beginning(guide: Guide) -> Stop | None:
    if guide.hero is None:
        return None
    first = guide.steps[guide.hero.first.enter]
    if guide.hero.place is None:
        text = (
            f"Before any network looked, selective search marked {many(len(first), 'region')} of like colour and "
            "texture "
            "as what may be an object. No other place will be looked at."
        )
        return _stop("Where to look", text, first.name)
    look = guide.hero.look
    assert look.anchors is not None
    grids = listed(f"{rows} × {columns}" for rows, columns in look.anchors.grids)
    text = (
        f"The network does not search. It puts {many(len(first), 'box', 'boxes')}, the anchors, over the picture in "
        f"fixed places, on a grid of {grids} cells, and asks of each what is there."
    )
    if len(look.anchors.grids) > 1:
        text = f"{text.replace('on a grid of', 'on grids of')} Fine grids have the small boxes."
    return _stop("Boxes everywhere", text, first.name)


def _first_box(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    start, first = hero.boxes[hero.first.enter], hero.first.enter
    size = f"{plain(float(start[2] - start[0]), 0)} × {plain(float(start[3] - start[1]), 0)} pixels"
    near = f"Its overlap (IoU) with the box that we end with is {overlap(start, hero.end):.2f}."
    if hero.place is None:
        text = f"The {guide.name} began as region {hero.row + 1:,}, {size} large. {near}"
        return _stop("One of them", text, first, guide.shown(hero))
    level, where = hero.place
    cell = f"row {int(where.row) + 1} of {level.rows}, column {int(where.column) + 1} of {level.columns}"
    text = (
        f"The {guide.name} began as anchor {hero.anchor:,}: {size} of the picture, around the cell in {cell}, on "
        "the grid with a "
        f"cell every {plain(level.stride[0], 1)} pixels. {near}"
    )
    return _stop("One of them", text, first, guide.shown(hero))


def _objectness(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.moved is None:
        return None
    better = int((hero.first.objectness > hero.objectness).sum())
    who = "RPN" if hero.first.name else "ARM"
    text = (
        f"First the {who} asks only whether there is any object. For our anchor it says {share(hero.objectness)}; "
        f"{many(better, 'other is', 'others are')} more certain."
    )
    return _stop("Is there anything at all?", text, f"{hero.first.name}refine", guide.shown(hero))


def _easy(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.theta is None:
        return None
    step = guide.steps["refine"]
    easy = step.counts().get(Reason.EASY, 0)
    text = (
        f"Of {many(easy, 'anchor')} among {len(step):,} the ARM is surer than {as_set(hero.first.theta)} that "
        "nothing is there. "
        f"{'It is' if easy == 1 else 'They are'} easy, and nobody asks what "
        f"{'it is' if easy == 1 else 'they are'}: the rest of the "
        "network can do what is hard."
    )
    if not easy:
        text = f"Of no anchor is the ARM surer than {as_set(hero.first.theta)} that nothing is there: all go on."
    return _stop("What is surely nothing", text, step.name)


def _first_move(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.first.moved is None:
        return None
    name = f"{hero.first.name}refine"
    before, after = hero.boxes[hero.first.enter], hero.boxes[name]
    if overlap(before, after) > 1 - 1e-6:
        return None
    text = (
        f"It also moves the anchor: {_moved(before, after)}. The overlap with the box that we end with goes from "
        f"{overlap(before, hero.end):.2f} to {overlap(after, hero.end):.2f}."
    )
    return _stop("The first move", text, name, guide.shown(hero))


def _proposals(guide: Guide) -> Stop | None:
    if guide.hero is None or not guide.hero.first.name:
        return None
    picked, step, kept = (guide.steps[f"rpn {name}"] for name in ("pick", "suppress", "keep"))
    gone = len(step) - int(step.kept.sum())
    text = (
        f"The best {in_words(int(picked.kept.sum()))} of these boxes compete: a box goes where a better one "
        "overlaps it by more "
        f"than {as_set(guide.hero.first.search.iou)}. {capital(alone(gone))} went, and "
        f"{many(int(kept.kept.sum()), 'proposal')} "
        "stayed. All that follows happens in them alone."
    )
    return _stop("Proposals", text, step.name, guide.shown(guide.hero))


def _scores(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    says = f"Now the network names it: {guide.name} with {share(hero.score)}."
    if hero.others:
        label, score = hero.others[0]
        says += f" Next comes {guide.trace.classes[label]} with {share(score)}."
    step = guide.steps["floor"]
    text = (
        f"{says} So it goes for every {guide.thing} and every class, {many(len(step), 'pair')} in all; "
        f"{_only(int(step.kept.sum()))} {as_set(guide.trace.score)} or more."
    )
    return _stop("What is it?", text, step.name, guide.shown(hero))


def _last_move(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None:
        return None
    name = f"{hero.first.name}refine"
    begins = hero.look.frame.boxes(hero.stage.references[hero.row][None])[0]
    if hero.stage is hero.first:
        begins = hero.boxes.get(name, begins)
    twice = name in hero.boxes and overlap(hero.boxes[hero.first.enter], hero.boxes[name]) <= 1 - 1e-6
    text = f"The box moves{' a second time' * twice}: {_moved(begins, hero.boxes['decode'])}. There we see it."
    return _stop("The last move" if twice else "The move", text, "decode", guide.shown(hero))


def _crowd(guide: Guide) -> Stop | None:
    hero = guide.hero
    if hero is None or hero.rival < 0:
        return None
    step, victims, r = guide.steps["suppress"], hero.victims, hero.stage.rivals
    soft = hero.stage.search.method != "hard"
    if not len(victims):
        text = f"No other box of {_a(guide.name)} overlaps it enough to be {'weakened' if soft else 'dropped'}."
        return _stop("One object, one box", text, step.name, guide.shown(hero))
    best, limit = int(victims[0]), hero.stage.search.iou
    told = many(len(victims), f"other box says {guide.name}", f"other boxes say {guide.name}")
    act = "weakens" if soft else "drops"
    most = f", more than the {as_set(limit)} that are allowed"
    if soft:
        most = ", and the more they overlap the weaker it gets"
    text = (
        f"{capital(told)} and overlap{'s' if len(victims) == 1 else ''} it. Ours has the highest score and "
        f"{act} {'it' if len(victims) == 1 else 'them'}: the best of them has {share(float(r.scores[best]))} and "
        f"an overlap (IoU) of {apart(float(r.overlap[best]), limit)} with ours{most}."
    )
    return _stop("One object, one box", text, step.name, guide.shown(hero))


def _runner_up(guide: Guide) -> Stop | None:
    life = guide.runner_up
    if life is None or guide.hero is None:
        return None
    name, r = guide.trace.classes[life.label], life.stage.rivals
    begin = f"The best candidate that did not make it is {_a(name)} with {share(life.score)}."
    step = _step_of(life)
    if life.fate == Reason.SUPPRESSED:
        by = int(r.by[life.rival])
        whom = f"our {name}" if by == guide.hero.rival else f"another {name} ({share(float(r.scores[by]))})"
        why = f"It was suppressed by {whom}: the two overlap with an IoU of {float(r.overlap[life.rival]):.2f}."
    elif life.fate == Reason.WEAKENED:
        most = f"the one that overlaps it most does so with an IoU of {float(r.overlap[life.rival]):.2f}"
        why = f"Better ones of its class weakened it to {share(float(r.after[life.rival]))}; {most}."
    else:
        why = f"It went because it is {life.fate}."
    return _stop("Why not the second?", f"{begin} {why}", step, guide.shown(life))


def _lost(guide: Guide) -> Stop | None:
    life = guide.hero
    if guide.found or life is None or life.fate == Reason.KEPT:
        return None
    text = f"Here its way ends: {_a(guide.name)} with {share(life.score)} is {life.fate}. Nothing else came as near."
    return _stop("Where it ended", text, _step_of(life), guide.shown(life))


def _near_miss(guide: Guide) -> Stop | None:
    life = guide.near_miss
    if life is None or (not guide.found and guide.hero is not None and life.row == guide.hero.row):
        return None
    floor, name = as_set(guide.trace.score), guide.trace.classes[life.label]
    found = guide.trace.detections
    reached = (iou(life.end[None], found.boxes)[0] >= SAME_OBJECT).nonzero().flatten().tolist()
    where = f"on the {found.names[reached[0]]} that was found" if reached else "where nothing was found"
    text = (
        f"Under the floor the highest score is {apart(life.score, guide.trace.score)}, of {_a(name)} {where}. "
        f"Had you asked for a score below {floor}, it would have gone on to the next step. Lower floors find more, "
        "and more of it is wrong."
    )
    return _stop("Just missed", text, "floor", guide.shown(life))


def _merging(guide: Guide) -> Stop | None:
    merge = guide.trace.merge
    if merge is None:
        return None
    step = merge.suppress
    text = (
        f"The picture was looked at {in_words(len(guide.trace.passes))} times. The looks found "
        f"{many(len(step), 'box', 'boxes')} "
        f"together; suppression over all of them left {alone(int(step.kept.sum()))}."
    )
    if guide.hero is not None and guide.found:
        look = guide.trace.passes.index(guide.hero.look)
        act = "gave way to it" if guide.hero.stage.search.method == "hard" else "lost score to it"
        gone = many(int((step.by == merge.row_of(0)).sum()), "box", "boxes")
        text += f" Ours is of look {look + 1} ({guide.hero.look}), and {gone} of all looks {act}."
        if merge.votes is not None:
            voters = int((merge.votes[0] > 0).sum())
            text += f" It lies where {many(voters, 'box', 'boxes')} of its class lie in the mean, by their scores."
    return _stop("Several looks", text, step.name, guide.shown(guide.hero))


def _end(guide: Guide) -> Stop:
    counts = [len(step) for step in guide.steps.values()] + [guide.found]
    way = [f"{count:,}" for place, count in enumerate(counts) if not place or count != counts[place - 1]]
    text = (
        f"That is the whole way: {' → '.join(way)}. Move the sliders to see what another floor or another overlap "
        "would have "
        "found, and click anywhere on the picture to ask which step lost what you see there."
    )
    return _stop("Now you", text, guide.trace.steps[-1].name)


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


def _a(name: str) -> str:
    """ "a person", "an aeroplane"."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _only(count: int) -> str:
    return "none has" if count == 0 else "one has" if count == 1 else f"{in_words(count)} have"


def _moved(before: Tensor, after: Tensor) -> str:
    """ "by 13 to the right and 4 up in pixels of the picture, to 1.20 times its width and 0.90 its height"."""
    right, down, wide, high = shift(before, after)
    if max(abs(right), abs(down)) < 0.5 and max(abs(wide - 1), abs(high - 1)) < 0.005:
        return "by less than half a pixel of the picture"
    across = f"{plain(abs(right), 0)} to the {'right' if right >= 0 else 'left'}"
    along = f"{plain(abs(down), 0)} {'down' if down >= 0 else 'up'}"
    return f"by {across} and {along} in pixels of the picture, to {wide:.2f} times its width and {high:.2f} its height"


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
