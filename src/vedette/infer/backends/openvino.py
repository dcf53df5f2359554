"""An OpenVINO IR, .xml beside .bin, run by OpenVINO on the CPU."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.infer.backends.open import needed, reading
from vedette.infer.backends.session import Session
from vedette.weights.exported import of_metadata

SECTION = "vedette"  # of the runtime information
ROOT, HEAD = b"<net", 1024  # how its XML begins, and within how many bytes: others are not given to its parsers


def open_session(path: Path, bf16: bool = False) -> Session:
    """Raises InputError as `open.open_session` does, and where the .bin beside the .xml is missing."""
    core = core_for(str(path))
    with path.open("rb") as file:
        if ROOT not in file.read(HEAD):
            raise InputError(f"{path}: is no graph of OpenVINO's; give a file that `vedette export` wrote")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"{path}: {weights.name} is not beside it, which has the weights; keep the two together")
    with reading(path):
        graph = core.read_model(str(path))
        section = graph.get_rt_info(SECTION).value if graph.has_rt_info(SECTION) else {}
        metadata = {name: str(_value(graph, name)) for name in section}
    exported = of_metadata(path, metadata)
    with reading(path):
        return Session(path, exported, OpenVino(core, graph, bf16), bf16)


def core_for(wanted: str) -> Any:
    """OpenVINO's core, one for the process; raises InputError where OpenVINO, which is `wanted`, is not installed."""
    return _core(needed("openvino", wanted))


@cache
def _core(openvino: Any) -> Any:
    # A core puts a stack of its own under the process for signals, and when it is closed the one that was there before.
    # Two that are closed in the order they came leave one that is gone: the next Ctrl-C would be a segmentation fault.
    return openvino.Core()


def _value(graph: Any, name: str) -> Any:
    return graph.get_rt_info([SECTION, name]).value


class OpenVino:
    """What runs the graph, compiled once for each precision that is asked for."""

    def __init__(self, core: Any, graph: Any, bf16: bool) -> None:
        self.core, self.graph = core, graph
        self.compiled: dict[bool, Any] = {}
        self._in(bf16)

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """bf16: in bfloat16 where the processor has it."""
        graph = self._in(bf16)
        found = graph({name: value.numpy() for name, value in inputs.items()})
        return [torch.from_numpy(found[output]) for output in graph.outputs]

    def _in(self, bf16: bool) -> Any:
        if bf16 not in self.compiled:
            settings = {
                "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "PERFORMANCE_HINT": "LATENCY",
            }
            self.compiled[bf16] = self.core.compile_model(self.graph, "CPU", settings)
        return self.compiled[bf16]
