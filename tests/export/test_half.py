"""Weights in sixteen bits: half the bytes, the same numbers where they fit."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from vedette.export.half import halve_weights  # noqa: E402


def one_layer(weights: np.ndarray) -> Any:
    """y = conv(x) + bias, and x times a constant that is no layer's weights."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    bias, scale = np.array([0.1], np.float32), np.array([1 / 3], np.float32)
    given = {"weights": weights, "bias": bias, "scale": scale}
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "weights", "bias"], ["y"]),
    ]
    shapes = [helper.make_tensor_value_info(name, number, [1, 1, 4, 4]) for name in ("x", "y")]
    held = [onnx.numpy_helper.from_array(values, name) for name, values in given.items()]
    graph = helper.make_graph(nodes, "one", shapes[:1], shapes[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: Any) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)})[0]


def types(model: Any) -> dict[str, str]:
    return {one.name: str(onnx.numpy_helper.to_array(one).dtype) for one in model.graph.initializer}


def test_weights_that_fit_compute_the_same() -> None:
    model = one_layer(np.array([[[[0.5]]]], np.float32))
    before = run(model)
    halve_weights(model)
    onnx.checker.check_model(model)
    assert types(model) == {"weights in 16 bits": "float16", "bias": "float32", "scale": "float32"}
    assert np.array_equal(run(model), before)


def test_others_are_rounded_and_large_ones_left_alone() -> None:
    third = one_layer(np.array([[[[1 / 3]]]], np.float32))
    before = run(third)
    halve_weights(third)
    assert 0 < abs(run(third) - before).max() < 1e-3
    large = one_layer(np.array([[[[1e6]]]], np.float32))
    halve_weights(large)
    assert types(large)["weights"] == "float32"
