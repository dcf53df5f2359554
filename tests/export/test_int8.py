"""INT8: what is rounded and what is not, what is measured on, and a file that says what it costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import vedette
from export.test_run import CLASSES, detector
from infer.backends.shared import write_onnx
from vedette import InputError
from vedette.evaluate.truth import Truth
from vedette.export import int8, int8_onnx, int8_openvino
from vedette.export.check import photographs
from vedette.export.int8 import Judged, choose, export_int8
from vedette.infer.backends.open import open_session
from vedette.infer.backends.openvino import core_for
from vedette.structures import Detections

onnx = pytest.importorskip("onnx")
ROWS = [{"x": np.random.default_rng(seed).random((1, 3, 8, 8), np.float32)} for seed in range(4)]


def test_pictures_are_chosen_at_random_and_the_same_each_time(tmp_path: Path) -> None:
    files = [tmp_path / f"{number:03}.png" for number in range(130)]
    for number, file in enumerate(files):
        Image.new("RGB", (number + 1, 2)).save(file)
    widths = [picture.width for picture in choose(files)]
    assert len(set(widths)) == 100
    assert widths == [picture.width for picture in choose(files[::-1])]
    assert widths[:10] != sorted(widths[:10])


def test_pictures_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    good, bad, said = tmp_path / "good.png", tmp_path / "bad.png", list[str]()
    Image.new("RGB", (3, 2)).save(good)
    bad.write_bytes(b"no picture")
    assert len(choose([good, bad], said.append)) == 1
    assert len(said) == 1
    assert said[0].startswith(f"passed over: {bad}")
    with pytest.raises(InputError, match="--calibrate: none of 1 pictures can be read"):
        choose([bad])


def write_network(path: Path) -> Path:
    """A residual block between two convolutions; behind them a sum and Softmax: what decoding is made of."""
    helper, numpy_helper, kinds = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    torch.manual_seed(0)
    held = {"w1": torch.randn(8, 3, 3, 3) / 5, "w2": torch.randn(8, 8, 3, 3) / 8, "w3": torch.randn(4, 8, 3, 3) / 8}
    held["bias"] = torch.randn(1, 4, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"], "residual"),
        helper.make_node("Conv", ["d", "w3"], ["logits"], "conv3", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["logits", "bias"], ["e"], "shifted"),
        helper.make_node("Softmax", ["e"], ["y"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, ["batch", 4, 8, 8])],
        [numpy_helper.from_array(values.numpy(), name) for name, values in held.items()],
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    )
    return path


def test_onnx_rounds_what_a_convolution_takes_in_and_nothing_else(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    file, made = write_network(tmp_path / "small.onnx"), tmp_path / "small-int8.onnx"
    assert int8_onnx.layers(file) == ["conv1", "conv2", "conv3"]
    int8_onnx.quantise(file, ROWS, [], made)
    nodes = onnx.load(str(made)).graph.node
    assert sorted(node.input[0] for node in nodes if node.op_type == "QuantizeLinear") == ["b", "c", "d", "x"]
    assert {tuple(node.input) for node in nodes if node.name == "shifted"} == {("logits", "bias")}
    assert {node.output[0] for node in nodes if node.name == "conv3"} == {"logits"}
    plain, rounded = (runtime.InferenceSession(one).run(None, ROWS[0])[0] for one in (file, made))
    assert 0 < np.abs(plain - rounded).max() < 0.05


def test_onnx_leaves_layers_out(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file, made = write_network(tmp_path / "small.onnx"), tmp_path / "small-int8.onnx"
    for left_out, expected in ((["conv1"], "bcd"), (["conv3"], "bcx"), (["conv1", "conv3"], "bc")):
        int8_onnx.quantise(file, ROWS, left_out, made)
        nodes = onnx.load(str(made)).graph.node
        assert "".join(sorted(node.input[0] for node in nodes if node.op_type == "QuantizeLinear")) == expected


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The network as an IR."""
    openvino = pytest.importorskip("openvino")
    graph = core_for("a test").read_model(str(write_network(tmp_path / "small.onnx")))
    openvino.save_model(graph, str(tmp_path / "small.xml"), compress_to_fp16=False)
    return tmp_path / "small.xml"


def test_openvino_knows_what_is_behind_the_network(plain: Path) -> None:
    graph = core_for("a test").read_model(str(plain))
    behind = [node for node in graph.get_ordered_ops() if node.get_friendly_name() in int8_openvino.behind(graph)]
    assert [node.get_type_name() for node in behind] == ["Add", "Softmax"]


@pytest.mark.slow  # for what NNCF imports
def test_openvino_does_not_touch_what_is_behind_the_network(plain: Path) -> None:
    pytest.importorskip("nncf")
    made = plain.with_stem("int8")
    first, _, third = int8_openvino.layers(plain)
    assert rounded(made, plain, []) == 4  # what the three convolutions take in, and the second summand
    assert rounded(made, plain, [first]) == 3
    assert rounded(made, plain, [first, third]) == 2


def rounded(made: Path, plain: Path, left_out: list[str]) -> int:
    """How many values but weights are rounded in the INT8 form."""
    int8_openvino.quantise(plain, ROWS, left_out, made)
    nodes = core_for("a test").read_model(str(made)).get_ordered_ops()
    found = [node for node in nodes if node.get_type_name() == "FakeQuantize"]
    return sum(node.input_value(0).get_node().get_type_name() not in ("Constant", "Convert") for node in found)


def test_there_is_none_of_pt2(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--int8: there is none of --to pt2; choose onnx or openvino"):
        export_int8(detector("ssd"), "pt2", tmp_path / "model.pt2", photographs())


class Held:
    """Pictures that are annotated with what a detector finds."""

    def __init__(self, pictures: list[Image.Image], found: list[Detections]) -> None:
        self.pictures, self.found = pictures, found

    def __len__(self) -> int:
        return len(self.pictures)

    def file(self, index: int) -> Path:
        return Path(f"{index}.jpg")

    def size(self, index: int) -> tuple[int, int]:
        return self.pictures[index].size

    def boxes(self, index: int) -> Tensor:
        return self.found[index].boxes

    def labels(self, index: int) -> Tensor:
        return self.found[index].labels

    def difficult(self, index: int) -> Tensor:
        return torch.zeros(len(self.found[index]), dtype=torch.bool)

    crowd = difficult

    def image(self, index: int) -> Image.Image:
        return self.pictures[index]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "to", "package"),
    [("ssd", "onnx", "onnxruntime"), ("ssd", "openvino", "nncf"), ("refinedet", "openvino", "nncf")],
)
def test_a_file_in_int8_says_what_it_costs(kind: str, to: Any, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    pytest.importorskip("onnxscript")
    own, pictures = detector(kind), photographs()
    found = own.detect(pictures, 0.3, keep_image=False)
    images, truths = Held(pictures, found), [Truth.of(one.boxes, one.labels) for one in found]
    assert sum(map(len, found)) > 10
    judged = Judged("photographs", images, truths, max_drop=0.5)
    out, said = tmp_path / ("int8.onnx" if to == "onnx" else "int8.xml"), list[str]()
    report = export_int8(own, to, out, pictures, judged, tell=said.append)
    loaded = vedette.load(out)
    assert loaded.classes == CLASSES
    about = open_session(out).exported.int8
    assert about is not None
    assert (about["data"], about["pictures"], about["left_out"]) == ("photographs", 5, [])
    assert about["float32"] > 0.9
    assert 0.4 < about["int8"] <= 1
    assert f"AP on photographs: {about['float32']:.4f} in float32, {about['int8']:.4f} in INT8" in report


def test_a_file_that_loses_too_much_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported, quantised and measured is made up here; what becomes of the file is not."""
    own, pictures = detector("ssd"), photographs()
    monkeypatch.setattr(int8, "convert", lambda detector, exported, to, plain, tell: write_onnx(plain))
    monkeypatch.setattr(int8, "compared", lambda *_, **__: "the same")
    monkeypatch.setattr(int8_onnx, "layers", lambda file: ["conv1", "conv2"])
    monkeypatch.setattr(int8_onnx, "quantise", lambda file, rows, left, made: write_onnx(made))
    monkeypatch.setattr(int8, "average_precision", lambda file, judged: 0.7 if file.stem == "float32" else 0.6)
    judged = Judged("made-up:val", Held([], []), [], max_drop=0.05)
    with pytest.raises(InputError, match=r"--max-drop 0.05: INT8 loses 0.1000 of AP whatever is left out"):
        export_int8(own, "onnx", tmp_path / "out" / "model.onnx", pictures, judged)
    assert not list(tmp_path.iterdir())
    judged = replace(judged, max_drop=None)
    report = export_int8(own, "onnx", tmp_path / "model.onnx", pictures, judged)
    assert report == "INT8, ranges of 5 pictures; AP on made-up:val: 0.7000 in float32, 0.6000 in INT8"
    assert open_session(tmp_path / "model.onnx").exported.int8 == {
        **{"pictures": 5, "seed": 0, "data": "made-up:val"},
        **{"float32": 0.7, "int8": 0.6, "left_out": []},
    }


def test_a_file_that_its_library_does_not_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "convert", lambda detector, exported, to, plain, tell: write_onnx(plain))
    monkeypatch.setattr(int8, "compared", lambda *_, **__: "the same")
    monkeypatch.setattr(int8_onnx, "quantise", lambda file, rows, left, made: write_onnx(made))
    monkeypatch.setattr(int8_onnx, "stamp", lambda made, exported: made.write_bytes(b"no graph"))
    with pytest.raises(InputError, match=r"--int8: onnx does not run this detector in INT8 \(.*cannot be read"):
        export_int8(detector("ssd"), "onnx", tmp_path / "model.onnx", photographs())
    assert not list(tmp_path.iterdir())
