"""CUDA graphs: a whole look as one launch, where the kernels of a small batch are faster than Python starts them.

It needs what the detectors keep to anyway: static shapes, nothing read back, no constant copied from the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.infer.scores import Least
from vedette.parts.detection import Candidates, Floor


class Kept(NamedTuple):
    """What a look gives, and what else it read: others may forget that, a recorded graph reads it again."""

    found: Candidates
    anchors: Tensor
    floor: Floor


Find = Callable[[Tensor, Tensor, Least], Kept]  # images, shapes, least scores
GRAPHS = 8  # graphs, each with memory of its own
WARM_UP = 3  # looks before one is recorded: kernels are chosen and caches filled


class _Recorded(NamedTuple):
    graph: torch.cuda.CUDAGraph
    images: Tensor
    shapes: Tensor
    kept: Kept


class Graphs:
    """The recorded looks of one model, one a shape of the batch and a score."""

    def __init__(self) -> None:
        self.recorded: dict[tuple[torch.Size, Least], _Recorded] = {}

    def run(self, find: Find, images: Tensor, shapes: Tensor, score: Least) -> Candidates:
        """`find(images, shapes, score)`; the result is written over by the next call."""
        key = (images.shape, score)
        if key not in self.recorded:
            if len(self.recorded) >= GRAPHS:
                self.recorded.pop(next(iter(self.recorded)))
            self.recorded[key] = _record(find, images, shapes, score)
        recorded = self.recorded[key]
        recorded.images.copy_(images)
        recorded.shapes.copy_(shapes)
        recorded.graph.replay()
        return recorded.kept.found


def _record(find: Find, images: Tensor, shapes: Tensor, score: Least) -> _Recorded:
    images, shapes = images.clone(), shapes.clone()
    stream = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(images.device))
    with torch.backends.cudnn.flags(benchmark=True):
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                find(images, shapes, score)
        torch.cuda.current_stream(images.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = find(images, shapes, score)
    return _Recorded(graph, images, shapes, kept)
