"""An ONNX model as OpenVINO's IR."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vedette.infer.backends.open import needed
from vedette.infer.backends.openvino import SECTION, core_for
from vedette.weights.exported import Exported, to_metadata


def write_openvino(model: bytes, exported: Exported, path: Path) -> None:
    """Writes what an ONNX file holds as .xml, and the weights, in float32, as .bin beside it."""
    core = core_for("OpenVINO")
    with TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        onnx.write_bytes(model)
        graph = core.read_model(str(onnx))
        order_equals(graph)
        save_openvino(graph, exported, path)


def order_equals(graph: Any) -> None:
    """Has every TopK give equals in the order of their places, as ONNX's does: OpenVINO's own choice is open."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "TopK":
            for before, after in zip(node.outputs(), _stable_topk(node), strict=True):
                before.replace(after)


def _stable_topk(node: Any) -> tuple[Any, Any]:
    """Values and places of a TopK, the first of equals first.

    OpenVINO has a stable TopK, but sorts all by exchange for it, which takes longer than the network where there are
    many scores. The value of the k-th is the same however equals are taken; whoever is before it is in, then those that
    equal it, by their places; and the stable sort is left with k. So it is done over the last axis, where scores are.
    """
    ops: Any = needed("openvino.opset11", "OpenVINO")
    kind, values, count = node.get_attributes(), node.input_value(0), node.input_value(1)
    largest = kind["mode"] == "max"

    def topk(of: Any, mode: str, stable: bool = False, axis: int = -1) -> Any:
        return ops.topk(of, count, axis, mode, "value", kind["index_element_type"], stable=stable)

    if kind["axis"] not in (-1, values.get_partial_shape().rank.get_length() - 1):
        best = topk(values, kind["mode"], stable=True, axis=kind["axis"])
        return best.output(0), best.output(1)
    last = (ops.reduce_min if largest else ops.reduce_max)(topk(values, kind["mode"]).output(0), -1, keep_dims=True)
    zero, one, end = (ops.constant(np.int32(number)) for number in (0, 1, -1))
    size = ops.gather(ops.shape_of(values, "i32"), end, zero)
    first = ops.subtract(size, ops.range(zero, size, one, "i32"))  # size … 1
    equals = ops.select(ops.equal(values, last), first, zero)
    before = (ops.greater if largest else ops.less)(values, last)
    chosen = topk(ops.select(before, ops.add(first, size), equals), "max").output(1)
    order = topk(ops.gather_elements(values, chosen, -1), kind["mode"], stable=True)
    return order.output(0), ops.gather_elements(chosen, order.output(1), -1).output(0)


def save_openvino(graph: Any, exported: Exported, path: Path) -> None:
    """Writes an openvino.Model with what the file says of itself."""
    openvino = needed("openvino", "OpenVINO")
    for name, value in to_metadata(exported).items():
        graph.set_rt_info(value, [SECTION, name])
    openvino.save_model(graph, str(path), compress_to_fp16=False)
