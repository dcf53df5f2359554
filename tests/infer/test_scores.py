"""Least scores of each class, and classes that are looked for: chosen inside `find`, and nothing else changes."""

from importlib.resources import files
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import vedette
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.look import FLOORS, Look
from vedette.infer.scores import UNREACHED, least_scores, lowest, reaching
from vedette.parts.detection import Candidates as Given
from vedette.parts.detection import Picked, at_least, best_of_image, find, suppress
from vedette.structures import Detections

DEMO = [str(files("vedette") / "assets" / "demo" / name) for name in ("astronaut.jpg", "chelsea.jpg")]
NAMES = ("cat", "dog", "cow")


def says(**fields: object) -> SimpleNamespace:
    given = {"network": SimpleNamespace(config=SimpleNamespace()), "classes": NAMES, "category_ids": (17, 18, 21)}
    return SimpleNamespace(**(given | {"thresholds": None} | fields))


def test_least_scores_by_hand() -> None:
    own = says(thresholds=(0.3, 0.4, 0.6))
    assert least_scores(says()) == 0.5
    assert least_scores(says(), 0.2) == 0.2
    assert least_scores(own) == (0.3, 0.4, 0.6)
    assert least_scores(own, 0.2) == 0.2  # who gives one is heard
    assert least_scores(own, classes=["dog"]) == (UNREACHED, 0.4, UNREACHED)
    assert least_scores(own, 0.2, ["cow", 17]) == (0.2, UNREACHED, 0.2)
    assert least_scores(says(), classes=["18"]) == (UNREACHED, 0.5, UNREACHED)  # as a command line has ids
    assert lowest([(UNREACHED, 0.4), 0.6]) == 0.4


def test_without_names_and_ids_labels_are_the_ids() -> None:
    network = SimpleNamespace(config=SimpleNamespace(num_classes=2))
    bare = says(network=network, classes=None, category_ids=None)
    assert least_scores(bare, classes=[1]) == (UNREACHED, 0.5)
    with pytest.raises(InputError, match=r"classes: 2 is no class of this detector; its weights .* ids are 0, 1$"):
        least_scores(bare, classes=[2])
    with pytest.raises(InputError, match="does not say which it has"):
        least_scores(says(classes=None, category_ids=None), classes=[0])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["dogs"], "classes: 'dogs' is no class of this detector; did you mean dog?"),
        (["zebra"], "classes: 'zebra' is no class of this detector; it has cat, dog, cow"),
        ([3], "classes: 3 is no class of this detector; it has cat, dog, cow"),
        ([], "classes is []: give a list of names or ids"),
        ("dog", "classes is 'dog': give a list of names or ids"),
    ],
)
def test_classes_that_there_are_not(wanted: object, message: str) -> None:
    with pytest.raises(InputError) as told:
        least_scores(says(), classes=wanted)  # type: ignore[arg-type]
    assert str(told.value) == message


def test_what_reaches_its_own_classs_score() -> None:
    scores, labels = torch.tensor([0.9, 0.3, 0.29, 0.1]), torch.tensor([0, 1, 1, 2])
    row = Detections(torch.rand(4, 4), scores, labels, torch.arange(4))
    assert reaching(row, (0.95, 0.3, 0.05)).labels.tolist() == [1, 2]  # exactly 0.3 counts
    assert reaching(row, 0.3).labels.tolist() == [0, 1]


def test_a_floor_of_each_class_in_find() -> None:
    """Two of the best three pairs are of a class that is not wanted; the third place goes to the next."""
    scores = torch.tensor([[[0.9, 0.2], [0.8, 0.3], [0.1, 0.7]]])
    boxes = torch.tensor([[0.0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]])

    def boxes_at(rows: Tensor, labels: Tensor) -> Tensor:
        return boxes[rows]

    def pick(given: Tensor) -> Picked:
        return best_of_image(given, 3)

    def rows(floor: float | Tensor) -> list[tuple[int, int]]:
        kept = find(scores, boxes_at, pick, floor=floor, iou=0.5, keep=3).kept
        real = kept.scores[0] > 0
        return list(zip(kept.source[0, real].tolist(), kept.labels[0, real].tolist(), strict=True))

    assert rows(0.1) == [(0, 0), (1, 0), (2, 1)]
    assert rows(torch.tensor([2.0, 0.1])) == [(2, 1), (1, 1), (0, 1)]
    assert rows(torch.tensor([0.85, 0.3])) == [(0, 0), (2, 1), (1, 1)]
    assert at_least(scores, torch.tensor([0.9, 0.3]))[0].tolist() == [
        pytest.approx(own) for own in ([0.9, 0], [0, 0.3], [0, 0.7])
    ]


def test_a_floor_of_each_class_in_soft_nms() -> None:
    """Twins of two classes: the second of each is weakened to 0; what is left goes by its own class's floor."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 10], [5, 0, 15, 10]]])
    labels, scores = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0.9, 0.6, 0.9, 0.6]])
    given = Given(boxes, scores, labels, torch.arange(4)[None])
    found = suppress(given, iou=0.3, keep=4, floor=torch.tensor([0.5, 0.3]), method="linear")
    real = found.kept.scores[0] > 0
    assert sorted(found.kept.source[0, real].tolist()) == [0, 2, 3]  # 0.6 · (1 - 1/3) = 0.4


@pytest.fixture(scope="module")
def bundled() -> Detector:
    return vedette.load("refinedet320-lite0", device="cpu")


def same(first: Detections, second: Detections) -> None:
    assert len(first) == len(second) > 0
    for field in ("boxes", "scores", "labels", "source"):
        assert torch.equal(getattr(first, field), getattr(second, field))


def test_classes_that_are_left_out_change_nothing_of_the_others(bundled: Detector) -> None:
    every, some = (bundled.detect(DEMO, score=0.04, classes=own) for own in (None, ["person", "cat"]))
    for everything, chosen in zip(every, some, strict=True):
        same(chosen, everything[torch.tensor([name in ("person", "cat") for name in everything.names])])
    assert sum(map(len, every)) > sum(map(len, some))


def test_classes_that_are_left_out_take_no_places(bundled: Detector) -> None:
    """Of a detector that keeps three boxes of a picture."""
    few = vedette.load("refinedet320-lite0", device="cpu", keep=3)
    every = bundled.detect(DEMO[0], score=0.01)
    rare = next(name for name in every.names if name not in every.names[:6])
    assert rare not in few.detect(DEMO[0], score=0.01).names
    same(few.detect(DEMO[0], score=0.01, classes=[rare]), every[torch.tensor([n == rare for n in every.names])][:3])


def test_the_detectors_own_scores_are_the_default(bundled: Detector) -> None:
    each = tuple(0.05 + 0.02 * label for label in range(20))
    own = Detector(bundled.model, bundled.input_spec, bundled.classes, "cpu", thresholds=each)
    everything = own.detect(DEMO[0], score=0.05)
    floors = torch.tensor(each)[everything.labels]
    assert 0 < int((everything.scores >= floors).sum()) < len(everything)
    same(own.detect(DEMO[0]), everything[everything.scores >= floors])
    same(own.detect(DEMO[0], score=0.05), bundled.detect(DEMO[0], score=0.05))
    flipped = own.detect(DEMO[0], flip=True)
    same(flipped, reaching(own.detect(DEMO[0], score=0.05, flip=True), each))


def test_a_detector_of_ones_own_is_given_a_number(detector: Detector) -> None:
    """Its `detect` compares with one; what is below a class's own is left out behind it."""
    from PIL import Image

    white = Image.new("RGB", (50, 50), "white")
    assert len(detector.detect(white, 0.7, classes=["bright"])) == 1
    assert len(detector.detect(white, 0.7, classes=["dark"])) == 0


def test_floors_on_the_device_are_kept_and_not_without_end(bundled: Detector) -> None:
    look = bundled.look_in(bundled.input_spec)
    assert isinstance(look, Look)
    first = look._floor((0.5,) * 20)
    assert look._floor((0.5,) * 20) is first
    for number in range(2 * FLOORS):
        look._floor((number / 1000,) * 20)
    assert len(look.floors) <= FLOORS
