"""What crosses a border: the ground truth of an image, what a model predicts, what it found.

Shapes: `G` ground-truth boxes of one image, `N` detections of one image, `B` images, `A` anchors.
Boxes are float x1 y1 x2 y2 in pixels, without + 1; labels are 0..C-1, background is not a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vedette.errors import InputError
from vedette.pages.boxes import draw_boxes
from vedette.pages.class_names import unnamed
from vedette.pages.embed import png_of
from vedette.pages.fonts import FontError, legible
from vedette.pages.notebook import found_html

LARGEST_JPEG = 65500  # pixels of a side, libjpeg's limit
LARGEST_INPUT = 1 << 15  # pixels of a side of a network's input: beyond any that a machine holds the maps of
CHOICES = {"resize": ("warp", "short side"), "interpolation": ("bilinear", "bicubic"), "channels": ("rgb", "bgr")}

Interpolation: TypeAlias = Literal["bilinear", "bicubic"]


class HeadOutput(NamedTuple):
    """What a head says of every anchor, or of every region."""

    logits: Tensor  # (B, A, C + 1), background at index 0
    deltas: Tensor  # (B, A, 4), against the anchors


@dataclass(frozen=True, eq=False)
class Target:
    """The ground truth of one image, in pixels of the model's input.

    Ignored boxes (VOC's difficult, COCO's crowds) are neither to be found nor mined as background.

    Raises ValueError for boxes that are not (G, 4), not finite or without area, and for labels that do not fit them;
    TypeError for what is no tensor.
    """

    boxes: Tensor  # (G, 4) float
    labels: Tensor  # (G,) int64, 0..C-1
    ignore: Tensor | None = None  # (G,) bool

    def __post_init__(self) -> None:
        boxes, labels = self.boxes, self.labels
        for name, value in (("boxes", boxes), ("labels", labels), ("ignore", self.ignore)):
            if not isinstance(value, Tensor) and (name, value) != ("ignore", None):
                raise TypeError(f"Target.{name} must be a tensor, not {type(value).__name__}: wrap it, torch.tensor(…)")
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"Target.boxes must have shape (G, 4), not {tuple(boxes.shape)}")
        if not boxes.is_floating_point():
            raise ValueError(f"Target.boxes must be floating point, not {boxes.dtype}")
        if labels.shape != boxes.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"Target.labels must be int64 of shape ({len(boxes)},), not {labels.dtype} {tuple(labels.shape)}"
            )
        if self.ignore is not None and (self.ignore.shape != labels.shape or self.ignore.dtype != torch.bool):
            raise ValueError(f"Target.ignore must be bool of shape ({len(boxes)},)")
        valid = torch.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        if not bool(valid.all()):
            row = int((~valid).nonzero()[0])
            raise ValueError(f"Target.boxes[{row}] is {boxes[row].tolist()}: a box needs x1 < x2 and y1 < y2")
        if bool((labels < 0).any()):
            raise ValueError(f"Target.labels must be 0..C-1, found {int(labels.min())}")

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Target:
        """The same target on another device."""
        moved = replace(self)
        for name in ("boxes", "labels", "ignore"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(moved, name, value.to(device, non_blocking=non_blocking))
        return moved


class TargetBatch(NamedTuple):
    """Ground truth of `B` images, padded to `G` boxes."""

    boxes: Tensor  # (B, G, 4)
    labels: Tensor  # (B, G) int64, 0 in the padding
    valid: Tensor  # (B, G) bool, False in the padding
    ignore: Tensor  # (B, G) bool
    seeds: Tensor  # (B,) int64: what is drawn of an image at random, whatever images are beside it

    @property
    def for_matching(self) -> tuple[Tensor, Tensor, Tensor]:
        """What `match` asks of it: boxes, valid, ignore."""
        return self.boxes, self.valid, self.ignore

    @classmethod
    def of(cls, targets: Sequence[Target], seeds: Tensor | None = None) -> TargetBatch:
        """The targets of one batch, where they are; G is the largest number of boxes in an image.

        seeds (B,) int64: by default of torch's random numbers.
        """
        device = targets[0].boxes.device if targets else None
        seeds = torch.randint(1 << 62, (len(targets),), device=device) if seeds is None else seeds
        if not targets:
            empty = torch.zeros(0, 0, dtype=torch.bool)
            return cls(torch.zeros(0, 0, 4), empty.long(), empty, empty, seeds)
        columns = (
            [t.boxes.float() for t in targets],
            [t.labels for t in targets],
            [torch.ones_like(t.labels, dtype=torch.bool) for t in targets],
            [torch.zeros_like(t.labels, dtype=torch.bool) if t.ignore is None else t.ignore for t in targets],
        )
        boxes, labels, valid, ignore = (pad_sequence(column, batch_first=True) for column in columns)
        return cls(boxes, labels, valid, ignore, seeds)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TargetBatch:
        """The same on another device; from pinned memory and `non_blocking`, the host does not wait."""
        return TargetBatch(*(t.to(device, non_blocking=non_blocking) for t in self))

    def pin_memory(self) -> TargetBatch:
        """The same in memory from which a GPU copies by itself."""
        return TargetBatch(*(t.pin_memory() for t in self))


Targets: TypeAlias = Sequence[Target] | TargetBatch  # what a `loss` takes


def check_targets(targets: Targets, images: int, num_classes: int) -> None:
    """Raises ValueError unless there is a target for each of the images, with labels that the model has.

    Labels on a GPU are not looked at: the host would have to wait.
    """
    labels = targets.labels if isinstance(targets, TargetBatch) else [t.labels for t in targets]
    if len(labels) != images:
        raise ValueError(f"{len(labels)} targets for {images} images: give one for each, empty where nothing is")
    if torch.compiler.is_compiling():
        return
    for row, own in enumerate(labels):
        if own.device.type == "cpu" and bool((own >= num_classes).any()):
            raise ValueError(f"targets[{row}] has label {int(own.max())}; the model has 0..{num_classes - 1}")


def pad_targets(targets: Targets, device: torch.device) -> TargetBatch:
    """The targets of one batch on that device; those that are padded already are moved alone."""
    batch = targets if isinstance(targets, TargetBatch) else TargetBatch.of(targets)
    return batch.to(device, non_blocking=True)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How a picture becomes a model's input; it belongs to the weights and travels in their file.

    A uint8 picture is resized, brought to `range` (0..255 or 0..1), then (x - mean) / std per channel.
    """

    size: int  # side of the square (warp), or the short side
    resize: Literal["warp", "short side"] = "warp"
    max_side: int | None = None  # longest long side, for "short side"
    divisor: int = 1  # sides are padded to a multiple of it
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    range: float = 255.0  # the value of white before mean and std: 255 or 1
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["rgb", "bgr"] = "rgb"

    def at(self, size: int) -> InputSpec:
        """The same in another size; the longest side grows with it, as Fast R-CNN's 1000 of 600 to 2000 of 1200."""
        longest = None if self.max_side is None else round(self.max_side * size / self.size)
        return replace(self, size=size, max_side=longest)


def check_spec(spec: InputSpec) -> InputSpec:
    """The spec, numpy's numbers as Python's; raises ValueError for the first field that no picture is prepared by."""
    given = {field.name: getattr(spec, field.name) for field in fields(spec)}
    spec = replace(spec, **{name: value.item() for name, value in given.items() if isinstance(value, np.generic)})
    for name, options in CHOICES.items():
        if getattr(spec, name) not in options:
            raise ValueError(f"{name} is {getattr(spec, name)!r}: give one of {', '.join(options)}")
    for name in ("size", "divisor", "max_side"):
        side = getattr(spec, name)
        if (name, side) != ("max_side", None) and (type(side) is not int or not 1 <= side <= LARGEST_INPUT):
            raise ValueError(f"{name} is {side!r}: give a whole number of pixels from 1 to {LARGEST_INPUT}")
    if not isinstance(spec.antialias, bool):
        raise ValueError(f"antialias is {spec.antialias!r}: give true or false")
    for name, length in (("mean", 3), ("std", 3), ("range", 1)):
        given = getattr(spec, name)
        numbers = given if isinstance(given, tuple) else (given,)
        if len(numbers) != length or not all(isinstance(x, int | float) and isfinite(x) for x in numbers):
            raise ValueError(f"{name} is {given!r}: give {'three numbers' if length == 3 else 'a number'}")
        if name != "mean" and min(numbers) <= 0:
            raise ValueError(f"{name} is {given!r}: give more than 0")
    return spec


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image, best first.

    `source` is the index of the anchor (or proposal) that each detection came from, -1 after merging.
    """

    boxes: Tensor  # (N, 4) float32
    scores: Tensor  # (N,) float32, descending
    labels: Tensor  # (N,) int64, 0..C-1
    source: Tensor  # (N,) int64
    classes: tuple[str, ...] | None = None  # the C class names
    image: Image.Image | None = None  # the picture as given, after EXIF rotation
    category_ids: tuple[int, ...] | None = None  # the data's own ids of the C classes

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        labels: list[int] = self.labels.tolist()
        return [unnamed(label) if self.classes is None else self.classes[label] for label in labels]

    def __getitem__(self, index: Tensor | NDArray[Any] | Sequence[int] | slice | SupportsIndex) -> Detections:
        """The detections that indices, a mask, a slice or one index picks; numpy's too."""
        if isinstance(index, Integral):
            index = torch.tensor([int(index)])
        elif not isinstance(index, Tensor | slice):
            index = torch.as_tensor(index)
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            source=self.source[index],
        )

    def draw(self, image: Image.Image | None = None) -> Image.Image:
        """The picture with boxes, names and scores on it; `image`, or else the one that was kept.

        A given image is turned as its EXIF says, as it was to detect. Names in letters that no font has are numbered,
        `class 3`; the environment's VEDETTE_FONT may name a font file. Raises InputError (a ValueError) where there is
        no picture, for what is no PIL image, and for a font that cannot be read.
        """
        picture = self.image if image is None else image
        if picture is None:
            raise InputError("these detections hold no image (keep_image=False): give it, found.draw(image)")
        if not isinstance(picture, Image.Image):
            raise InputError(f"draw() takes a PIL image, not {type(picture).__name__}: PIL.Image.open(…) gives one")
        upright = picture if image is None else ImageOps.exif_transpose(picture)
        labels: list[int] = self.labels.tolist()
        try:
            names = self.names if self.classes is None else [legible(self.classes)[label] for label in labels]
            captions = [f"{name} {score:.2f}" for name, score in zip(names, self.scores.tolist(), strict=True)]
            return draw_boxes(upright, self.boxes.tolist(), captions, labels)
        except FontError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from None

    def _repr_html_(self) -> str:
        """For notebooks: the picture, where one was kept, and a table."""
        picture = None if self.image is None else self.draw()
        return found_html(picture, self.names, self.scores.tolist(), self.boxes.tolist())

    def _repr_png_(self) -> bytes | None:
        """For notebooks that show no HTML: the picture, where one was kept."""
        return None if self.image is None else png_of(self.draw())

    def save(self, path: str | Path, image: Image.Image | None = None) -> None:
        """Writes the annotated picture, drawn on `image` as `draw` does; the suffix of `path` chooses the format.

        Raises InputError (a ValueError) as `draw` does, for a suffix that names no format, for a picture that the
        format cannot hold, and where the file cannot be written.
        """
        form = Image.registered_extensions().get(Path(path).suffix.lower())
        if form not in Image.SAVE:
            suffix = f"{Path(path).suffix} names no format" if Path(path).suffix else "no suffix names a format"
            raise InputError(f"{path}: {suffix} that pictures are written in; give .jpg, .png or .webp")
        picture = self.draw(image)
        if form == "JPEG" and max(picture.size) > LARGEST_JPEG:
            size = f"{picture.width} x {picture.height} pixels"
            raise InputError(f"{path}: {size} are too many for a JPEG, whose sides end at {LARGEST_JPEG}; save a .png")
        try:
            picture.save(path, quality=92)
        except (OSError, ValueError, KeyError) as error:
            reason = getattr(error, "strerror", None) or f"as {form}: {error}"
            raise InputError(f"{path}: cannot be written ({reason})") from None

    def to_coco(self, image_id: int | str = 0, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """A COCO results list: boxes as x, y, width, height.

        category_ids: one for each class; else those of the data that the weights were trained on, else the labels.
        """
        category_ids = self.category_ids if category_ids is None else category_ids
        image_id = int(image_id) if isinstance(image_id, Integral) else image_id  # JSON knows no number of numpy's
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True)
        return [
            {
                "image_id": image_id,
                "category_id": label if category_ids is None else int(category_ids[label]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
            for (x1, y1, x2, y2), score, label in rows
        ]

    def to_supervision(self) -> Any:
        """As `supervision.Detections`; needs the package supervision."""
        try:
            import supervision
        except ImportError as error:
            raise ImportError("to_supervision() needs the package supervision: pip install supervision") from error
        return supervision.Detections(
            xyxy=self.boxes.cpu().numpy(),
            confidence=self.scores.cpu().numpy(),
            class_id=self.labels.cpu().numpy(),
            data={"class_name": np.array(self.names, dtype=np.str_)},
        )
