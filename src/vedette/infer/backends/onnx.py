"""An ONNX file, run by ONNX Runtime on the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.infer.backends.open import needed, reading
from vedette.infer.backends.session import Session
from vedette.weights.exported import of_metadata

ERRORS_ALONE = 3  # onnxruntime's level of its log: warnings of its optimiser are no user's concern


def open_session(path: Path, bf16: bool = False) -> Session:
    """Raises InputError as `open.open_session` does."""
    _refuse(bf16)
    runtime = needed("onnxruntime", str(path))
    options = runtime.SessionOptions()
    options.log_severity_level = ERRORS_ALONE
    options.intra_op_num_threads = torch.get_num_threads()
    with reading(path):
        graph = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Session(path, of_metadata(path, graph.get_modelmeta().custom_metadata_map), OnnxRuntime(graph))


class OnnxRuntime:
    """What runs the graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """Raises InputError for bf16, which ONNX Runtime has no kernels for on a CPU."""
        _refuse(bf16)
        found = self.graph.run(None, {name: value.numpy() for name, value in inputs.items()})
        return [torch.from_numpy(values) for values in found]


def _refuse(bf16: bool) -> None:
    if bf16:
        raise InputError("bf16: ONNX Runtime computes in float32 on a CPU; leave it out, or export to openvino")
