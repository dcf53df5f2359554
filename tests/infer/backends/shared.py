"""An ONNX file made by hand: it finds two boxes in every picture, whatever is on it."""

from pathlib import Path
from typing import Any

import numpy as np

from vedette.structures import InputSpec
from vedette.weights.exported import Exported, to_metadata

BOXES = [[10.0, 20.0, 30.0, 40.0], [0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 0.0, 0.0]]
SCORES = [0.9, 0.4, 0.0]


def described(**fields: Any) -> Exported:
    given: dict[str, Any] = {
        "name": "ssd300-lite0",
        "config": {"num_classes": 2, "nms": "hard", "nms_iou": 0.45, "keep": 3},
        "classes": ("cat", "dog"),
        "category_ids": (17, 18),
        "input_spec": InputSpec(size=100),
        "sizes": False,
    }
    return Exported(**(given | fields))


def write_onnx(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """images (B, 3, H, W) and score () in, what `BOXES` and `SCORES` say for each picture out; below score: 0."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any) -> Any:
        return numpy_helper.from_array(np.array(values), name)

    nodes = [
        helper.make_node("Shape", ["images"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "ones"], ["shape"], axis=0),
        helper.make_node("Expand", ["one_boxes", "batch_1_1"], ["boxes"]),
        helper.make_node("Concat", ["batch", "ones2"], ["batch_1_1"], axis=0),
        helper.make_node("GreaterOrEqual", ["one_scores", "score"], ["above"]),
        helper.make_node("Where", ["above", "one_scores", "zero"], ["shown"]),
        helper.make_node("Expand", ["shown", "shape"], ["scores"]),
        helper.make_node("Expand", ["one_labels", "shape"], ["labels"]),
        helper.make_node("Expand", ["one_source", "shape"], ["source"]),
    ]
    nodes[2], nodes[3] = nodes[3], nodes[2]
    held = [
        constant("ones", np.array([1])),
        constant("ones2", np.array([1, 1])),
        constant("one_boxes", np.array([BOXES], np.float32)),
        constant("one_scores", np.array([SCORES], np.float32)),
        constant("one_labels", np.array([[1, 0, 0]])),
        constant("one_source", np.array([[7, 5, 0]])),
        constant("zero", np.float32(0)),
    ]
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 3, 100, 100]),
        helper.make_tensor_value_info("score", TensorProto.FLOAT, []),
    ]
    kinds = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT}
    outputs = [
        helper.make_tensor_value_info(name, kinds.get(name, TensorProto.INT64), None)
        for name in ("boxes", "scores", "labels", "source")
    ]
    graph = helper.make_graph(nodes, "two boxes", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, to_metadata(described()) if metadata is None else metadata)
    path.write_bytes(model.SerializeToString())
    return path
