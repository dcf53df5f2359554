"""The words of every step: none is missing, they cite what there is, and their numbers are the config's."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette.glass.citations import BUILDS_ON, NAMES, OWN, SHARED, cited
from vedette.glass.words import words
from vedette.infer.detector import Detector

ROOT = Path(vedette.__file__).parents[1]
CODE = sorted({cited(paper, step).code for paper in NAMES for step in [*OWN.get(paper, {}), *SHARED]})


def told(model: Any, score: float = 0.3, **how: Any) -> dict[str, dict[str, str]]:
    detector = Detector(model, classes=tuple("abc"), device="cpu")
    return words(vedette.explain(detector, pictures()[0], score=score, **how))


@every_detector
def test_every_step_is_told(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    for score in (0.0, 1.0):
        trace = vedette.explain(detector, pictures()[0], score=score)
        given = words(trace)
        assert list(given) == [step.name for step in trace.steps]
        for one in given.values():
            assert set(one) == {"title", "text", "equation", "paper", "code"}
            assert 0 < len(one["title"]) <= 40
            assert 1 <= one["text"].count(". ") + one["text"].endswith(".") <= 4
            assert one["text"].endswith(".")
            assert "  " not in one["text"]
            assert one["code"].startswith("vedette.")
            if one["equation"]:
                ElementTree.fromstring(one["equation"])


@pytest.mark.parametrize("code", CODE)
def test_what_is_cited_of_the_code_is_there(code: str) -> None:
    parts = code.split(".")
    first = next(place for place, part in enumerate(parts) if not (ROOT.joinpath(*parts[: place + 1])).is_dir()) + 1
    found: Any = import_module(".".join(parts[:first]))
    for name in parts[first:]:
        found = getattr(found, name)
    assert callable(found)


def test_a_paper_cites_itself_or_what_it_builds_on() -> None:
    assert cited("RefineDet", "refine").paper == "RefineDet, CVPR 2018, sec. 3.2"
    assert cited("FPN", "rpn pick").paper == "Faster R-CNN, NIPS 2015, sec. 3.3"
    assert cited("M2Det", "pick").paper == "SSD, ECCV 2016, sec. 3.7"
    assert cited("M2Det", "suppress", soft=True).code == "vedette.ops.nms.soft_nms"
    assert cited("Mine", "suppress").code == "vedette.parts.detection.suppress"
    assert set(OWN) == set(NAMES) >= set(BUILDS_ON)


def test_numbers_are_those_of_the_config() -> None:
    given = told(tiny.refinedet(theta=0.87, candidates=123, nms_iou=0.37, keep=45, box_std=(0.3, 0.3, 0.7, 0.7)), 0.21)
    assert "surer than 0.87" in given["refine"]["text"]
    assert "<mn>0.87</mn>" in given["refine"]["equation"]
    assert given["pick"]["title"] == "The best 123 of the picture"
    assert "above 0.37" in given["suppress"]["text"]
    assert "At most 45 detections" in given["keep"]["text"]
    assert "at least 0.21" in given["floor"]["text"]
    assert "three classes and background 4 scores" in given["floor"]["text"]
    for step in ("refine", "decode"):
        assert "<mn>0.3</mn>" in given[step]["equation"]
        assert "<mn>0.7</mn>" in given[step]["equation"]


def test_anchors_are_told_as_they_are() -> None:
    assert "255 boxes" in told(tiny.refinedet())["anchors"]["text"]
    assert "10, 20, 32 and 48 pixels" in told(tiny.ssd())["anchors"]["text"]
    assert "13, 26 and 45 pixels" in told(tiny.m2det())["anchors"]["text"]  # 0.2, 0.4 and 0.7 of 64
    assert "squares of 16 and 32 pixels" in told(tiny.faster_rcnn())["anchors"]["text"]
    assert "every 4, 8, 16, 32 and 64 pixels" in told(tiny.fpn())["anchors"]["text"]


@pytest.mark.parametrize(("method", "word"), [("linear", "if"), ("gaussian", "0.5")])
def test_soft_nms_is_told_as_such(method: str, word: str) -> None:
    one = told(tiny.ssd(nms=method))["suppress"]
    assert one["title"] == f"Soft-NMS ({method})"
    assert word in re.sub("<[^>]*>", " ", one["equation"]).split()
    assert "Soft-NMS" in one["paper"]


def test_the_switches_are_told() -> None:
    plain = told(tiny.refinedet(cascade=False))
    assert plain["decode"]["title"] == "ODM: the move"
    assert "moves" not in plain["refine"]["text"]
    assert "None is left out." in told(tiny.refinedet(filter_negatives=False))["refine"]["text"]


def test_counts_are_those_of_the_trace() -> None:
    trace = vedette.explain(Detector(tiny.ssd(), classes=tuple("abc"), device="cpu"), pictures()[0], score=0.3)
    given, step = words(trace), trace.step("suppress")
    gone, stayed = int((~step.kept).sum()), int(step.kept.sum())
    assert f"Of {len(step):,} boxes here {gone:,} went, {stayed:,} stayed." in given["suppress"]["text"]


def test_several_looks_are_told() -> None:
    given = told(tiny.refinedet(), scales=(64, 128), flip=True)
    assert "looked at four times" in given["merge suppress"]["text"]
    assert given["merge keep"]["title"] == "The best 200 stay"


def test_each_kind_of_region_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def of(name: str, **config: Any) -> str:
        detector = detector_of(name, monkeypatch, tmp_path, **config)
        return words(vedette.explain(detector, pictures()[0]))["regions"]["text"]

    assert "warped to 64 × 64 pixels" in of("R-CNN")
    assert "50 numbers a channel" in of("SPPNet")
    assert "3 × 3 parts, of which the largest value" in of("Fast R-CNN")
    assert "7 × 7 parts, of which the mean" in of("FPN")
