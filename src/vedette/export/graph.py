"""A detector traced by torch.export: one graph from bytes to detections, of which batch and, where it pads, sides are
free."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vedette.export.error import ExportError
from vedette.export.regions import ProposalGraph
from vedette.infer.look import Look
from vedette.infer.one_graph import OneGraph, RawGraph, tensors_of
from vedette.weights.exported import OUTPUTS, Exported

MOST_IMAGES, MOST_PIXELS = 4096, 8192  # of a batch, and of a side
EXAMPLE = (480, 320)  # width and height where sides are free: one cell in the coarsest map would be taken as fixed


class Traced(NamedTuple):
    """A graph, and what its inputs and outputs are called."""

    program: ExportedProgram
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def trace(model: nn.Module, exported: Exported) -> Traced:
    """The graph of a detector on the CPU; raises ExportError for one that cannot be traced."""
    look = Look(model, exported.input_spec).eval()
    graph = (RawGraph if exported.raw else ProposalGraph if exported.proposals else OneGraph)(look)
    given, free = examples(exported)
    if not exported.raw:
        return traced_as(graph, given, free, OUTPUTS, exported.name)
    with torch.no_grad():
        outputs = tuple(tensors_of(look(given["images"], given.get("sizes"))))
    return traced_as(graph, given, free, outputs, exported.name)


def traced_as(
    graph: nn.Module, given: dict[str, Tensor], free: dict[str, dict[int, Any]], outputs: tuple[str, ...], name: str
) -> Traced:
    """A module as a graph; given, free: inputs as `examples` has them. Raises ExportError that names the detector."""
    shapes: dict[str, Any] = {one: free.get(one) for one in given}
    try:
        with torch.no_grad():
            program = torch.export.export(graph, (), given, dynamic_shapes=shapes)
    except RuntimeError as error:  # what torch.export raises at code that it cannot follow
        reason = str(error).strip().splitlines()[0]
        raise ExportError(f"{name}: its network cannot be traced ({reason})") from None
    return Traced(program, tuple(given), outputs)


def examples(exported: Exported) -> tuple[dict[str, Tensor], dict[str, dict[int, Any]]]:
    """Inputs of the graph by name, and which of their dimensions are free."""
    spec = exported.input_spec
    width, height = (spec.size, spec.size) if spec.resize == "warp" else EXAMPLE
    given = {
        "images": torch.zeros(2, 3, height, width, dtype=torch.uint8),
        "score": torch.tensor(0.05),
        "sizes": torch.tensor([[height, width]] * 2),
        "proposals": torch.tensor([0.0, 0.0, width, height]).repeat(2, exported.proposals, 1),
        "counts": torch.tensor([exported.proposals] * 2),
    }
    batch = {0: Dim("batch", min=1, max=MOST_IMAGES)}
    sides = {} if spec.resize == "warp" else {2: _side("rows", spec.divisor), 3: _side("columns", spec.divisor)}
    free: dict[str, dict[int, Any]] = {"images": batch | sides}
    free |= dict.fromkeys(("sizes", "proposals", "counts"), batch)
    return {name: given[name] for name in exported.inputs}, free


def _side(name: str, divisor: int) -> Any:
    return divisor * Dim(name, min=1 if divisor > 1 else 32, max=MOST_PIXELS // divisor)
