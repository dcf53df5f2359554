"""A detector as a graph that something else than PyTorch runs, and the look at pictures through it.

Shapes: `B` pictures of a batch, `N` detections of each, padded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.infer.look import Inputs, find_in
from vedette.infer.scores import Least, lowest
from vedette.parts.detection import Candidates, unpad
from vedette.structures import Detections, InputSpec
from vedette.weights.exported import Exported

CPU = torch.device("cpu")


class Runs(Protocol):
    """What runs a graph: inputs by name, on the session's device, and its outputs in their order."""

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]: ...


class Session:
    """A graph with what it says of itself, and what runs it on a device; bf16: in bfloat16, whether asked or not."""

    def __init__(
        self,
        path: Path,
        exported: Exported,
        run: Runs,
        bf16: bool = False,
        device: torch.device = CPU,
    ) -> None:
        self.path, self.exported, self.run, self.bf16, self.device = path, exported, run, bf16, device
        self.config = SimpleNamespace(**exported.config)  # read as a model's config is
        self.input_spec = exported.input_spec
        self.needs_proposals = exported.proposals > 0

    def find(
        self, images: Tensor, sizes: Tensor, score: float, bf16: bool, proposals: Sequence[Tensor] | None = None
    ) -> Candidates:
        """What is found in a batch, as the graph has it; proposals (N_i, 4) of each picture where it takes any."""
        return Candidates(*self.run(self.inputs(images, sizes, score, proposals), bf16))

    def inputs(
        self, images: Tensor, sizes: Tensor, score: float, proposals: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """What the graph takes of these, by name."""
        given = {"images": images.contiguous(), "score": torch.tensor(score), "sizes": sizes}
        if proposals is not None:
            given["proposals"], given["counts"] = _padded(proposals, self.exported.proposals)
        return {name: given[name] for name in self.exported.inputs}


class SessionLook:
    """A session's way to look at inputs of a spec, as `Look` is a model's."""

    def __init__(self, session: Session, spec: InputSpec, bf16: bool = False) -> None:
        fixed = session.input_spec.resize == "warp"
        if fixed and spec.size != session.input_spec.size:
            raise InputError(
                f"{session.path}: takes pictures of {session.input_spec.size} pixels alone; leave scales out, or use "
                "the weight file"
            )
        self.session, self.bf16 = session, bf16 or session.bf16

    def find(self, inputs: Inputs, score: Least, mirrored: bool = False) -> list[Detections]:
        """What is found in each picture with at least the score, in the pixels of its frame."""
        return find_in(self._detect, self.session.device, inputs, score, mirrored)

    def _detect(
        self, images: Tensor, shapes: Tensor, proposals: Sequence[Tensor] | None, score: Least
    ) -> list[Detections]:
        return unpad(self.session.find(images, shapes, lowest([score]), self.bf16, proposals))


def _padded(proposals: Sequence[Tensor], most: int) -> tuple[Tensor, Tensor]:
    """(N_i, 4) each → (B, most, 4) and how many there are (B,) int64."""
    padded = torch.zeros(len(proposals), most, 4)
    for row, own in zip(padded, proposals, strict=True):
        row[: len(own)] = own
    return padded, torch.tensor([len(own) for own in proposals])
