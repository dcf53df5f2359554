"""Class names of data and model, and the numbers that a training asks for."""

import dataclasses
import math

import pytest
import torch

from vedette.errors import InputError
from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.measure import known_truths_for, measure, measure_classes, truths_for
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import voc_average_precision


@dataclasses.dataclass
class Annotations:
    classes: tuple[str, ...]
    truths: list[Truth]

    def __len__(self) -> int:
        return len(self.truths)

    def __getattr__(self, name: str):
        return lambda index: getattr(self.truths[index], name)


def truth(labels, difficult=None):
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(len(labels), 1)
    return Truth.of(boxes, torch.tensor(labels, dtype=torch.int64), difficult)


def test_classes_are_matched_by_name():
    data = Annotations(("dog", "cat"), [truth([0, 1, 1]), truth([])])
    truths = truths_for(data, ["cat", "cow", "dog"])
    assert [one.labels.tolist() for one in truths] == [[2, 0, 0], []]
    assert truths[0].boxes.tolist() == data.truths[0].boxes.tolist()


def test_an_unknown_class_is_named():
    data = Annotations(("dog", "unicorn", "cat"), [truth([0]), truth([1])])
    with pytest.raises(InputError, match=r"does not know these classes of the data: unicorn; it knows cat, dog"):
        truths_for(data, ["cat", "dog"])


def test_an_unknown_class_without_boxes_does_not_matter():
    assert len(truths_for(Annotations(("unicorn", "dog"), [truth([1])]), ["dog"])) == 1


def test_boxes_of_unknown_classes_can_be_left_out_and_are_counted():
    nothing = torch.tensor([False, True, False])
    data = Annotations(("dog", "unicorn", "cat"), [truth([0, 1, 2], nothing), truth([1])])
    truths, unknown = known_truths_for(data, ["cat", "dog"])
    assert unknown == {"unicorn": 2}
    assert [one.labels.tolist() for one in truths] == [[1, 0], []]
    assert [len(column) for column in (truths[0].boxes, truths[0].difficult, truths[0].area)] == [2, 2, 2]
    assert not truths[0].difficult.any()
    assert known_truths_for(data, ["cat", "dog", "unicorn"])[1] == {}


def test_data_of_unknown_classes_alone_are_refused():
    with pytest.raises(InputError, match="does not know these classes of the data: unicorn; it knows cat"):
        known_truths_for(Annotations(("dog", "unicorn"), [truth([1])]), ["cat"])


def test_data_with_nothing_to_find_is_refused():
    with pytest.raises(InputError, match="nothing to find in 2 images"):
        truths_for(Annotations(("dog",), [truth([]), truth([0], torch.tensor([True]))]), ["dog"])


@pytest.mark.parametrize("metric", ["voc07", "voc12"])
def test_voc(make_scene, metric):
    found, truths = make_scene(0)
    assert measure(found, truths, 3, metric) == {"mAP": voc_average_precision(found, truths, 3, metric=metric).mean_ap}


def test_coco(make_scene):
    found, truths = make_scene(0)
    table = coco_average_precision(found, truths, 3)
    assert measure(found, truths, 3, "coco") == {"AP": table.ap, "AP50": table.ap50, "AP75": table.ap75}


@pytest.mark.parametrize("metric", ["voc07", "voc12", "coco"])
def test_classes_stand_behind_the_main_numbers(make_scene, metric):
    """The first number chooses the best weights; the classes' mean is it, and one without boxes is NaN."""
    found, truths = make_scene(0)
    numbers = measure_classes(found, truths, ["a", "b/c", "d", "none"], metric)
    main = measure(found, truths, 4, metric)
    assert list(numbers) == [*main, "AP/a", "AP/b/c", "AP/d", "AP/none"]
    assert {name: numbers[name] for name in main} == main
    mean = sum(numbers[f"AP/{name}"] for name in ("a", "b/c", "d")) / 3
    assert next(iter(numbers.values())) == pytest.approx(mean)
    assert math.isnan(numbers["AP/none"])
