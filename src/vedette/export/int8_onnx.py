"""An ONNX file in INT8 by ONNX Runtime: its convolutions and products compute in eight bits, what is behind them not.

A value is rounded where a convolution takes it in, and nowhere else: logits and deltas come out as they are summed, and
a score near 0 is not lifted to the first step of an eight-bit scale.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vedette.infer.backends.open import needed
from vedette.weights.exported import Exported, to_metadata

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")

Rows = Sequence[Mapping[str, Any]]  # what the graph is given for each picture, by the inputs' names


def layers(file: Path) -> list[str]:
    """Names of what can be in eight bits, in the order of the graph."""
    onnx = needed("onnx", "--int8")
    return [node.name for node in onnx.load(str(file)).graph.node if node.op_type in WEIGHTED]


def quantise(file: Path, rows: Rows, left_out: Sequence[str], made: Path) -> None:
    """Writes the INT8 form of a file; the ranges are measured once, and kept beside it for the next time."""
    by = needed("onnxruntime.quantization", "--int8")

    class Reader(by.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """One picture after another."""

        def __init__(self) -> None:
            self.rows = iter(rows)

        def get_next(self) -> Mapping[str, Any] | None:
            """The next picture's inputs; None after the last."""
            return next(self.rows, None)

    with _quiet():
        by.quantize_static(
            str(file),
            str(made),
            Reader(),
            per_channel=True,
            activation_type=by.QuantType.QUInt8,
            weight_type=by.QuantType.QInt8,
            op_types_to_quantize=list(WEIGHTED),
            nodes_to_exclude=list(left_out),
            extra_options={"OpTypesToExcludeOutputQuantization": list(WEIGHTED)},
            calibration_cache_path=file.with_suffix(".ranges.json"),
        )


def stamp(made: Path, exported: Exported) -> None:
    """What the file says of itself."""
    onnx = needed("onnx", "--int8")
    model = onnx.load(str(made))
    onnx.helper.set_model_props(model, to_metadata(exported))
    made.write_bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime recommends a preparation that an exported graph has behind it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
