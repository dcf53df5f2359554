"""The steps of `find` in words: scores, the best of them, boxes, suppression, and the way into the picture."""

from typing import Any

from vedette.glass.candidates import picked_of
from vedette.glass.papers import paper_of
from vedette.glass.phrases import Told, as_set, in_words, many, plain
from vedette.glass.portable import SIGMA
from vedette.glass.record import Step
from vedette.glass.say import if_any
from vedette.glass.stage import Stage
from vedette.glass.trace import Trace
from vedette.glass.words_refine import CAPITAL_BOXES, moves
from vedette.parts.box_coder import BoxCoder

SOFTMAX = r"p_c = \frac{e^{z_c}}{Σ_j e^{z_j}}"
SIGMOID = r"p_c = \frac{1}{1 + e^{−z_c}}"
FRAME = r"x = \frac{width}{width_{input}} x_{input} , y = \frac{height}{height_{input}} y_{input}"
OVERLAP = r"IoU = \frac{area (A ∩ B)}{area (A ∪ B)}"
WENT = if_any("came", "{^lost|none was|one was|# were} left out here.", "Nothing came so far.")
DROPPED = "Of {came|no boxes|one box|# boxes} here {lost:alone} went, {on:alone} stayed."
DROPPED = if_any("came", DROPPED, "Nothing came so far.")
SMALL = if_any("lost", f" {CAPITAL_BOXES} without any area went.")
WHOSE = {"image": "of the picture", "class": "of each class", "level": "of each map"}


def scores(trace: Trace, stage: Stage, step: Step) -> Told:
    """What the last head says, and the floor below which nothing is told."""
    if not stage.last:
        text = f"Of what the RPN says nothing counts below {as_set(stage.search.floor)}. {WENT}"
        return Told("Proposals with a score", text)
    thing = "anchor" if stage.enter == "anchors" else "region"
    asked, floor, classes = many(trace.num_classes, "class", "classes"), as_set(trace.score), trace.num_classes
    model: Any = trace.detector.model
    if getattr(model, "svm_fitted", None) is not None and bool(model.svm_fitted) and model.config.scorer == "svm":
        says = f"A support vector machine for each of {asked} gives a region a margin, a sigmoid turns it into a score"
        equation = SIGMOID
    elif getattr(model, "classes_alone", False):
        says = f"For each of {asked} the network says how sure it is of every {thing}, each class by itself"
        equation = SIGMOID
    else:
        says = f"Of every {thing} the network gives {asked} and background {classes + 1} scores, whose sum is 1"
        equation = SOFTMAX
    pairs = f"{{came|no pairs|one pair|# pairs}} of {thing} and class came in, {{on:alone}} reached {floor}"
    text = f"{says}. A pair of {thing} and class goes on with a score of at least {floor}: {pairs}."
    return Told(f"Class scores of {floor} or more", text, equation)


def pick(trace: Trace, stage: Stage, step: Step) -> Told:
    """The best before suppression."""
    of, count = picked_of(stage.search.pick)
    if count is None:
        return Told("The picked ones", f"The detector has its own way of picking. {WENT}")
    whose = WHOSE[of]
    things = "pairs" if stage.last else "proposals"
    text = (
        f"Suppression compares each with each, so only the best {in_words(count)} {things} {whose} go on to it. {WENT}"
    )
    return Told(f"The best {count:,} {whose}", text)


def decode(trace: Trace, stage: Stage, step: Step) -> Told:
    """Deltas become the boxes that are found."""
    model: Any = trace.detector.model
    coder = model.coder
    if stage.enter == "regions":
        text = "Each class has its own idea of the whole object: four numbers move and stretch the region into its box."
        if not getattr(model.config, "regress", True):
            return Told("Boxes: the regions as they are", "Nothing is moved: a region's box is its own.")
        return Told("Boxes: each class moves the region", f"{text}{SMALL}", _moves_of(coder))
    if paper_of(model) == "RefineDet":
        begin = "The object detection module (ODM) moves the box a second time, starting from where the ARM left it"
        if stage.moved is None or not model.config.cascade:
            begin = "The object detection module (ODM) moves the anchor once"
        text = f"{begin}: four numbers shift its centre and stretch its sides, the same for every class.{SMALL}"
        return Told("ODM: the second move" if model.config.cascade else "ODM: the move", text, moves(coder.std, "r"))
    text = "Four numbers an anchor shift its centre and stretch its sides, the same for every class."
    return Told("Boxes: the anchor moves", f"{text}{SMALL}", _moves_of(coder))


def suppress(trace: Trace, stage: Stage, step: Step) -> Told:
    """Which of several boxes on one object stays."""
    s, who = stage.search, "of its class" if stage.last else "of its map"
    if s.method == "hard":
        text = (
            "Several boxes sit on one object, and one is wanted. From the best score down, a box that stays drops "
            "every "
            f"worse one {who} whose overlap with it (IoU) is above {as_set(s.iou)}. "
            f"{DROPPED}"
        )
        return Told(f"Suppression (NMS, IoU {as_set(s.iou)})", text, f"{OVERLAP} , drop if IoU > {as_set(s.iou)}")
    text = (
        "Several boxes sit on one object, but some objects stand close together. So a box is not dropped for its "
        "better "
        f"neighbour {who}: its score is lowered the more the two overlap, and it goes once that is below "
        f"{as_set(s.floor)}. "
        f"{DROPPED}"
    )
    linear = f"s ← s (1 − IoU) if IoU ≥ {as_set(s.iou)}"
    return Told(
        f"Soft-NMS ({s.method})", text, linear if s.method == "linear" else f"s ← s e^{{−IoU^2 / {plain(SIGMA)}}}"
    )


def keep(trace: Trace, stage: Stage, step: Step) -> Told:
    """The best after suppression."""
    most, things = stage.search.keep, "detections" if stage.last else "proposals"
    text = f"At most {in_words(most)} {things} of a picture are kept, the best by score. {WENT}"
    return Told(f"The best {most:,} stay" if stage.last else f"The best {most:,} proposals", text)


def frame(trace: Trace, stage: Stage, step: Step) -> Told:
    """From the input's pixels to the picture's."""
    text = (
        "The network saw {wide} × {high} pixels. Boxes are brought back into the picture's {width} × {height}, "
        "{across:plain2} times as wide and {down:plain2} times as high, and cut at its border; what lies outside is "
        f"gone. {WENT}"
    )
    return Told("Back into the picture", text, FRAME)


def merge_suppress(trace: Trace, step: Step) -> Told:
    """Several looks at the picture become one list."""
    gone = len(step) - int(step.kept.sum())
    votes = " Those that go may vote on where the kept one lies." if trace.vote else ""
    text = (
        f"The picture was looked at {in_words(len(trace.passes))} times, in other sizes or mirrored, and each look "
        "found "
        f"the same objects anew. All their {many(len(step), 'detection')} are suppressed together: "
        f"{many(gone, 'box', 'boxes')} went.{votes}"
    )
    return Told("Suppression over all looks", text)


def _moves_of(coder: Any) -> str:
    """With numbers, or where each class has its own, with names: μ and σ."""
    measured = "x = x_a + w_a (μ_x + σ_x t_x) , w = w_a e^{μ_w + σ_w t_w}"
    return moves(coder.std) if isinstance(coder, BoxCoder) else measured
