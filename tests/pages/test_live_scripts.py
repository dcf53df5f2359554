"""The scripts of the live page, run by node: a picture is resized as in Python, and told as in Python."""

import base64
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vedette
from glass.detectors import detector_of, noise, pictures
from pages.node import run_node, write
from vedette.errors import InputError
from vedette.glass.columns import column
from vedette.glass.live import told
from vedette.glass.live_graph import OUTPUTS, StageGraph, live_network
from vedette.glass.packed import pack
from vedette.glass.page import page_trace
from vedette.glass.say import say
from vedette.glass.tour import tour
from vedette.glass.web import FOLDER, read_web
from vedette.glass.words import words
from vedette.infer.detector import Detector
from vedette.infer.look import Look
from vedette.ops.images import input_size, to_input
from vedette.structures import InputSpec

DEMO = Path(vedette.__file__).parent / "assets" / "demo"
WEB = Path(__file__).parents[2] / FOLDER
ONE_STAGE = ("RefineDet", "SSD", "M2Det", "RetinaNet")


def coded(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode("ascii")


def resizing(name: str, picture: Image.Image, spec: InputSpec, most: int) -> dict[str, Any]:
    """most: by how many levels a value may differ."""
    return {
        "name": f"{name}, {picture.width} × {picture.height}",
        "spec": asdict(spec),
        "size": [picture.width, picture.height],
        "pixels": coded(np.asarray(picture.convert("RGBA"))),
        "input": list(input_size(*picture.size, spec)),
        "planes": coded(to_input(picture, spec).numpy()),
        "most": most,
    }


def test_pictures_are_resized_as_in_python(tmp_path: Path) -> None:
    warp = InputSpec(size=48)
    sides = InputSpec(size=32, resize="short side", max_side=50)
    given = [
        noise(130, 77),
        noise(20, 31),
        noise(48, 48),
        noise(48, 90),
        noise(3, 200),
        noise(77, 130),
        noise(90, 132),
        *pictures(),
    ]
    rows = [resizing("warped", picture, warp, 0) for picture in given]
    rows += [resizing("bicubic", picture, replace(warp, interpolation="bicubic"), 0) for picture in given]
    rows += [resizing("short side", picture, sides, 0) for picture in given]
    rows += [resizing("no antialias", picture, replace(warp, antialias=False), 1) for picture in given]
    write(tmp_path, "resize", rows)
    run_node("resize", tmp_path)


def live_case(name: str, detector: Detector, picture: Image.Image, score: float) -> dict[str, Any]:
    trace = vedette.explain(detector, picture, score=score)
    (look,) = trace.passes
    images, shapes, *_ = detector.prepare([picture], detector.input_spec)
    graph = StageGraph(Look(detector.model, detector.input_spec).eval())
    with torch.inference_mode():
        given = graph(images, shapes if detector.input_spec.resize != "warp" else None)
    blank = vedette.explain(detector, Image.new("RGB", (64, 64), "grey"), score=score)
    height, width = look.frame.shape.tolist()
    return {
        "name": f"{name}, {picture.width} × {picture.height}, {score}",
        "packed": pack(
            {
                "told": told(blank),
                "picture": {"width": picture.width, "height": picture.height},
                "input": {"width": width, "height": height, "padded": list(look.padded)},
                "columns": {name: column(values) for name, values in zip(OUTPUTS, given, strict=False)},
                "expected": page_trace(trace),
            }
        ),
        "words": words(trace),
        "stops": tour(trace),
    }


def sentences() -> list[dict[str, Any]]:
    counted = "{^n|no boxes|one box|# boxes of {n|none|one|{n:words}, #,} and {name:a}} #"
    rows = [(counted, {"n": n, "name": name}) for n in (0, 1, 2, 10, 11, 6375) for name in ("ant", "bee")]
    values = (0.0, 1.0, 0.125, 0.375, 0.5, 0.9949, 0.995, 0.9996, 0.004, 0.0007, 0.0004, 12.5, 13.5, 0.285, 2.675)
    shown = "{x:plain} {x:plain0} {x:plain1} {x:plain2} {x:hundredths} {x:share} {x:set} {x:apart y}"
    near = [(x, x + beside) for x in values for beside in (0.0, 1e-9, 2e-5, 3 / 64, -1 / 128)]
    near += [(0.299996, 0.3), (0.29999996, 0.3), (0.300004, 0.3), (0.4375, 0.44)]  # many digits; half of one
    rows += [(shown, {"x": x, "y": y}) for x, y in near]
    return [{"template": template, "values": given, "said": say(template, given)} for template, given in rows]


def test_pictures_are_told_as_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for name in ONE_STAGE:
        detector = detector_of(name, monkeypatch, tmp_path, keep=12, candidates=30)
        for picture, score in zip(pictures(), (0.2, 0.35, 0.99), strict=True):
            grainy = Image.blend(picture, noise(128, 128).resize(picture.size), 0.1)
            rows.append(live_case(name, detector, grainy, score))
    detector = detector_of("RefineDet", monkeypatch, tmp_path, theta=0.6, nms="linear")
    rows.append(live_case("θ 0.6 and Soft-NMS", detector, pictures()[0], 0.2))
    write(tmp_path, "live", rows)
    write(tmp_path, "said", sentences())
    run_node("live", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_STAGE)
def test_the_network_runs_outside_of_python(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    try:
        read_web(WEB)
    except InputError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("VEDETTE_WEB", str(WEB))
    monkeypatch.setattr("vedette.glass.live_graph.photographs", pictures)  # the bundled ones are eight inputs wide
    detector = detector_of(name, monkeypatch, tmp_path)
    (tmp_path / "network.onnx").write_bytes(live_network(detector))
    rows = []
    for picture in pictures():
        (look,) = vedette.explain(detector, picture).passes
        height, width = look.frame.shape.tolist()
        rows_of_all = torch.arange(len(look.stages[0].scores))
        boxes = look.stages[0].boxes_at(rows_of_all, torch.zeros_like(rows_of_all))
        case = resizing(name, picture, detector.input_spec, 0)
        seen = {"width": width, "height": height, "padded": list(look.padded)}
        rows.append(case | {"seen": seen, "scores": look.stages[0].scores.flatten().tolist(), "boxes": boxes.tolist()})
    write(tmp_path, "detector", rows)
    run_node("detector", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_photographs_are_told_as_in_python(name: str, tmp_path: Path) -> None:
    detector = vedette.load("refinedet320-lite0", device="cpu")
    picture = Image.open(DEMO / f"{name}.jpg").convert("RGB")
    write(tmp_path, "live", [live_case(name, detector, picture, score) for score in (0.5, 0.05, 1.0)])
    write(tmp_path, "said", sentences())
    run_node("live", tmp_path)
    write(tmp_path, "resize", [resizing(name, picture, detector.input_spec, 0)])
    run_node("resize", tmp_path)
