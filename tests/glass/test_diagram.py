"""The diagram of every paper: well formed, true to the model's maps, and every step of the trace can be opened."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch import nn

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette.glass.diagram import NETWORKS, diagram
from vedette.glass.maps import Map, maps_of
from vedette.glass.papers import paper_of
from vedette.infer.detector import Detector

SVG = "{http://www.w3.org/2000/svg}"


def read(svg: str) -> tuple[list[str], list[ElementTree.Element]]:
    """All its texts, and what opens steps."""
    root = ElementTree.fromstring(svg)
    return [one.text or "" for one in root.iter(f"{SVG}text")], [one for one in root.iter() if one.get("data-step")]


def drawn(model: Any, picture: Image.Image | None = None, **how: Any) -> tuple[Any, str]:
    detector = Detector(model, classes=tuple("abc"), device="cpu")
    trace = vedette.explain(detector, picture or pictures()[0], **({"score": 0.3} | how))
    return trace, diagram(model, trace)


@every_detector
def test_every_step_can_be_opened_with_its_numbers(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    for picture, score in zip(pictures(), (0.0, 0.3, 1.0), strict=True):
        trace = vedette.explain(detector, picture, score=score)
        _, steps = read(diagram(detector.model, trace))
        for one in steps:
            step = trace.step(one.get("data-step") or "")
            assert (one.get("data-in"), one.get("data-out")) == (str(len(step)), str(int(step.kept.sum())))
        assert {one.get("data-step") for one in steps} == {step.name for step in trace.steps}


@every_detector
def test_every_paper_has_its_own_figure(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    _, steps = read(diagram(detector.model, vedette.explain(detector, pictures()[0])))
    names = [one.get("data-step") for one in steps]
    assert paper_of(detector.model) in NETWORKS
    heads = {"floor", "decode", "regions" if getattr(detector.model, "needs_proposals", False) else "anchors"}
    assert {step for step in names if names.count(step) > 1} >= heads  # in the network, and in the way


def test_maps_are_those_that_the_network_makes() -> None:
    model = tiny.refinedet().eval()
    seen: dict[str, torch.Tensor] = {}
    model.tcbs[0].register_forward_hook(lambda _, __, out: seen.update(tcb=out))
    maps = maps_of(model, (64, 128), lambda m, x: {"arm": m.features(x), "odm": m.transfer(m.features(x))})
    model(torch.zeros(1, 3, 64, 128))
    assert maps["odm"][0] == Map(*seen["tcb"].shape[1:]) == Map(8, 8, 16)
    assert [str(one) for one in maps["arm"]] == ["8 × 16", "4 × 8", "2 × 4", "1 × 2"]
    assert not next(model.parameters()).is_meta


def test_refinedet_shows_its_maps_and_modules() -> None:
    texts, _ = read(drawn(tiny.refinedet())[1])
    assert texts.count("TCB") == 4
    assert texts.count("8 × 8") == texts.count("1 × 1") == 2  # of the ARM, and of the ODM
    assert texts.count("8 ch.") == 4 + 1  # of the ODM; the backbone's finest
    assert [f"stride {stride}" in texts for stride in (8, 16, 32, 64)] == [True] * 4
    assert any("ARM" in words for words in texts)


@pytest.mark.parametrize("switch", ["tcb", "everything"])
def test_what_is_switched_off_is_not_drawn(switch: str) -> None:
    off = {"tcb": False} if switch == "tcb" else {"tcb": False, "cascade": False, "filter_negatives": False}
    texts, steps = read(drawn(tiny.refinedet(**off))[1])
    assert "TCB" not in texts
    assert ("refined anchors" in texts) == (switch == "tcb")
    assert any(one.get("data-step") == "refine" for one in steps) == (switch == "tcb")


def test_m2det_shows_as_many_modules_as_it_has() -> None:
    texts, _ = read(drawn(tiny.m2det(levels=3))[1])
    assert [f"TUM {number}" in texts for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert texts.count("48 ch.") == 3  # 3 levels of 16 channels in each of three scales
    assert "three levels side by side in each scale (SFAM)" in texts
    without, _ = read(drawn(tiny.m2det(levels=3, sfam=False))[1])
    assert "three levels side by side in each scale" in without


def test_ssd_says_how_many_anchors_there_are() -> None:
    texts, _ = read(drawn(tiny.ssd())[1])
    assert "a head on each of 4 maps, 380 anchors in all" in texts


def test_the_pyramid_is_named_by_its_strides() -> None:
    texts, _ = read(drawn(tiny.retinanet())[1])
    assert [any(words.startswith(f"p{level} ") for words in texts) for level in range(2, 9)] == [
        False,
        *[True] * 5,
        False,
    ]
    assert "1 × (3 × 3, 64)" in texts
    assert "6 × 3 scores a cell" in texts


def downs(svg: str) -> int:
    """Arrows straight down among the pyramid's maps."""
    ends = [
        re.match(r"M232\.0 ([\d.]+)L232\.0 ([\d.]+)$", one.get("d") or "") for one in ElementTree.fromstring(svg).iter()
    ]
    return sum(float(end[2]) > float(end[1]) for end in ends if end)


def test_only_a_feature_pyramid_is_drawn_from_the_coarse_to_the_fine() -> None:
    own = drawn(tiny.retinanet())[1]
    model = tiny.retinanet()
    model.pyramid = Plain(model.pyramid)
    assert (downs(own), downs(drawn(model)[1])) == (2, 0)  # p5 to p4 to p3
    sixth = drawn(tiny.retinanet(p6_from="p5"))[1]
    assert own.count('class="arrow') == sixth.count('class="arrow')
    assert own != sixth


class Plain(nn.Module):
    """A pyramid of one's own."""

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.own = pyramid

    def forward(self, maps: Any) -> Any:
        return self.own(maps)


def test_fpn_says_from_which_level_regions_are_read() -> None:
    trace, svg = drawn(tiny.fpn())
    texts, _ = read(svg)
    counts = torch.bincount(trace.regions().level, minlength=4).tolist()
    assert f"p2: {counts[0]} · p3: {counts[1]}" in texts
    assert f"p4: {counts[2]} · p5: {counts[3]}" in texts


def test_several_looks_and_their_merging_are_there() -> None:
    trace, svg = drawn(tiny.refinedet(), scales=(64, 128))
    _, steps = read(svg)
    assert {one.get("data-step") for one in steps} >= {"merge suppress", "merge keep"}
    for number, look in enumerate(trace.passes, 1):
        assert f">look {number}: {look}<" in svg
        assert f">{len(look.detections)} found<" in svg
    assert len(trace.passes) == 2


def test_a_detector_of_no_paper_has_its_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NETWORKS, "SSD")
    trace, svg = drawn(tiny.ssd())
    _, steps = read(svg)
    assert [one.get("data-step") for one in steps] == [step.name for step in trace.steps]
