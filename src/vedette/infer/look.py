"""The one way from pictures to what is on them: normalise, autocast, network, `find`, back into the pictures' pixels.

Shapes: `B` pictures of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vedette.infer.graphs import Graphs, Kept
from vedette.infer.memory import reuse_memory
from vedette.infer.scores import Least, floor_of, lowest, reaching
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import Normalize, mirror_images
from vedette.parts.detection import Floor, Found, unpad
from vedette.structures import Detections, InputSpec


class Inputs(NamedTuple):
    """Pictures as they go into a network, before they are normalised."""

    images: Tensor  # (B, 3, H, W) uint8, RGB, padded right and below
    shapes: Tensor  # (B, 2) int64, heights and widths without the padding
    frames: Tensor  # (B, 2) int64, widths and heights of the pictures in whose pixels boxes are given
    proposals: Sequence[Tensor] | None = None  # (N_i, 4) each, in pixels of the images; for a model that needs them

    def mirrored(self) -> Inputs:
        """The same, seen in a mirror."""
        found = self.proposals
        if found is not None:
            found = [mirror(boxes, width) for boxes, width in zip(found, self.shapes[:, 1].tolist(), strict=True)]
        return self._replace(images=mirror_images(self.images, self.shapes.to(self.images.device)), proposals=found)


# images (B, 3, H, W) uint8, their heights and widths (B, 2), proposals, least scores → what is found in each
Detect = Callable[[Tensor, Tensor, Sequence[Tensor] | None, Least], list[Detections]]
OURS = "vedette.papers."  # modules whose `find` takes a floor of each class; a detector of one's own may not
FLOORS = 64  # that are kept


class Look(nn.Module):
    """A model with all that stands between a batch of uint8 pictures and its predictions.

    bf16: the network runs in bfloat16 under autocast. graphs: on a GPU, network and `find` are replayed as one CUDA
    graph for each shape of a batch.
    """

    def __init__(self, model: nn.Module, spec: InputSpec, bf16: bool = False, graphs: bool = False) -> None:
        super().__init__()
        reuse_memory()
        self.model = model.to(memory_format=torch.channels_last)  # convolutions are faster so
        self.bf16 = bf16
        self.normalize = Normalize(spec)
        self.graphs = Graphs() if graphs else None
        self.floors: dict[tuple[float, ...], Tensor] = {}  # on the model's device: a GPU must not wait for constants

    def forward(self, images: Tensor, shapes: Tensor, proposals: Sequence[Tensor] | None = None) -> Any:
        """(B, 3, H, W) uint8, (B, 2) heights and widths, B times (N_i, 4) → what the model predicts."""
        with self.autocast(images.device):
            return self.model(self.pixels(images, shapes), shapes if self.normalize.padded else None, proposals)

    def pixels(self, images: Tensor, shapes: Tensor | None) -> Tensor:
        """Normalised, 0 (the mean colour) in the padding, in the layout of the network's weights."""
        pixels: Tensor = self.normalize(images, shapes)
        return pixels.contiguous(memory_format=torch.channels_last)

    @contextmanager
    def autocast(self, device: torch.device) -> Iterator[None]:
        """The precision of the network; a head may run in `loss` and `detect`, so these belong inside too."""
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            yield

    def find(self, inputs: Inputs, score: Least, mirrored: bool = False) -> list[Detections]:
        """What is found in each picture with at least the score, on the CPU, in the pixels of its frame.

        mirrored: the pictures are looked at in a mirror; the boxes are those of the pictures as they are.
        """
        return find_in(self._detect, self.normalize.mean.device, inputs, score, mirrored)

    def record(self, inputs: Inputs, score: float) -> tuple[Any, Found]:
        """What `find` goes by: the predictions, and the model's own record of what it made of them, in the input's
        pixels and on the model's device.
        """
        with torch.inference_mode():
            images, shapes = on_device(inputs, self.normalize.mean.device)
            predictions = self(images, shapes, inputs.proposals)
            with self.autocast(images.device):
                return predictions, self.model.find(predictions, score)  # type: ignore[operator]

    def _detect(
        self, images: Tensor, shapes: Tensor, proposals: Sequence[Tensor] | None, score: Least
    ) -> list[Detections]:
        if self.graphs is not None and images.is_cuda and proposals is None:
            return unpad(self.graphs.run(self._kept, images, shapes, score))
        predictions, floor = self(images, shapes, proposals), self._floor(score)
        with self.autocast(images.device):
            if isinstance(floor, Tensor):
                return unpad(self.model.find(predictions, floor).kept)  # type: ignore[operator]
            found: list[Detections] = self.model.detect(predictions, score=floor)  # type: ignore[operator]
        return found

    def _kept(self, images: Tensor, shapes: Tensor, score: Least) -> Kept:
        predictions, floor = self(images, shapes), self._floor(score)
        with self.autocast(images.device):
            return Kept(self.model.find(predictions, floor).kept, predictions.anchors, floor)  # type: ignore[operator]

    def _floor(self, score: Least) -> Floor:
        """What `find` is given: of a score for each class the lowest, where the model does not know of such."""
        if not isinstance(score, tuple) or not type(self.model).__module__.startswith(OURS):
            return lowest([score])
        if score not in self.floors:
            if len(self.floors) >= FLOORS:
                self.floors.clear()
            self.floors[score] = floor_of(score, self.normalize.mean.device)
        return self.floors[score]


def on_device(inputs: Inputs, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images and shapes, copied without waiting."""
    return inputs.images.to(device, non_blocking=True), inputs.shapes.to(device, non_blocking=True)


def find_in(detect: Detect, device: torch.device, inputs: Inputs, score: Least, mirrored: bool) -> list[Detections]:
    """What `detect` finds in each picture, on the CPU, in the pixels of its frame; mirrored as in `Look.find`."""
    seen = inputs.mirrored() if mirrored else inputs
    with torch.inference_mode():
        found = [reaching(one, score) for one in _to_cpu(detect(*on_device(seen, device), seen.proposals, score))]
    if mirrored:
        widths = inputs.shapes[:, 1].tolist()
        found = [replace(one, boxes=mirror(one.boxes, width)) for one, width in zip(found, widths, strict=True)]
    return [in_frame(*row) for row in zip(found, inputs.shapes, inputs.frames, strict=True)]


def in_frame(found: Detections, shape: Tensor, frame: Tensor) -> Detections:
    """Detections in pixels of an input, in those of its picture; what lies outside of the picture is left out.

    shape (2,): height and width of the input without padding; frame (2,): the picture's width and height.
    """
    width, height = frame.tolist()
    boxes = clip(found.boxes.float() * (frame / shape.flip(0)).repeat(2), width, height)
    visible = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return replace(found, boxes=boxes, scores=found.scores.float())[visible]


def _to_cpu(found: list[Detections]) -> list[Detections]:
    """All at once: a copy for each picture and column would wait each time."""
    if not found or found[0].boxes.device.type == "cpu":
        return found
    counts = [len(one) for one in found]
    names = ("boxes", "scores", "labels", "source")
    columns = [torch.split(torch.cat([getattr(one, name) for one in found]).cpu(), counts) for name in names]
    return [Detections(*row) for row in zip(*columns, strict=True)]
