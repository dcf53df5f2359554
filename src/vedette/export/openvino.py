"""An ONNX model as OpenVINO's IR."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vedette.infer.backends.open import needed
from vedette.infer.backends.openvino import SECTION
from vedette.weights.exported import Exported, to_metadata


def write_openvino(model: bytes, exported: Exported, path: Path) -> None:
    """Writes what an ONNX file holds as .xml, and the weights, in float32, as .bin beside it."""
    openvino = needed("openvino", "OpenVINO")
    with TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        onnx.write_bytes(model)
        graph = openvino.Core().read_model(str(onnx))
        order_equals(graph)
        save_openvino(graph, exported, path)


def order_equals(graph: Any) -> None:
    """Has every TopK give equals in the order of their places, as ONNX's does: OpenVINO's own choice is open."""
    operators = needed("openvino.opset11", "OpenVINO")
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "TopK":
            kind = node.get_attributes()
            how = {"axis": kind["axis"], "mode": kind["mode"], "sort": kind["sort"], "stable": True}
            given = node.input_value(0), node.input_value(1)
            stable = operators.topk(*given, **how, index_element_type=kind["index_element_type"])
            for before, after in zip(node.outputs(), stable.outputs(), strict=True):
                before.replace(after)


def save_openvino(graph: Any, exported: Exported, path: Path) -> None:
    """Writes an openvino.Model with what the file says of itself."""
    openvino = needed("openvino", "OpenVINO")
    for name, value in to_metadata(exported).items():
        graph.set_rt_info(value, [SECTION, name])
    openvino.save_model(graph, str(path), compress_to_fp16=False)
