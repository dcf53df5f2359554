"""The graph in the live page: the model's own scores and boxes, in sixteen bits too; and what has no such page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vedette
from glass.detectors import detector_of, pictures
from vedette.errors import InputError
from vedette.glass.live import MOST, live_page, save_live_page, told
from vedette.glass.live_graph import OUTPUTS, StageGraph, live_network
from vedette.glass.web import FILES, LICENSE, Web, read_web
from vedette.infer.look import Look
from vedette.pages.render import is_our_page

DEMO = Path(vedette.__file__).parent / "assets" / "demo"
WEB = Web(b"export {};", b"wasm", LICENSE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["RefineDet", "SSD", "M2Det", "RetinaNet"])
def test_the_graph_gives_what_the_stage_is_made_of(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector, picture = detector_of(name, monkeypatch, tmp_path), pictures()[0]
    stage = vedette.explain(detector, picture).passes[0].stages[0]
    images, shapes, *_ = detector.prepare([picture], detector.input_spec)
    with torch.inference_mode():
        given = StageGraph(Look(detector.model, detector.input_spec).eval())(images, shapes)
    columns = dict(zip(OUTPUTS, given, strict=False))
    rows = torch.arange(len(stage.scores))
    torch.testing.assert_close(columns["scores"][0], stage.scores)
    torch.testing.assert_close(columns["boxes"][0], stage.boxes_at(rows, torch.zeros_like(rows)))
    torch.testing.assert_close(columns["anchors"], stage.references)
    assert ("moved" in columns) == (stage.moved is not None)
    if stage.moved is not None and stage.emptiness is not None:
        torch.testing.assert_close(columns["moved"][0], stage.moved)
        torch.testing.assert_close(columns["emptiness"][0], stage.emptiness)


def test_the_page_holds_all_that_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = vedette.explain(detector_of("RefineDet", monkeypatch, tmp_path), Image.new("RGB", (64, 64), "grey"))
    page = tmp_path / "live.html"
    page.write_text(live_page(trace, "mine", b"network", WEB), encoding="utf-8")
    assert is_our_page(page)
    text = page.read_text(encoding="utf-8")
    assert "<h1>What mine finds in your photograph</h1>" in text
    for part in ("runtime", "wasm", "network", "data"):
        assert f'id="{part}">' in text
    assert "Permission is hereby granted" in text
    (look,) = told(trace)["still"]["passes"]
    assert "candidates" not in look["stages"][0]  # of the picture, which is not there yet


def test_who_looks_at_regions_has_no_such_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of("FPN", monkeypatch, tmp_path)
    with pytest.raises(InputError, match="looks at regions; --live takes SSD"):
        save_live_page(tmp_path / "live.html", detector, "mine", WEB)
    assert not (tmp_path / "live.html").exists()


def test_the_runtime_is_that_of_the_version(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run `make web`, or give the folder dist of the npm package"):
        read_web(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(InputError, match="is not the file of onnxruntime-web"):
        read_web(tmp_path)


@pytest.mark.slow
def test_sixteen_bits_keep_boxes_and_scores() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    detector = vedette.load("refinedet320-lite0", device="cpu")
    network = live_network(detector)
    assert len(network) < MOST / 1.8  # two thirds of the page, in base64
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    for name in ("astronaut", "chelsea"):
        trace = vedette.explain(detector, DEMO / f"{name}.jpg", score=0.05)
        images, *_ = detector.prepare([trace.picture], detector.input_spec)
        scores, boxes, *_ = session.run(None, {"images": images.numpy()})
        stage, found = trace.passes[0].stages[0], trace.detections
        assert len(found) > 0
        assert np.abs(scores[0] - stage.scores.numpy()).max() < 0.01
        theirs = trace.passes[0].frame.boxes(torch.from_numpy(boxes[0])[found.source])
        ours = trace.passes[0].frame.boxes(stage.boxes_at(found.source, found.labels))
        assert float((theirs - ours).abs().max()) < 0.5


@pytest.mark.slow
def test_a_network_that_finds_other_boxes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from onnx import numpy_helper

    def spoil(model: Any) -> None:
        for one in model.graph.initializer:
            values = numpy_helper.to_array(one)
            if values.ndim == 4:
                one.CopyFrom(numpy_helper.from_array(values * 1.5, one.name))

    monkeypatch.setattr("vedette.glass.live_graph.halve_weights", spoil)
    with pytest.raises(InputError, match=r"in sixteen bits the network's boxes move by .*: it makes no live page"):
        live_network(detector_of("SSD", monkeypatch, tmp_path))
