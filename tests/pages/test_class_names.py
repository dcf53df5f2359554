"""Classes without names are called the same wherever they are told."""

import torch

from papers import tiny
from vedette.glass.trace import explain
from vedette.infer.detector import Detector
from vedette.pages.class_names import all_unnamed, unnamed
from vedette.structures import Detections
from vedette.weights.layouts.class_names import names_by_count


def test_they_are_numbered_from_0_on() -> None:
    assert unnamed(3) == "class 3"
    assert all_unnamed(2) == ("class 0", "class 1")
    assert names_by_count(3)[0] == all_unnamed(3)


def test_detections_and_traces_have_the_same() -> None:
    one = torch.ones(1)
    found = Detections(boxes=torch.zeros(1, 4), scores=one, labels=2 * one.long(), source=one.long())
    trace = explain(Detector(tiny.ssd(), device="cpu"), torch.zeros(3, 64, 64, dtype=torch.uint8))
    assert found.names == trace.classes[2:3] == [unnamed(2)]
