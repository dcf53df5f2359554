"""An ONNX file in INT8 by ONNX Runtime: the network computes in eight bits, decoding, scores and NMS behind it do not.

A value is rounded where a convolution, a product or a sum on the way to one takes it in, and nowhere else: logits and
deltas come out as they are summed, and a score near 0 is not lifted to the first step of an eight-bit scale.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vedette.infer.backends.open import needed
from vedette.weights.exported import Exported, to_metadata

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SUM = "Add"  # of residual blocks: a convolution before one would else give its sums in float32

Rows = Sequence[Mapping[str, Any]]  # what the graph is given for each picture, by the inputs' names


def layers(file: Path) -> list[str]:
    """Names of what can be in eight bits, in the order of the graph."""
    onnx = needed("onnx", "--int8")
    return [node.name for node in onnx.load(str(file)).graph.node if node.op_type in WEIGHTED]


def quantise(file: Path, rows: Rows, left_out: Sequence[str], made: Path) -> None:
    """Writes the INT8 form of a file; the ranges are measured once, and kept beside it for the next time."""
    by, rounded = needed("onnxruntime.quantization", "--int8"), [*WEIGHTED, SUM]
    left = [*left_out, *sums_behind(needed("onnx", "--int8").load(str(file)).graph)]

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
            op_types_to_quantize=rounded,
            nodes_to_exclude=left,
            extra_options={"OpTypesToExcludeOutputQuantization": rounded},
            calibration_cache_path=file.with_suffix(".ranges.json"),
        )


def stamp(made: Path, exported: Exported) -> None:
    """What the file says of itself."""
    onnx = needed("onnx", "--int8")
    model = onnx.load(str(made))
    onnx.helper.set_model_props(model, to_metadata(exported))
    made.write_bytes(model.SerializeToString())


def sums_behind(graph: Any) -> list[str]:
    """Names of the sums that no convolution or product depends on: they are of decoding."""
    makers = {value: node for node in graph.node for value in node.output}
    before, waiting = set[str](), [node for node in graph.node if node.op_type in WEIGHTED]
    while waiting:
        node = waiting.pop()
        if node.name not in before:
            before.add(node.name)
            waiting += [makers[value] for value in node.input if value in makers]
    return [node.name for node in graph.node if node.op_type == SUM and node.name not in before]


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime recommends a preparation that an exported graph has behind it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
