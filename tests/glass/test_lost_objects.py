"""Objects lost over a data set: for each planted reason the table and the advice; what is found and not looked for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from glass.detectors import DETECTORS, NEED_PROPOSALS, detector_of
from glass.planted import MAYBE, OBJECT, SURE, UNSURE, FixedRPN, anchor
from glass.scenes import CLASSES, Say, Scene, Scenes, told
from glass.test_lost import score_of
from papers import tiny
from vedette.evaluate.measure import measure
from vedette.evaluate.run import evaluate_model
from vedette.evaluate.truth import Truth
from vedette.glass.advice import advise
from vedette.glass.lost_objects import Survey, find_lost, picture_of
from vedette.glass.lost_tables import by_class, by_side, by_size, taken_for
from vedette.glass.oracle import ask
from vedette.glass.record import Reason
from vedette.infer.detector import Detector
from vedette.infer.multiscale import plan_passes
from vedette.ops.boxes import iou
from vedette.structures import HeadOutput

TINY = (30.0, 30.0, 36.0, 35.0)


def survey(*scenes: Scene, frame: int = 1, batch_size: int = 2, score: float = 0.5, **config: Any) -> Survey:
    data = Scenes(scenes, frame)
    how: dict[str, Any] = {"score": score, "batch_size": batch_size, "workers": 0}
    return find_lost(told(scenes, **config), data, data.truths(), **how)  # type: ignore[arg-type]


def speaks(*says: tuple[int, int, float]) -> Say:
    """(anchor, label, logit) each."""

    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        for number, label, logit in says:
            odm.logits[0, number, label + 1] = logit

    return say


def finds(label: int = 0) -> Scene:
    return Scene(speaks((anchor(4, 4), label, SURE)), [OBJECT], [label])


def texts(found: Survey) -> list[str]:
    return [one.text for one in advise(found, ask(found))]


def test_what_is_found_or_not_looked_for_is_not_lost() -> None:
    other = (0.0, 0.0, 20.0, 20.0)
    scene = Scene(finds().say, [OBJECT, other, other], [0, 1, 2], difficult=[1], crowd=[2])
    found = survey(finds(), scene)
    assert found.lost == ()
    assert found.kinds == []
    assert advise(found, ask(found)) == []
    assert [(row.name, row.objects, row.lost) for row in by_class(found)] == [("cat", 2, 0)]
    assert ask(found).before.mean_ap == ask(found).every.mean_ap == 1.0


def test_nothing_is_found_at_all() -> None:
    found = survey(Scene(lambda arm, odm: None, [OBJECT], [1]))
    assert [(one.lost.step, one.lost.reason) for one in found.lost] == [("floor", Reason.UNDER_FLOOR)]
    assert ask(found).before.mean_ap == 0.0
    assert ask(found).every.mean_ap == 1.0


def test_no_anchor() -> None:
    """Three of 6 × 5 pixels: anchors have 32; and a stripe that none fits."""
    small = Scene(lambda arm, odm: None, [TINY, (1.0, 1.0, 7.0, 6.0), (50.0, 9.0, 56.0, 14.0)], [2, 2, 2])
    stripe = Scene(finds(2).say, [OBJECT, (0.0, 30.0, 64.0, 38.0)], [2, 2])
    found = survey(small, stripe)
    assert found.kinds == [("anchors", Reason.NO_ANCHOR)]
    assert (
        "4 of 4 lost objects have no anchor with IoU 0.5 (px of the input: 3 too small: sides 5.5 px, the smallest "
        "anchor has 32; 1 of other shape: 8 : 1, sides 23 px; anchors: up to 2 : 1, none fits): a larger input (train "
        "with a larger --set image_size) or smaller anchors."
    ) in texts(found)
    assert by_size(found)[0].lost == 4
    assert {row.name: row.lost for row in by_side(found) if row.objects} == {"below 8": 3, "16 to 32": 1, "32 to 64": 0}


def test_sides_are_those_of_the_input_and_sizes_those_of_the_picture() -> None:
    """Annotated at eight times the input: 48 × 40 pixels there."""
    found = survey(Scene(lambda arm, odm: None, [TINY], [0]), frame=8)
    assert "sides 5.5 px" in texts(found)[0]
    assert [row.lost for row in by_size(found)] == [0, 1, 0]
    assert found.lost[0].box == (240.0, 240.0, 288.0, 280.0)
    assert found.lost[0].lost.iou == pytest.approx(30 / 32**2, abs=0.01)


def test_filtered_by_the_arm() -> None:
    """Background with 0.9933 and 0.9975 at θ = 0.99: θ = 0.999 passes both."""

    def say(background: float) -> Say:
        def write(arm: HeadOutput, odm: HeadOutput) -> None:
            odm.logits[0, anchor(4, 4), 1] = SURE
            arm.logits[..., 0] = 9.0
            arm.logits[0, anchor(4, 4), 0] = background

        return write

    found = survey(Scene(say(5.0), [OBJECT], [0]), Scene(say(6.0), [OBJECT], [0]), finds())
    assert found.kinds == [("refine", Reason.EASY)]
    assert texts(found) == [
        "2 of 2 lost objects are filtered by the ARM, which calls them background with more than θ = 0.99; "
        "--set theta=0.999 lets 2 of them pass."
    ]
    assert survey(Scene(say(5.0), [OBJECT], [0]), theta=0.999).lost == ()
    hopeless = survey(Scene(say(9.0), [OBJECT], [0]))
    assert "and 1 even with more than 0.999: more pictures of such objects" in texts(hopeless)[0]


def test_under_the_floor_and_taken_for_another() -> None:
    confused = Scene(speaks((anchor(4, 4), 0, 10.0), (anchor(4, 4), 2, SURE)), [OBJECT], [0])
    found = survey(confused, confused, finds())
    assert found.kinds == [("floor", Reason.UNDER_FLOOR)]
    assert taken_for(found) == [(0, 2, 2)]
    (text,) = texts(found)
    assert "2 score higher as another class (dog 2): pictures that tell these classes apart" in text
    assert "1 of 1 lost object scores " in texts(survey(confused, finds()))[0]
    assert "1 scores higher as another class (dog 1)" in texts(survey(confused, finds()))[0]


def test_under_the_floor_and_found_with_less() -> None:
    """A score of 1 / (1 + e + 2 / e¹⁰ …) = 0.27."""
    weak = Scene(speaks((anchor(4, 4), 0, 9.0)), [OBJECT], [0])
    found = survey(weak, finds())
    score = score_of(9.0)
    assert found.lost[0].lost.score == pytest.approx(score)
    assert texts(found)[0] == (
        f"1 of 1 lost object scores {score:.2f} where it is, below 0.5, 1 is found with a lower score, {score:.2f}: "
        f"a lower --score ({score:.2f}), at the price of false ones."
    )
    assert survey(weak, score=0.25).lost == ()


def test_under_the_floor_and_smaller_than_what_is_found() -> None:
    """20 × 32 pixels, 25 in the root, against a whole picture."""
    small = Scene(lambda arm, odm: None, [(26.0, 12.0, 46.0, 44.0)], [0])
    large = Scene(whole, [(0.0, 0.0, 64.0, 64.0)], [0])
    found = survey(small, small, large)
    assert found.kinds == [("floor", Reason.UNDER_FLOOR)]
    assert "their median side is 25 px of the input, that of found ones 64: a larger input." in texts(found)[0]
    assert "larger input" not in texts(survey(Scene(lambda arm, odm: None, [OBJECT], [0]), finds()))[0]


def whole(arm: HeadOutput, odm: HeadOutput) -> None:
    """The box of the object's anchor, moved and twice as large: [4, 68], cut to [4, 64]."""
    odm.logits[0, anchor(4, 4), 1] = SURE
    odm.deltas[0, anchor(4, 4), 2:] = torch.tensor(2.0).log() / 0.2


def test_beyond_the_best_that_are_picked_or_kept() -> None:
    scene = Scene(speaks((anchor(4, 4), 0, UNSURE), (anchor(0, 0), 1, SURE)), [OBJECT], [0])
    picked, kept = survey(scene, candidates=1), survey(scene, keep=1)
    assert picked.kinds == [("pick", Reason.BEYOND_COUNT)]
    assert "more --set candidates (now 1)" in texts(picked)[0]
    assert kept.kinds == [("keep", Reason.BEYOND_KEEP)]
    assert "more --set keep (now 1)" in texts(kept)[0]


NEIGHBOUR = (36.0, 20.0, 68.0, 52.0)
CROWD = speaks((anchor(4, 5), 0, UNSURE), (anchor(4, 6), 0, SURE))  # 28 to 60, suppressed at IoU 0.6 by the neighbour's


def test_suppressed_by_the_box_of_a_neighbour() -> None:
    """The object, [26, 58], has IoU 30 / 34 with the first box and 22 / 42 with the other."""
    crowded = Scene(CROWD, [(26.0, 20.0, 58.0, 52.0), NEIGHBOUR], [0, 0])
    found = survey(crowded)
    assert [(one.row, one.crowded) for one in found.lost] == [(0, True)]
    assert found.kinds == [("suppress", Reason.SUPPRESSED)]
    assert "1 by the box of a neighbour of its class (IoU 0.60 with it)" in texts(found)[0]
    assert "--set nms_iou=0.65 (now 0.45) spares 1, --nms gaussian weakens instead" in texts(found)[0]
    assert survey(crowded, nms_iou=0.65).lost == ()


def test_suppressed_by_a_box_on_no_object() -> None:
    found = survey(Scene(CROWD, [OBJECT], [0]))
    assert [one.crowded for one in found.lost] == [False]
    assert "1 by a better scored box that lies on none, though its own has IoU 0.60" in texts(found)[0]
    assert "nms_iou" not in texts(found)[0]


def test_weakened() -> None:
    found = survey(Scene(CROWD, [(26.0, 20.0, 58.0, 52.0), NEIGHBOUR], [0, 0]), nms="linear")
    assert found.kinds == [("suppress", Reason.WEAKENED)]
    assert "is weakened by Soft-NMS to below 0.5, by a box with IoU 0.60" in texts(found)[0]


def test_badly_placed() -> None:
    def moved(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE
        odm.deltas[0, anchor(4, 4), 0] = 24 / 32 / 0.1

    found = survey(Scene(moved, [OBJECT], [0]))
    assert found.kinds == [("decode", Reason.MISPLACED)]
    assert texts(found)[0].startswith(
        "1 of 1 lost object is badly placed, 1 with IoU 0.18 in the end, of which still above 0.5: 1 after refine: "
    )


def test_a_box_that_is_nearer_to_a_neighbour_is_that_ones() -> None:
    """One box, [20, 52], reaches both: IoU 1 with the neighbour, 26 / 38 with the other. It finds one alone."""
    both = Scene(speaks((anchor(4, 4), 0, SURE)), [OBJECT, (26.0, 20.0, 58.0, 52.0)], [0, 0])
    found = survey(both)
    assert [one.row for one in found.lost] == [1]
    assert found.kinds == [("decode", Reason.MISPLACED)]
    assert found.lost[0].lost.iou == pytest.approx(26 / 38)
    assert "1 whose box lies nearer to a neighbour of the same class" in texts(found)[0]
    other = Scene(both.say, both.boxes, [0, 1])  # of another class: no neighbour
    assert survey(other).kinds == [("floor", Reason.UNDER_FLOOR)]


def test_an_overlap_of_exactly_half_is_no_hit() -> None:
    """[20, 20, 52, 52] and its left half."""
    found = survey(Scene(speaks((anchor(4, 4), 0, SURE)), [(20.0, 20.0, 36.0, 52.0)], [0]))
    assert [one.lost.iou for one in found.lost] == [0.5]
    assert found.kinds == [("decode", Reason.MISPLACED)]


def test_several_reasons_in_one_set() -> None:
    nothing = Scene(lambda arm, odm: None, [TINY, OBJECT], [0, 1])
    crowded = Scene(CROWD, [(26.0, 20.0, 58.0, 52.0), NEIGHBOUR], [0, 0])
    found = survey(finds(), nothing, crowded, finds(2), batch_size=3)
    assert found.kinds == [
        ("anchors", Reason.NO_ANCHOR),
        ("floor", Reason.UNDER_FLOOR),
        ("suppress", Reason.SUPPRESSED),
    ]
    assert [(row.name, row.objects, row.lost, row.by) for row in by_class(found)] == [
        ("cat", 4, 2, (1, 0, 1)),
        ("cow", 1, 1, (0, 1, 0)),
        ("dog", 1, 0, (0, 0, 0)),
    ]
    assert [(one.image, one.row, one.label) for one in found.lost] == [(1, 1, 0), (1, 2, 1), (2, 3, 0)]
    assert [(one.kind[1], one.label, one.objects) for one in advise(found, ask(found))] == [
        (Reason.NO_ANCHOR, None, 1),
        (Reason.NO_ANCHOR, 0, 1),
        (Reason.UNDER_FLOOR, None, 1),
        (Reason.UNDER_FLOOR, 1, 1),
        (Reason.SUPPRESSED, None, 1),
        (Reason.SUPPRESSED, 0, 1),
    ]
    assert "1 of 2 lost objects of cat (+0.25 AP) has no anchor" in texts(found)[1]


def two_stage(**config: Any) -> Detector:
    """Anchors of 16 and 32 pixels on 4 × 4 cells; the RPN is surer of another than of the object's, around (40, 24)."""
    model = tiny.faster_rcnn(**config).eval()
    logits = torch.zeros(4 * 4 * 6, 2)
    logits[(1 * 4 + 2) * 6 + 3, 1], logits[(3 * 4 + 0) * 6 + 2, 1] = 5.0, 9.0
    model.rpn = Each(logits)
    return Detector(model, classes=CLASSES, device="cpu")


class Each(FixedRPN):
    """The same of every picture of a batch."""

    def forward(self, features: Any) -> HeadOutput:
        batch = len(features[0])
        return HeadOutput(*(part.expand(batch, -1, -1) for part in super().forward(features)))


@pytest.mark.parametrize(
    ("config", "step", "words"),
    [
        ({"proposals": (50, 1)}, "rpn keep", "more --set proposals (now 1)"),
        ({"proposals": (50, 50), "before_nms": (50, 1)}, "rpn pick", "a larger --set before_nms (now 1)"),
        ({"least_side": 40.0}, "rpn refine", "a lower --set least_side (now 40.0)"),
    ],
)
def test_not_proposed(config: dict[str, Any], step: str, words: str) -> None:
    data = Scenes([Scene(lambda arm, odm: None, [(24.0, 8.0, 56.0, 40.0)], [1])] * 3)
    found = find_lost(two_stage(**config), data, data.truths(), score=0.99, batch_size=2, workers=0)
    assert found.kinds == [(step, Reason.NOT_PROPOSED)]
    assert len(found.lost) == 3
    assert words in texts(found)[0]


def test_no_region() -> None:
    """IoU 180 / 1080 with the nearer of two regions."""
    data = Scenes([Scene(lambda arm, odm: None, [(20.0, 2.0, 40.0, 20.0)], [1])] * 2)
    regions = torch.tensor([[0.0, 0, 30, 30], [30, 30, 62, 62]])
    how: dict[str, Any] = {"score": 0.99, "batch_size": 2, "workers": 0, "proposals": lambda index: regions}
    found = find_lost(Detector(tiny.fast_rcnn(), classes=CLASSES, device="cpu"), data, data.truths(), **how)
    assert found.kinds == [("regions", Reason.NO_ANCHOR)]
    assert "have no region with IoU 0.5: the best has 0.17; more: --set proposals (now 2000)" in texts(found)[0]


class Noise(Scenes):
    """Pictures of noise with a random object each."""

    def image(self, index: int) -> Image.Image:
        noise: Tensor = torch.randint(256, (64, 64, 3), generator=torch.Generator().manual_seed(index))
        return Image.fromarray(noise.byte().numpy())


def noise(count: int) -> Noise:
    generator = torch.Generator().manual_seed(5)
    corners = torch.rand(count, 3, 2, generator=generator) * 30
    boxes = torch.cat([corners, corners + 8 + torch.rand(count, 3, 2, generator=generator) * 24], 2)
    labels = torch.randint(3, (count, 3), generator=generator)
    return Noise([Scene(lambda a, o: None, b, n) for b, n in zip(boxes.tolist(), labels.tolist(), strict=True)])


def proposals_of(index: int) -> Tensor:
    corners = torch.rand(20, 2, generator=torch.Generator().manual_seed(index)) * 30
    return torch.cat([corners, corners + 20], 1)


@pytest.mark.parametrize("name", DETECTORS)
def test_ap_is_that_of_an_evaluation_and_every_missed_object_has_its_reason(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    detector, data = detector_of(name, monkeypatch, tmp_path), noise(5)
    proposals: Callable[[int], Tensor] | None = proposals_of if name in NEED_PROPOSALS else None
    truths: list[Truth] = data.truths()
    found = find_lost(detector, data, truths, score=0.3, batch_size=2, workers=0, proposals=proposals)
    passes = plan_passes(detector.input_spec, batch_size=2)
    how: dict[str, Any] = {"workers": 0, "proposals": proposals}
    evaluated = evaluate_model(detector.model, data, passes, **how)
    for one, other in zip(found.found, evaluated, strict=True):
        assert torch.equal(one.boxes, other.boxes)
        assert torch.equal(one.scores, other.scores)
    assert ask(found).before.mean_ap == measure(evaluated, truths, 3)["mAP"]
    lost = {one.row for one in found.lost}
    hits = set()
    for index, (own, truth) in enumerate(zip(evaluated, truths, strict=True)):
        for row in range(3):
            near = iou(own.boxes[own.scores >= 0.3], truth.boxes[row : row + 1])[:, 0] > 0.5
            if bool((near & (own.labels[own.scores >= 0.3] == truth.labels[row])).any()):
                hits.add(3 * index + row)
    assert set(range(15)) - hits <= lost  # one box may reach two objects: it finds one
    assert all(one.lost.reason != Reason.KEPT and one.lost.step in found.steps for one in found.lost)


def test_one_picture_of_a_batch_is_detected_as_in_it() -> None:
    torch.manual_seed(2)
    images = torch.rand(3, 3, 64, 64)
    for make in (tiny.ssd, tiny.refinedet, tiny.retinanet, tiny.faster_rcnn, tiny.fpn, tiny.m2det):
        model: Any = make().eval()
        with torch.inference_mode():
            predictions = model(images)
            whole = model.detect(predictions, score=0.1)
            for row in range(3):
                (own,) = model.detect(picture_of(predictions, row), score=0.1)
                assert torch.equal(own.labels, whole[row].labels)
                torch.testing.assert_close(own.boxes, whole[row].boxes, atol=1e-3, rtol=0)


def test_maybe_is_below_sure() -> None:
    """What the cases above take for granted."""
    assert score_of(MAYBE) > 0.5
    assert score_of(MAYBE) < score_of(UNSURE) < score_of(SURE)
