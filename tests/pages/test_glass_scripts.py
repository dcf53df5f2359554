"""The page's scripts, run by node on what Python says: they find the same boxes, and lose objects in the same steps."""

import base64
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import vedette
from glass.detectors import detector_of, noise, pictures
from glass.planted import OBJECT, PICTURE, SURE, UNSURE, anchor, crowd, refinedet, two_stage
from pages.node import run_node, write
from vedette.glass.columns import column, quantised_boxes
from vedette.glass.lost import lost_in_stages
from vedette.glass.packed import pack
from vedette.glass.page import page_trace
from vedette.glass.record import Reason
from vedette.glass.trace import Trace
from vedette.infer.detector import Detector
from vedette.infer.multiscale import merge
from vedette.ops.nms import soft_nms
from vedette.pages import render
from vedette.parts.detection import unpad
from vedette.structures import Detections, HeadOutput

SCRIPTS = Path(render.__file__).parent / "glass"
DEMO = Path(vedette.__file__).parent / "assets" / "demo"
PICKS = ("RefineDet", "SSD", "RetinaNet", "M2Det", "FPN", "R-CNN")  # of an image, a class, a level; in stages


def rows_of(found: Detections) -> list[list[float]]:
    return torch.cat([found.labels[:, None].float(), found.scores[:, None], found.boxes], 1).tolist()


def knobs_of(trace: Trace, dice: random.Random) -> dict[str, Any]:
    """Any setting that the page's sliders have."""
    scores = trace.passes[0].stages[-1].scores
    emptiness = trace.passes[0].stages[-1].emptiness
    knobs = {
        "floor": dice.uniform(0.01, float(scores.max()) * 1.02),
        "iou": dice.uniform(0.02, 0.98),
        "sigma": dice.uniform(0.05, 2),
        "method": dice.choice(["hard", "linear", "gaussian"]),
    }
    if emptiness is not None and dice.random() < 0.7:
        knobs["theta"] = float(emptiness.quantile(dice.random()))
    return knobs


def found_at(trace: Trace, knobs: dict[str, Any]) -> Detections:
    """The paper's own find over every look, with other numbers, and the merging of what it kept."""
    model: Any = trace.detector.model
    changed = {"nms": knobs["method"], "nms_iou": knobs["iou"]}
    if "theta" in knobs:
        changed["theta"] = knobs["theta"]
    softened = partial(soft_nms, sigma=knobs["sigma"])
    with (
        patch.object(model, "config", replace(model.config, **changed)),
        patch("vedette.parts.detection.soft_nms", softened),
        torch.inference_mode(),
    ):
        looks = []
        for one in trace.passes:
            (found,) = unpad(model.find(one.predictions, knobs["floor"]).kept)
            looks.append([one.frame.detections(found)])
        return merge(looks, model, knobs["floor"], trace.vote)[0]


def grainy() -> list[Image.Image]:
    """The pictures with some noise, as no photograph is without: of equal scores `topk` picks any."""
    grain = noise(128, 128)
    return [Image.blend(picture, grain.resize(picture.size), 0.1) for picture in pictures()]


def cases(detector: Detector, name: str, count: int, **how: Any) -> Iterator[dict[str, Any]]:
    for number, picture in enumerate(grainy()):
        trace, dice = vedette.explain(detector, picture, score=0.2, **how), random.Random(number)
        chosen = [knobs_of(trace, dice) for _ in range(count)]
        settings = [{"knobs": knobs, "detections": rows_of(found_at(trace, knobs))} for knobs in chosen]
        yield {"name": f"{name}, picture {number}", "packed": pack(page_trace(trace)), "settings": settings}


def test_columns_come_out_as_they_went_in(tmp_path: Path) -> None:
    values = {
        "scores": torch.rand(7),
        "labels": torch.arange(5) - 2,
        "again": torch.arange(5) - 2,
        "fates": torch.tensor([0, 255, 7], dtype=torch.uint8),
        "boxes": quantised_boxes(torch.arange(36.0).view(9, 4) * 100 - 2000),
        "same": quantised_boxes(torch.arange(36.0).view(9, 4) * 100 - 2000),
        "none": torch.zeros(0, 4),
    }
    columns = {name: column(value) if isinstance(value, Tensor) else value for name, value in values.items()}
    plain = {name: numbers(one) for name, one in columns.items()}
    write(
        tmp_path,
        "columns",
        {"packed": pack({"name": "é", "columns": columns}), "plain": {"name": "é", "columns": plain}},
    )
    run_node("decode", tmp_path)


def numbers(one: dict[str, Any]) -> list[float]:
    values = np.frombuffer(
        base64.b64decode(one["data"]), {"float32": "<f4", "int32": "<i4", "int16": "<i2"}.get(one["type"], "u1")
    )
    return [float(np.float32(value * one["scale"])) if "scale" in one else float(value) for value in values]


def test_numbers_are_told_so_that_they_do_not_contradict(tmp_path: Path) -> None:
    run_node("phrases", tmp_path)


def test_names_on_the_picture_do_not_hide_one_another(tmp_path: Path) -> None:
    run_node("spread", tmp_path)


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_it_finds_the_same_boxes_at_any_setting(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for name in PICKS:
        detector = detector_of(name, monkeypatch, tmp_path, keep=40, candidates=30)
        rows += cases(detector, name, count)
    write(tmp_path, "find", rows)
    run_node("find", tmp_path)


def test_several_looks_are_merged_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = detector_of("RefineDet", monkeypatch, tmp_path, keep=20)
    rows = [
        case
        for vote in (False, True)
        for case in cases(detector, f"two sizes, mirrored, vote {vote}", 6, scales=(64, 128), flip=True, vote=vote)
    ]
    write(tmp_path, "find", rows)
    run_node("find", tmp_path)


def lost_case(
    name: str, trace: Trace, objects: list[tuple[list[float], int]], others: list[list[float]] | None = None
) -> dict[str, Any]:
    """others: of objects of the same class, in traces of one look."""
    rows = []
    for box, label in objects:
        lost = trace.lost(box, label)
        if others is not None:
            lost = lost_in_stages(trace.passes[0].stages, torch.tensor([box]), label, torch.tensor(others))
        expected = {"reason": str(lost.reason), "step": lost.step, "iou": lost.iou}
        rows.append({"box": box, "label": label, "others": others or [], "expected": expected})
    return {"name": name, "packed": pack(page_trace(trace)), "objects": rows}


def boxes_in(picture: Image.Image, count: int, dice: random.Random) -> list[list[float]]:
    boxes = []
    for _ in range(count):
        left, top = dice.uniform(0, 0.7) * picture.width, dice.uniform(0, 0.7) * picture.height
        right = dice.uniform(left + 0.1 * picture.width, picture.width)
        boxes.append([left, top, right, dice.uniform(top + 0.1 * picture.height, picture.height)])
    return boxes


def test_objects_are_lost_in_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice, rows = random.Random(4), []
    for name in PICKS:
        detector = detector_of(name, monkeypatch, tmp_path, keep=12)
        for number, picture in enumerate(grainy()):
            objects = [(box, dice.randrange(3)) for box in boxes_in(picture, 12, dice)]
            trace = vedette.explain(detector, picture, score=dice.choice([0.05, 0.2, 0.4]))
            rows.append(lost_case(f"{name}, picture {number}", trace, objects))
    detector, picture = detector_of("RefineDet", monkeypatch, tmp_path), grainy()[0]
    trace = vedette.explain(detector, picture, score=0.3, scales=(64, 128), flip=True)
    rows.append(lost_case("several looks", trace, [(box, 1) for box in boxes_in(picture, 12, dice)]))
    write(tmp_path, "lost", rows)
    run_node("lost", tmp_path)


def test_planted_objects_are_lost_in_the_same_steps(tmp_path: Path) -> None:
    def sure(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE

    def easy(arm: HeadOutput, odm: HeadOutput) -> None:
        sure(arm, odm)
        arm.logits[..., 0] = 6.0

    def confused(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1], odm.logits[0, anchor(4, 4), 3] = 10.0, SURE

    def outdone(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1], odm.logits[0, anchor(0, 0), 2] = UNSURE, SURE

    def moved(arm: HeadOutput, odm: HeadOutput) -> None:
        sure(arm, odm)
        odm.deltas[0, anchor(4, 4), 0] = 24 / 32 / 0.1

    planted: list[tuple[Any, dict[str, Any], Reason]] = [
        (sure, {}, Reason.KEPT),
        (easy, {}, Reason.EASY),
        (confused, {}, Reason.UNDER_FLOOR),
        (outdone, {"candidates": 1}, Reason.BEYOND_COUNT),
        (outdone, {"keep": 1}, Reason.BEYOND_KEEP),
        (crowd, {}, Reason.SUPPRESSED),
        (crowd, {"nms": "linear"}, Reason.WEAKENED),
        (moved, {}, Reason.MISPLACED),
    ]
    rows = []
    for say, config, reason in planted:
        case = lost_case(str(reason), vedette.explain(refinedet(say, **config), PICTURE), [(list(OBJECT), 0)])
        assert case["objects"][0]["expected"]["reason"] == reason
        rows.append(case)
    nowhere = vedette.explain(refinedet(sure), PICTURE)
    rows.append(lost_case("no anchor", nowhere, [([30.0, 30.0, 36.0, 35.0], 0)]))
    for proposals, more in ((1, {}), (2, {}), (50, {"before_nms": (50, 1)}), (50, {"least_side": 40.0})):
        trace = vedette.explain(two_stage(proposals, **more), PICTURE, score=0.99)
        rows.append(lost_case(f"{proposals} proposals {more}", trace, [([24.0, 8.0, 56.0, 40.0], 1)]))
    trace = vedette.explain(refinedet(sure), PICTURE)
    beside = [OBJECT[0] + 4, OBJECT[1], OBJECT[2] + 4, OBJECT[3]]
    for name, object_, other, reason in (
        ("nearer to it", list(OBJECT), beside, Reason.KEPT),
        ("nearer to another", beside, list(OBJECT), Reason.MISPLACED),
    ):
        case = lost_case(name, trace, [(object_, 0)], [other])
        assert case["objects"][0]["expected"]["reason"] == reason
        rows.append(case)
    write(tmp_path, "lost", rows)
    run_node("lost", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_photographs_give_the_same(name: str, tmp_path: Path) -> None:
    detector, dice = vedette.load("refinedet320-lite0", device="cpu"), random.Random(1)
    trace = vedette.explain(detector, DEMO / f"{name}.jpg", score=0.5)
    chosen = [knobs_of(trace, dice) for _ in range(200)]
    settings = [{"knobs": knobs, "detections": rows_of(found_at(trace, knobs))} for knobs in chosen]
    write(tmp_path, "find", [{"name": name, "packed": pack(page_trace(trace)), "settings": settings}])
    run_node("find", tmp_path)
    objects = [(box, dice.randrange(20)) for box in boxes_in(trace.picture, 40, dice)]
    objects += [(one, 14) for one in boxes_in(trace.picture, 20, dice)]
    write(tmp_path, "lost", [lost_case(name, trace, objects)])
    run_node("lost", tmp_path)
