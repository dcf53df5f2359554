"""A program of torch.export, run by PyTorch without the classes that it was made from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import vedette.ops.nms  # noqa: F401  # the program calls its operators
from vedette.infer.backends.open import reading
from vedette.infer.backends.session import Session
from vedette.weights.exported import of_metadata

METADATA = "vedette.json"  # in the file


def open_session(path: Path) -> Session:
    """Raises InputError as `open.open_session` does."""
    extra = {METADATA: ""}
    with reading(path):
        program = torch.export.load(path, extra_files=extra)
        metadata = json.loads(extra[METADATA] or "{}")
    return Session(path, of_metadata(path, metadata), Program(program.module(check_guards=False)))


class Program:
    """What runs the graph."""

    def __init__(self, graph: nn.Module) -> None:
        self.graph = graph

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """bf16: under autocast, as a model runs."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found: Sequence[Tensor] = self.graph(**inputs)
        return found
