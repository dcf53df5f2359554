"""OpenVINO's TopK, which leaves open which of equals it gives, beside a stable sort."""

from typing import Any

import numpy as np
import pytest

from vedette.export.openvino import order_equals
from vedette.infer.backends.openvino import core_for

openvino: Any = pytest.importorskip("openvino")
ops: Any = pytest.importorskip("openvino.opset11")


def graph(shape: list[int], count: int, mode: str, axis: int = -1) -> Any:
    values = ops.parameter(shape, np.float32)
    best = ops.topk(values, ops.constant(np.int64(count)), axis, mode, "value", "i64")
    model = openvino.Model([best.output(0), best.output(1)], [values])
    order_equals(model)
    return core_for("a test").compile_model(model, "CPU")


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(
    ("shape", "count", "different"),
    [((2, 3, 500), 40, 7), ((2, 3, 500), 40, 10**6), ((1, 5000), 400, 50), ((900,), 900, 5), ((2, 10), 1, 1)],
)
def test_the_first_of_equals_comes_first(shape: tuple[int, ...], count: int, different: int, mode: str) -> None:
    """So many different values, of which each comes often: many equal the last that is taken, and many stay behind."""
    values = np.random.default_rng(0).integers(0, different, shape).astype(np.float32)
    best, places = graph([-1] * len(shape), count, mode)(values).values()
    order = np.argsort(-values if mode == "max" else values, -1, kind="stable")[..., :count]
    assert np.array_equal(places, order)
    assert np.array_equal(best, np.take_along_axis(values, order, -1))


def test_by_hand() -> None:
    values = np.float32([[1, 3, 2, 3, 2, 2]])
    best, places = graph([1, 6], 4, "max")(values).values()
    assert best.tolist() == [[3, 3, 2, 2]]
    assert places.tolist() == [[1, 3, 2, 4]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_over_any_axis(axis: int) -> None:
    values = np.random.default_rng(0).integers(0, 4, (20, 30, 40)).astype(np.float32)
    best, places = graph([-1, -1, -1], 5, "max", axis)(values).values()
    order = np.argsort(-values, axis, kind="stable").take(range(5), axis)
    assert np.array_equal(places, order)
    assert np.array_equal(best, np.take_along_axis(values, order, axis))
