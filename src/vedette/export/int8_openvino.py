"""An OpenVINO IR in INT8 by NNCF: the network computes in eight bits, decoding, scores and NMS behind it do not."""

import contextlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vedette.export.openvino import save_openvino
from vedette.infer.backends.open import needed
from vedette.infer.backends.openvino import core_for
from vedette.weights.exported import Exported

WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")

Rows = Sequence[Mapping[str, Any]]  # what the graph is given for each picture, by the inputs' names


def layers(file: Path) -> list[str]:
    """Names of what can be in eight bits, in the order of the graph."""
    return [node.get_friendly_name() for node in _weighted(_read(file))]


def quantise(file: Path, rows: Rows, left_out: Sequence[str], made: Path) -> None:
    """Writes the INT8 form of a file."""
    os.environ.setdefault("NNCF_CI", "1")  # without it NNCF reports its use to its makers
    nncf = needed("nncf", "--int8")
    nncf.set_log_level(40)  # errors alone
    graph = _read(file)
    untouched = nncf.IgnoredScope(names=sorted({*left_out, *behind(graph)}), validate=False)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # bars of its own
        quantised = nncf.quantize(graph, nncf.Dataset(list(rows)), subset_size=len(rows), ignored_scope=untouched)
    needed("openvino", "--int8").save_model(quantised, str(made), compress_to_fp16=False)


def stamp(made: Path, exported: Exported) -> None:
    """What the file says of itself."""
    with TemporaryDirectory(dir=made.parent) as folder:
        again = Path(folder) / made.name
        save_openvino(_read(made), exported, again)
        for ending in (".bin", ".xml"):
            again.with_suffix(ending).replace(made.with_suffix(ending))


def behind(graph: Any) -> set[str]:
    """Names of all operations that no convolution or product depends on: they would be rounded for nothing."""
    before, waiting = set[str](), list(_weighted(graph))
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in before:
            before.add(node.get_friendly_name())
            waiting += [value.get_source_output().get_node() for value in node.inputs()]
    kinds = ("Constant", "Parameter", "Result")
    every = {node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() not in kinds}
    return every - before


def _weighted(graph: Any) -> Iterator[Any]:
    nodes: Iterable[Any] = graph.get_ordered_ops()
    return (node for node in nodes if node.get_type_name() in WEIGHTED)


def _read(file: Path) -> Any:
    return core_for("--int8").read_model(str(file))
