"""Several passes over a picture: which, what is merged and voted by hand and against a loop, and the way back."""

from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace

import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

import vedette
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.multiscale import merge, plan_passes, vote_boxes
from vedette.parts.detection import Candidates
from vedette.structures import Detections, InputSpec

SPEC = InputSpec(size=320, divisor=64)


def model(nms: str = "hard", nms_iou: float = 0.45, keep: int = 200) -> nn.Module:
    """Nothing but what merging asks of a model."""
    module = nn.Module()
    module.config = SimpleNamespace(nms=nms, nms_iou=nms_iou, keep=keep)
    return module


def found(*rows: tuple[list[float], float, int]) -> Detections:
    """(box, score, label) each."""
    boxes = torch.tensor([row[0] for row in rows]).view(-1, 4)
    scores, labels = torch.tensor([row[1] for row in rows]), torch.tensor([row[2] for row in rows], dtype=torch.int64)
    return Detections(boxes, scores, labels, torch.arange(len(rows)))


# each overlaps the next by 2/3, the first and the last overlap by 3/7
FIRST, SECOND, THIRD = [0.0, 0, 10, 10], [2.0, 0, 12, 10], [4.0, 0, 14, 10]
THREE = [[found((SECOND, 0.6, 0), (FIRST, 0.1, 1))], [found((FIRST, 0.9, 0))], [found((THIRD, 0.3, 0))]]


def test_three_boxes_by_hand() -> None:
    (merged,) = merge(THREE, model(), score=0.05)
    assert merged.boxes.tolist() == [FIRST, THIRD, FIRST]  # the second falls to the first, 2/3 > 0.45
    assert merged.scores.tolist() == pytest.approx([0.9, 0.3, 0.1])
    assert merged.labels.tolist() == [0, 0, 1]
    assert merged.source.tolist() == [-1, -1, -1]


def test_three_boxes_vote_by_hand() -> None:
    (voted,) = merge(THREE, model(), score=0.05, vote=True)
    # the second votes with both, 3/7 is no agreement: (0.9 · 0 + 0.6 · 2) / 1.5, (0.6 · 2 + 0.3 · 4) / 0.9
    expected = torch.tensor([[0.8, 0, 10.8, 10], [8 / 3, 0, 12 + 2 / 3, 10], FIRST])
    torch.testing.assert_close(voted.boxes, expected)
    assert voted.scores.tolist() == pytest.approx([0.9, 0.3, 0.1])


def test_three_boxes_soften_by_hand() -> None:
    (softened,) = merge(THREE, model("linear"), score=0.05)
    # 0.6 · 1/3 = 0.2 by the first, then · 1/3 by the third, which 3/7 < 0.45 leaves alone
    assert softened.scores.tolist() == pytest.approx([0.9, 0.3, 0.1, 0.2 / 3])
    assert softened.boxes.tolist() == [FIRST, THIRD, FIRST, SECOND]
    assert len(merge(THREE, model("linear"), score=0.07)[0]) == 3
    # the second goes as before the first weakened it: by 0.6 in the mean
    (voted,) = merge(THREE, model("linear"), score=0.05, vote=True)
    torch.testing.assert_close(voted.boxes[0], torch.tensor([0.8, 0, 10.8, 10]))


def test_a_model_keeps_no_more_than_alone() -> None:
    assert merge(THREE, model(keep=2), score=0.05)[0].scores.tolist() == pytest.approx([0.9, 0.3])


def test_one_pass_is_given_back_as_it_is() -> None:
    (given,) = THREE[0]
    assert merge([[given]], nn.Module(), score=0.05) == [given]


def test_images_without_detections() -> None:
    merged = merge([[found(), found()], [found(), found((FIRST, 0.5, 3))]], model(), score=0.05, vote=True)
    assert [len(one) for one in merged] == [0, 1]
    assert merged[1].boxes.tolist() == [FIRST]
    assert [len(one) for one in merge([[found()], [found()]], model("linear"), score=0.05, vote=True)] == [0]


def test_a_box_without_area_stays_where_it_is() -> None:
    flat = [3.0, 4, 3, 9]
    (merged,) = merge([[found((flat, 0.5, 0))], [found((FIRST, 0.4, 0))]], model(), score=0.05, vote=True)
    assert merged.boxes.tolist() == [flat, FIRST]


def slow_iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_merge(passes: list[Detections], iou: float, keep: int, vote: bool) -> list[tuple[float, int, list[float]]]:
    """One image: (score, label, box), best first."""
    rows = [row for d in passes for row in zip(d.scores.tolist(), d.labels.tolist(), d.boxes.tolist(), strict=True)]
    kept: list[tuple[float, int, list[float]]] = []
    for score, label, box in sorted(rows, reverse=True):
        if all(label != other or slow_iou(box, better) <= iou for _, other, better in kept):
            kept.append((score, label, box))
    if not vote:
        return kept[:keep]
    voted = []
    for score, label, box in kept[:keep]:
        voters = [(s, b) for s, other, b in rows if other == label and slow_iou(box, b) >= 0.5]
        total = sum(s for s, _ in voters)
        voted.append((score, label, [sum(s * b[i] for s, b in voters) / total for i in range(4)]))
    return voted


def crowd(count: int) -> Detections:
    low = torch.rand(count, 2) * 40
    boxes = torch.cat([low, low + 20 + torch.rand(count, 2) * 20], 1)
    scores = torch.rand(count).sort(descending=True)[0] * 0.9 + 0.1
    return Detections(boxes, scores, torch.randint(3, (count,)), torch.arange(count))


@pytest.mark.parametrize("vote", [False, True])
@pytest.mark.parametrize(("iou", "keep"), [(0.45, 200), (0.3, 7), (0.8, 12)])
def test_merging_equals_the_loop(iou: float, keep: int, vote: bool) -> None:
    passes = [[crowd(count) for count in counts] for counts in ((12, 0, 30), (20, 1, 3), (5, 7, 9), (0, 0, 30))]
    merged = merge(passes, model("hard", iou, keep), score=0.05, vote=vote)
    for image, one in enumerate(merged):
        expected = slow_merge([detections[image] for detections in passes], iou, keep, vote)
        assert one.scores.tolist() == [score for score, _, _ in expected]
        assert one.labels.tolist() == [label for _, label, _ in expected]
        torch.testing.assert_close(one.boxes, torch.tensor([box for _, _, box in expected]).view(-1, 4))


def test_what_is_padding_does_not_vote() -> None:
    boxes, none = torch.tensor([[FIRST, SECOND]]), torch.zeros(1, 2).long()
    kept = Candidates(boxes[:, :1], torch.tensor([[0.9]]), none[:, :1], none[:, :1])
    voted = vote_boxes(kept, Candidates(boxes, torch.tensor([[0.9, 0.0]]), none, none))
    torch.testing.assert_close(voted, boxes[:, :1])


def test_passes_by_hand() -> None:
    passes = plan_passes(SPEC, [512, 320, 512], flip=True, batch_size=8)
    assert [spec.size for spec in passes.specs] == [512, 320]  # what is given twice counts once
    assert [spec.divisor for spec in passes.specs] == [64, 64]
    assert passes.flips == (False, True)
    assert passes.batch_size == 3  # 8 · (320 / 512)² = 3.1
    assert str(passes) == "512, 320 px, mirrored too"
    assert str(plan_passes(SPEC, [256, 320], vote=True)) == "256, 320 px, boxes vote"


def test_without_options_there_is_one_pass() -> None:
    own = InputSpec(size=5000, divisor=64)  # whatever a model's own size is, it is not for us to refuse
    passes = plan_passes(own, batch_size=5)
    assert (passes.specs, passes.flips, passes.vote, passes.batch_size) == ((own,), (False,), False, 5)
    assert plan_passes(SPEC, [64], batch_size=5).batch_size == 5  # never more than asked for
    assert plan_passes(SPEC, [2048], batch_size=5).batch_size == 1


@pytest.mark.parametrize("size", [300, 0, -64, 2112, 10**30, 320.0, "320", None])
def test_sizes_that_cannot_be_are_refused(size: object) -> None:
    with pytest.raises(InputError, match=rf"scales: {size!r} is no size .* multiples of 64 from 64 to 2048"):
        plan_passes(SPEC, [320, size])  # type: ignore[list-item]


def test_no_sizes_and_a_vote_of_one_are_refused() -> None:
    for nothing in ([], (), 320, "320,512"):
        with pytest.raises(InputError, match=r"scales is .*: give a list"):
            plan_passes(SPEC, nothing)  # type: ignore[arg-type]
    for scales in (None, [320], [320, 320]):
        with pytest.raises(InputError, match="vote: one pass"):
            plan_passes(SPEC, scales, vote=True)
    plan_passes(SPEC, flip=True, vote=True)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="batch_size is 0"):
        plan_passes(SPEC, batch_size=0)


def test_inputs_that_are_padded_may_have_any_size() -> None:
    assert plan_passes(InputSpec(size=600, divisor=32, resize="short side"), [601]).specs[0].size == 601


def test_scales_of_padded_inputs_are_short_sides() -> None:
    spec = InputSpec(size=600, max_side=1000, divisor=32, resize="short side")
    specs = plan_passes(spec, [600, 1200, 480]).specs
    assert [(one.size, one.max_side) for one in specs] == [(600, 1000), (1200, 2000), (480, 800)]
    assert plan_passes(spec).specs == (spec,)


def white(box: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (200, 400))
    picture.paste("white", box)
    return picture


@pytest.mark.parametrize("resize", ["warp", "short side"])
def test_every_pass_comes_back_into_the_picture(detector: Detector, resize: str) -> None:
    """What a pass finds of a white box is that box again, so that all but one of them are dropped."""
    detector.model.config = SimpleNamespace(nms="hard", nms_iou=0.99, keep=200)
    detector.input_spec = InputSpec(size=100, resize=resize, divisor=40 if resize == "short side" else 1)  # type: ignore[arg-type]
    one = detector.detect(white((20, 80, 100, 200)), scales=(100, 200), flip=True)
    first, last = (100, 200) if resize == "warp" else (120, 200)
    assert [batch.shape[3] for batch in detector.model.batches] == [first, first, last, last]
    assert one.boxes.tolist() == [[20, 80, 100, 200]]
    assert one.source.tolist() == [-1]
    assert one.names == ["bright"]
    assert one.image is not None
    plain, mirrored = detector.model.batches[:2]
    assert torch.equal(plain[..., :100].flip(-1), mirrored[..., :100])  # the padding stays on the right


def test_large_inputs_go_through_in_smaller_batches(detector: Detector) -> None:
    detector.model.config = SimpleNamespace(nms="hard", nms_iou=0.5, keep=200)
    several = detector.detect([white((20, 80, 100, 200))] * 5, batch_size=4, scales=(100, 142))
    assert [tuple(batch.shape[::3]) for batch in detector.model.batches[:2]] == [(1, 100), (1, 142)]
    assert len(several) == 5


@pytest.fixture(scope="module")
def astronaut() -> tuple[Detector, Image.Image]:
    """The bundled detector, and a photograph of just its input's size: no resampling, which no mirror could undo."""
    detector = vedette.load("refinedet320-lite0", device="cpu")
    path = files("vedette") / "assets" / "demo" / "astronaut.jpg"
    return detector, Image.open(str(path)).convert("RGB").resize((320, 320))


def same(first: Detections, second: Detections) -> None:
    for field in ("boxes", "scores", "labels", "source"):
        assert torch.equal(getattr(first, field), getattr(second, field))


def test_the_own_size_alone_is_plain_detection(astronaut: tuple[Detector, Image.Image]) -> None:
    detector, picture = astronaut
    plain = detector.detect(picture, score=0.05)
    assert (plain.source >= 0).all()
    same(detector.detect(picture, score=0.05, scales=[320]), plain)
    same(detector.detect(picture, score=0.05, scales=[320, 320], flip=False), plain)


@pytest.mark.parametrize("vote", [False, True])
def test_a_mirrored_picture_gives_mirrored_detections(astronaut: tuple[Detector, Image.Image], vote: bool) -> None:
    detector, picture = astronaut
    one = detector.detect(picture, score=0.03, flip=True, vote=vote)
    other = detector.detect(ImageOps.mirror(picture), score=0.03, flip=True, vote=vote)
    assert len(one) > 5
    x1, y1, x2, y2 = one.boxes.unbind(1)
    torch.testing.assert_close(other.boxes, torch.stack([320 - x2, y1, 320 - x1, y2], 1), rtol=0, atol=1e-3)
    torch.testing.assert_close(other.scores, one.scores)
    assert torch.equal(other.labels, one.labels)
    assert not torch.equal(one.scores, detector.detect(picture, score=0.03).scores)


def test_what_the_passes_find_alone_is_what_is_merged(astronaut: tuple[Detector, Image.Image]) -> None:
    detector, picture = astronaut
    alone = [[detector.detect(picture, score=0.05, scales=[size])] for size in (256, 448)]
    (expected,) = merge(alone, detector.model, 0.05, vote=True)
    same(detector.detect(picture, score=0.05, scales=(256, 448), vote=True), expected)


def test_merging_keeps_the_picture_and_the_datas_own_names_and_ids() -> None:
    picture = Image.new("RGB", (9, 9))
    one = replace(found(([0, 0, 5, 5], 0.9, 0)), classes=("cat",), category_ids=(17,), image=picture)
    (merged,) = merge([[one], [one]], model(), 0.5)
    assert (merged.classes, merged.category_ids, merged.image) == (("cat",), (17,), picture)
    assert [row["category_id"] for row in merged.to_coco()] == [17]
