"""The trace as JSON: a page without Python finds the same with it at any setting, by the rule that stands in it."""

import base64
import json
from dataclasses import replace
from math import exp
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vedette
from glass.detectors import noise
from papers import tiny
from papers.shared import overlap
from vedette.glass.columns import column, quantised, quantised_boxes
from vedette.glass.portable import portable
from vedette.glass.record import REASONS, Reason
from vedette.infer.detector import Detector
from vedette.structures import Detections

KINDS = {"float32": "<f4", "int32": "<i4", "int16": "<i2", "uint8": "u1"}


def numbers(one: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(one["data"]), KINDS[one["type"]]).reshape(one["shape"])
    return values * one["scale"] if "scale" in one else values


def a_picture() -> Image.Image:
    picture = noise(80, 64)
    picture.paste((220, 40, 40), (10, 12, 50, 44))
    return picture


def redone(told: dict[str, Any], rule: dict[str, Any]) -> list[tuple[float, int, int, list[float]]]:
    """What the page does, a candidate at a time: (score, label, source, box in the picture's pixels)."""
    (look,) = told["passes"]
    stage = look["stages"][-1]
    c = {name: numbers(values).tolist() for name, values in stage["candidates"].items()}
    theta, floor = np.float32(rule["theta"] or 1), np.float32(rule["floor"])
    alive = [k for k, empty in enumerate(c["emptiness"]) if not empty > theta]
    alive = [k for k in alive if c["scores"][k] >= floor and c["scores"][k] > 0]
    ends = np.cumsum(rule["pick"]["levels"] or [10**9])
    group = {
        "image": lambda k: 0,
        "class": lambda k: c["labels"][k],
        "level": lambda k: int(np.searchsorted(ends, c["rows"][k], "right")),
    }[rule["pick"]["of"]]
    room: dict[int, int] = {}
    picked = []
    for k in alive:  # by descending score
        room[group(k)] = room.get(group(k), 0) + 1
        if room[group(k)] <= rule["pick"]["count"]:
            picked.append(k)
    boxes = c["boxes"]
    picked = [k for k in picked if min(boxes[k][2] - boxes[k][0], boxes[k][3] - boxes[k][1]) > 0]
    left = {k: c["scores"][k] for k in picked}
    stay: list[tuple[float, int]] = []
    while left:
        best = max(left, key=lambda k: left[k])
        score = left.pop(best)
        stay.append((score, best))
        for k in list(left):
            if c["group"][k] == c["group"][best]:
                shared = overlap(boxes[best], boxes[k])
                if rule["method"] == "hard" and shared > rule["iou"]:
                    del left[k]
                elif rule["method"] == "linear" and shared >= rule["iou"]:
                    left[k] *= 1 - shared
                elif rule["method"] == "gaussian":
                    left[k] *= exp(-(shared**2) / rule["sigma"])
    stay = [one for one in sorted(stay, key=lambda one: -one[0]) if one[0] >= floor][: rule["keep"]]
    found = []
    for score, k in stay:
        x, y = look["input"]["scale"]
        sides = (told["picture"]["width"], told["picture"]["height"]) * 2
        box = [min(max(v * s, 0), side) for v, s, side in zip(boxes[k], (x, y) * 2, sides, strict=True)]
        if box[0] < box[2] and box[1] < box[3]:
            found.append((score, c["labels"][k], c["source"][k], box))
    return found


def assert_same(redone: list[tuple[float, int, int, list[float]]], found: Detections) -> None:
    assert len(redone) == len(found)
    own = sorted((label, source) for _, label, source, _ in redone)
    assert own == sorted(zip(found.labels.tolist(), found.source.tolist(), strict=True))
    torch.testing.assert_close(torch.tensor([score for score, *_ in redone]), found.scores)
    by_pair = {(label, source): box for _, label, source, box in redone}
    expected = [by_pair[pair] for pair in zip(found.labels.tolist(), found.source.tolist(), strict=True)]
    torch.testing.assert_close(torch.tensor(expected).view(-1, 4), found.boxes, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("make", [tiny.refinedet, tiny.ssd, tiny.retinanet, tiny.fpn])
def test_the_page_finds_the_same_at_any_setting(make: Any) -> None:
    torch.manual_seed(5)
    model = make(candidates=30).eval()
    detector, picture, own = Detector(model, device="cpu"), a_picture(), model.config
    text = vedette.explain(detector, picture, score=0.3).to_json()
    assert "NaN" not in text
    told = json.loads(text)
    assert told["format"] == 1
    rule = told["passes"][0]["stages"][-1]["rule"]
    draw = np.random.default_rng(0)
    for method in ("hard", "linear", "gaussian"):
        for _ in range(6):
            floor, iou, keep = draw.uniform(0.01, 0.5), draw.uniform(0.1, 0.9), int(draw.integers(3, 40))
            model.config = replace(own, nms=method, nms_iou=iou, keep=keep)
            turned = rule | {"floor": floor, "iou": iou, "keep": keep, "method": method}
            if rule["theta"] is not None:
                turned["theta"] = float(draw.uniform(0.3, 0.8))
                model.config = replace(model.config, theta=turned["theta"])
            assert_same(redone(told, turned), detector.detect(picture, score=floor))


def test_what_is_told_of_a_trace() -> None:
    torch.manual_seed(5)
    trace = vedette.explain(Detector(tiny.refinedet(), classes=("a", "b", "c"), device="cpu"), a_picture(), score=0.2)
    told = json.loads(trace.to_json(receptive=True))
    assert told["detector"]["paper"] == "RefineDet"
    assert told["detector"]["classes"] == ["a", "b", "c"]
    assert told["picture"] == {"width": 80, "height": 64}
    assert told["reasons"] == [str(reason) for reason in REASONS]
    (look,), found = told["passes"], trace.detections
    assert np.array_equal(numbers(told["detections"]["boxes"]), found.boxes.numpy())
    assert [level["first"] for level in look["levels"]] == [0, 192, 240, 252]
    assert look["levels"][1]["stride"] == [16.0, 16.0]
    assert look["levels"][0]["receptive"]["arm"] == [24, 24, 48, 48]
    assert look["input"]["scale"] == [1.25, 1.0]
    (stage,) = look["stages"]
    references = numbers(stage["references"])
    assert np.abs(references - trace.passes[0].stages[0].references.numpy()).max() <= 1 / 32
    assert numbers(stage["maps"]).shape == (85, 3)  # 64 + 16 + 4 + 1 cells
    candidates = {name: numbers(values) for name, values in stage["candidates"].items()}
    kept = candidates["fates"] == Reason.KEPT.code
    assert sorted(candidates["source"][kept].tolist()) == sorted(found.source.tolist())
    suppressed = candidates["fates"] == Reason.SUPPRESSED.code
    assert suppressed.any()
    assert kept[candidates["by"][suppressed]].all()
    assert [step["name"] for step in look["steps"]] == [step.name for step in trace.steps]
    assert any("0.01" in sentence for sentence in told["left_out"])


def test_what_one_look_lacks_says_which_look_it_is_of() -> None:
    torch.manual_seed(5)
    detector = Detector(tiny.refinedet(candidates=3), device="cpu")
    told = portable(vedette.explain(detector, a_picture(), score=0.3, scales=(64, 128)))["left_out"]
    assert told[0].startswith("pairs with a score below")  # of both
    assert [sentence[:10] for sentence in told[1:]] == ["of look 1,", "of look 2,"]


def test_several_looks_are_told() -> None:
    torch.manual_seed(5)
    trace = vedette.explain(Detector(tiny.ssd(), device="cpu"), a_picture(), score=0.3, flip=True, vote=True)
    told = json.loads(trace.to_json())
    assert [look["input"]["mirrored"] for look in told["passes"]] == [False, True]
    assert told["merge"]["votes"] is True
    assert int((numbers(told["merge"]["fates"]) == Reason.KEPT.code).sum()) == len(trace.detections)


def test_columns_by_hand() -> None:
    one = column(torch.tensor([[1.0, -2.5]]))
    assert one == {"type": "float32", "shape": [1, 2], "data": base64.b64encode(b"\0\0\x80\x3f\0\0\x20\xc0").decode()}
    assert column(torch.tensor([1, -1]))["type"] == "int32"
    scores = quantised(torch.tensor([0.0, 0.25, 0.5]))
    assert numbers(scores).tolist() == pytest.approx([0.0, 0.25, 0.5], abs=0.001)
    assert numbers(quantised_boxes(torch.tensor([[1.0, 2.5, -3.25, 5000.0]]))).tolist() == [
        [1.0, 2.5, -3.25, 32767 / 16]
    ]
    assert numbers(quantised(torch.zeros(0, 3))).shape == (0, 3)
