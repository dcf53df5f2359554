"""A detector as one graph that PyTorch's compiler makes into kernels of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vedette.errors import InputError
from vedette.infer.backends.session import Session
from vedette.infer.look import Look
from vedette.infer.one_graph import OneGraph
from vedette.weights.exported import Exported


def compiled_session(path: Path, model: nn.Module, exported: Exported, bf16: bool, device: torch.device) -> Session:
    """path: of the model's weights. It is compiled at its first look at a batch of each kind, which takes a while.

    Raises InputError where there is no C++ compiler.
    """
    check_compiler("backend compile", "choose another backend")
    return Session(path, exported, Compiled(model, exported, device), bf16, device)


def check_compiler(what: str, instead: str) -> None:
    """Raises InputError where PyTorch finds no C++ compiler that works; CXX of the environment names another."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except (RuntimeError, OSError):
        found = "and none that works was found; install g++ (or name one in CXX)"
        raise InputError(f"{what}: needs a C++ compiler, {found}, or {instead}") from None


class Compiled:
    """What runs the graph, compiled once for each precision that is asked for."""

    def __init__(self, model: nn.Module, exported: Exported, device: torch.device) -> None:
        self.model, self.spec, self.device = model, exported.input_spec, device
        self.graphs: dict[bool, Any] = {}

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """bf16: network and `find` under autocast, as a model runs."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            found: Sequence[Tensor] = self._in(bf16)(**inputs)
        return found

    def _in(self, bf16: bool) -> Any:
        if bf16 not in self.graphs:
            graph = OneGraph(Look(self.model, self.spec, bf16).to(self.device).eval())
            self.graphs[bf16] = torch.compile(graph, fullgraph=True)
        return self.graphs[bf16]
