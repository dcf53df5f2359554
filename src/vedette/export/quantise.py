"""INT8: weights and activations of an exported file in eight bits, its ranges measured on photographs.

What costs average precision is found by measuring and left in float32: the file's convolutions are taken in groups, in
the order of the graph; group after group the one is left out that brings most, until the loss is small enough.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from vedette.errors import InputError
from vedette.export.openvino import save_openvino
from vedette.export.run import Tell
from vedette.infer.backends.open import needed
from vedette.infer.detector import Detector
from vedette.weights.exported import Exported, to_metadata

GROUPS = 8  # that the convolutions are parted into: each is measured, and measuring takes as long as the data are many
CONVOLUTIONS = ("Conv", "ConvTranspose", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "Gemm", "MatMul")

Measure = Callable[[Path], float]  # the average precision of a file
Quantise = Callable[[Sequence[str], Path], None]  # without these operations, into that file


@dataclass(frozen=True)
class Quantised:
    """What INT8 costs, where it was measured."""

    before: float
    after: float
    left_out: tuple[str, ...]  # operations that stay in float32

    def __str__(self) -> str:
        left = f", {len(self.left_out)} operations left in float32" if self.left_out else ""
        return f"AP {self.before:.4f} in float32, {self.after:.4f} in INT8{left}"


def leave_out(
    names: Sequence[str], quantise: Quantise, measure: Measure, before: float, most: float, out: Path, tell: Tell
) -> Quantised:
    """Writes the INT8 file that loses at most so much AP, with as few groups left out as one at a time finds.

    names: the operations in the order of the graph. Raises InputError where even one group alone costs more.
    """
    groups = list(parted(names, GROUPS))
    left: list[Sequence[str]] = []
    after = _try(left, quantise, measure, out)
    tell(f"INT8 throughout: AP {after:.4f} (float32 {before:.4f})")
    while before - after > most:
        rest = [group for group in groups if group not in left]
        if len(rest) < 2:
            raise InputError(f"--max-drop {most:g}: INT8 costs {before - after:.4f} whatever is left out; allow more")
        tried = []
        for group in rest:
            tried.append((_try([*left, group], quantise, measure, out), group))
            tell(f"without {group[0]} to {group[-1]}: AP {tried[-1][0]:.4f}")
        after, best = max(tried, key=lambda row: row[0])
        left.append(best)
    _try(left, quantise, measure, out)
    return Quantised(before, after, tuple(name for group in left for name in group))


def parted(names: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    """In order, into as many groups of equal length as there are, or fewer."""
    size = -(-len(names) // count)
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _try(left: Sequence[Sequence[str]], quantise: Quantise, measure: Measure, out: Path) -> float:
    quantise([name for group in left for name in group], out)
    return measure(out)


def inputs_of(detector: Detector, pictures: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """What a graph is given for each picture, as arrays: ranges are measured on it."""
    network: Any = detector.network
    rows = []
    for picture in pictures:
        images, shapes, _, proposals = detector.prepare([picture], detector.input_spec)
        given = network.inputs(images, shapes, 0.05, None if proposals is None else proposals[0])
        rows.append({name: value.numpy() for name, value in given.items()})
    return rows


def operations(file: Path) -> list[str]:
    """The convolutions and products of an exported file, in the order of its graph."""
    if file.suffix == ".onnx":
        onnx = needed("onnx", "--int8")
        return [node.name for node in onnx.load(str(file)).graph.node if node.op_type in CONVOLUTIONS]
    openvino = needed("openvino", "--int8")
    graph = openvino.Core().read_model(str(file))
    return [node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() in CONVOLUTIONS]


def quantiser(file: Path, exported: Exported, given: Sequence[dict[str, Any]]) -> Quantise:
    """What writes the INT8 form of a float32 file, by ONNX Runtime or by NNCF."""
    described = replace(exported, precision="int8")
    return _onnx_quantiser(file, described, given) if file.suffix == ".onnx" else _nncf(file, described, given)


def _onnx_quantiser(file: Path, exported: Exported, given: Sequence[dict[str, Any]]) -> Quantise:
    quantization = needed("onnxruntime.quantization", "--int8")
    onnx = needed("onnx", "--int8")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """One picture after another."""

        def __init__(self) -> None:
            self.rows = iter(given)

        def get_next(self) -> dict[str, Any] | None:
            """The next picture's inputs; None after the last."""
            return next(self.rows, None)

    def quantise(left: Sequence[str], out: Path) -> None:
        types = sorted({*CONVOLUTIONS[:2], "Gemm", "MatMul"})
        how: dict[str, Any] = {"per_channel": True, "nodes_to_exclude": list(left), "op_types_to_quantize": types}
        quantization.quantize_static(str(file), str(out), Reader(), **how)
        model = onnx.load(str(out))
        onnx.helper.set_model_props(model, to_metadata(exported))
        out.write_bytes(model.SerializeToString())

    return quantise


def _nncf(file: Path, exported: Exported, given: Sequence[dict[str, Any]]) -> Quantise:
    nncf, openvino = needed("nncf", "--int8"), needed("openvino", "--int8")

    def quantise(left: Sequence[str], out: Path) -> None:
        graph = openvino.Core().read_model(str(file))
        scope = nncf.IgnoredScope(names=list(left)) if left else None
        data = nncf.Dataset(list(given))
        save_openvino(nncf.quantize(graph, data, subset_size=len(given), ignored_scope=scope), exported, out)

    return quantise
