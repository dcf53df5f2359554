"""A traced detector as an ONNX model: names, free dimensions, metadata."""

import contextlib
import io
import warnings
from typing import Any

from vedette.export.error import ExportError
from vedette.export.graph import Traced
from vedette.infer.backends.open import needed
from vedette.weights.exported import Exported, to_metadata

OPSET = 20


def to_onnx(traced: Traced, exported: Exported) -> Any:
    """An onnx.ModelProto; raises InputError where the extra is missing, ExportError for what has no form in ONNX."""
    needed("onnx", "ONNX")
    needed("onnxscript", "ONNX")
    from vedette.export.onnx_ops import translations

    model = _converted(traced, translations())
    for name, value in to_metadata(exported).items():
        model.metadata_props.add(key=name, value=value)
    model.producer_name, model.doc_string = "vedette", f"{exported.name}: https://onnx.ai/, metadata say the rest"
    _forget_where(model.graph)
    return model


def _converted(traced: Traced, table: Any) -> Any:
    import torch

    names: dict[str, Any] = {"input_names": list(traced.inputs), "output_names": list(traced.outputs)}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        try:
            program: Any = torch.onnx.export(
                traced.program, dynamo=True, opset_version=OPSET, custom_translation_table=table, verbose=False, **names
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise ExportError(f"the network has no form in ONNX ({reason})") from None
    return program.model_proto


def _forget_where(graph: Any) -> None:
    """Nodes come with the lines of code that they were traced from: paths of this machine, a tenth of a small file."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _forget_where(attribute.g)
