"""Batches of images and targets for training and evaluation.

Every sample of a training epoch has its own seed, drawn from (seed, epoch, index): batches do not depend on the
number of workers, and an epoch begun anew after a resume is the same epoch.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from vedette.data.sampler import Draw, EpochSampler, shape_groups
from vedette.data.transforms import Objects, Transform, eval_transform, train_transform
from vedette.data.windows import MAX_ZOOM_OUT, map_boxes
from vedette.errors import InputError
from vedette.ops.images import sizes_of, stack_padded
from vedette.structures import InputSpec, Target, TargetBatch

Difficult = Literal["ignore", "train"]
Proposals = Callable[[int], Tensor]  # index of an image → (P, 4) boxes in the frame of its annotated ones
Pictures = Callable[[int], Image.Image]  # index of an image → what the dataset's `image` gives


class AnnotatedImages(Protocol):
    """What is asked of a dataset: `vedette.data.annotations.Dataset` has it."""

    def __len__(self) -> int: ...
    def file(self, index: int, /) -> Path: ...
    def size(self, index: int, /) -> tuple[int, int]: ...
    def boxes(self, index: int, /) -> Tensor: ...
    def labels(self, index: int, /) -> Tensor: ...
    def difficult(self, index: int, /) -> Tensor: ...
    def crowd(self, index: int, /) -> Tensor: ...
    def image(self, index: int, /) -> Image.Image: ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One image as the model sees it."""

    image: Tensor  # (3, H, W) uint8
    target: Target
    index: int
    file: str
    size: tuple[int, int]  # width, height of the frame that the annotated boxes are in
    proposals: Tensor | None = None  # (P, 4) in pixels of the image here
    seed: int = 0  # of what is drawn at random of it


@dataclass(frozen=True, eq=False)
class Batch:
    """B images and what is on them.

    A box here times the annotated frame's sides over the image's own sides here is an annotated one.
    """

    images: Tensor  # (B, 3, H, W) uint8, RGB; padded right and below where they differ in size
    truth: TargetBatch  # boxes in pixels of the images here; padded, since few tensors cross from a worker quickly
    indices: list[int]  # in the dataset
    files: list[str]
    sizes: Tensor  # (B, 2) int64, width and height of the annotated frames
    shapes: Tensor  # (B, 2) int64, height and width of each image here, without the padding
    proposals: list[Tensor] | None = None  # (P_i, 4) each, in pixels of the images here

    @property
    def targets(self) -> list[Target]:
        """Of each image by itself, without the padding."""
        rows = zip(*self.truth[:4], strict=True)
        return [Target(boxes[valid], labels[valid], ignore[valid]) for boxes, labels, valid, ignore in rows]

    def pin_memory(self) -> Batch:
        """What a GPU fetches by itself, in page-locked memory."""
        return replace(
            self,
            images=self.images.pin_memory(),
            shapes=self.shapes.pin_memory(),
            truth=self.truth.pin_memory(),
            proposals=self.proposals and [boxes.pin_memory() for boxes in self.proposals],
        )


class UnreadableImage(InputError):
    """An image that cannot be decoded while training.

    A worker's exception is raised again with its whole traceback as message: only the one line is kept.
    """

    def __init__(self, message: str) -> None:
        line = message.strip().splitlines()[-1]
        super().__init__(line.removeprefix(f"{__name__}.{type(self).__name__}: "))


class DetectionDataset(TorchDataset[Sample]):
    """The transformed samples of a dataset.

    Takes a `Draw`, whose seed decides the transform's random numbers, or an index, for a seed of 0; the process's own
    random numbers are left alone.
    difficult: "ignore" the objects marked as difficult or "train" on them; crowds are always ignored.
    proposals: boxes of an external method, which go the way of the annotated ones.
    pictures: where decoded ones come from, if not from the dataset.

    Raises UnreadableImage (an InputError).
    """

    def __init__(
        self,
        dataset: AnnotatedImages,
        transform: Transform,
        difficult: Difficult = "ignore",
        proposals: Proposals | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.dataset, self.transform, self.difficult, self.proposals = dataset, transform, difficult, proposals
        self.pictures = dataset.image if pictures is None else pictures

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: int | Draw) -> Sample:
        index = item.index if isinstance(item, Draw) else item
        image = self._read(index)
        annotated = self._objects(index, image)
        random = np.random.default_rng(item.seed if isinstance(item, Draw) else 0)
        pixels, found = self.transform(image, annotated, random)
        target = Target(*map(torch.from_numpy, (found.boxes, found.labels, found.ignore)))
        proposals = None if found.proposals is None else torch.from_numpy(found.proposals)
        file, frame = str(self.dataset.file(index)), self._frame(index, image)
        seed = item.seed if isinstance(item, Draw) else 0
        return Sample(torch.from_numpy(pixels), target, index, file, frame, proposals, seed)

    def _read(self, index: int) -> Image.Image:
        try:
            return self.pictures(index)
        except InputError as error:
            raise UnreadableImage(str(error)) from error
        except OSError as error:
            raise UnreadableImage(f"{self.dataset.file(index)}: cannot be read ({error})") from error

    def _frame(self, index: int, image: Image.Image) -> tuple[int, int]:
        width, height = self.dataset.size(index)
        return (width, height) if width and height else image.size

    def _objects(self, index: int, image: Image.Image) -> Objects:
        """What is annotated, in the pixels of the picture and within it."""
        crowd, difficult = (rows(index).numpy() for rows in (self.dataset.crowd, self.dataset.difficult))
        inside = partial(map_boxes, window=(0.0, 0.0, *self._frame(index, image)), size=image.size, flip=False)
        return Objects(
            boxes=inside(self.dataset.boxes(index).numpy()),
            labels=self.dataset.labels(index).numpy(),
            ignore=crowd | difficult if self.difficult == "ignore" else crowd.copy(),
            proposals=None if self.proposals is None else inside(self.proposals(index).float().numpy()),
        )


def train_loader(
    dataset: AnnotatedImages,
    spec: InputSpec,
    batch_size: int,
    workers: int = 2,
    seed: int = 0,
    difficult: Difficult = "ignore",
    max_zoom_out: float = MAX_ZOOM_OUT,
    factors: Tensor | None = None,
    rank: int = 0,
    world: int = 1,
    proposals: Proposals | None = None,
    pictures: Pictures | None = None,
) -> DataLoader[Sample]:
    """Augmented batches in random order; `loader.sampler.set_epoch(epoch)` before each epoch.

    Gives `Batch`. A last batch that is not full is left out unless it is the only one. `max_zoom_out`: the largest
    canvas around an image, in sides of it; 1 switches zoom-out off; for specs that warp. `factors`: see
    `EpochSampler`; default: every image once. `proposals`, `pictures`: see `DetectionDataset`.
    Batches of a spec with a short side are of wide images alone, or of high ones, but for one of each process.
    """
    samples = DetectionDataset(dataset, train_transform(spec, max_zoom_out), difficult, proposals, pictures)
    groups = shape_groups(dataset) if spec.resize == "short side" else None
    factors = torch.ones(len(dataset)) if factors is None else factors
    sampler = EpochSampler(factors, seed, rank, world, groups, batch_size)
    return _loader(samples, spec, sampler, batch_size, workers, drop_last=len(sampler) > batch_size)


def eval_loader(
    dataset: AnnotatedImages,
    spec: InputSpec,
    batch_size: int,
    workers: int = 2,
    difficult: Difficult = "ignore",
    proposals: Proposals | None = None,
    indices: Sequence[int] | None = None,
) -> DataLoader[Sample]:
    """Every image once, or those of these indices, resized as when detecting, in the dataset's order, as `Batch`."""
    samples = DetectionDataset(dataset, eval_transform(spec), difficult, proposals)
    order = SequentialSampler(samples) if indices is None else indices
    return _loader(samples, spec, order, batch_size, workers, drop_last=False)


@contextmanager
def workers_heard() -> Iterator[None]:
    """Raises InputError where a process that loads images is killed meanwhile: PyTorch says so at whatever line."""
    try:
        yield
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        if os.name == "posix":
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would raise again while all is closed
        raise InputError(
            "a process that loads images was killed, perhaps for want of memory: give fewer --workers, or 0"
        ) from None


def collate(samples: Sequence[Sample], divisor: int = 1) -> Batch:
    """Samples as a batch, its sides those of the largest image, up to multiples of `divisor`."""
    images = [sample.image for sample in samples]
    proposals = [sample.proposals for sample in samples if sample.proposals is not None]
    return Batch(
        images=stack_padded(images, divisor),
        truth=TargetBatch.of([sample.target for sample in samples], torch.tensor([sample.seed for sample in samples])),
        indices=[sample.index for sample in samples],
        files=[sample.file for sample in samples],
        sizes=torch.tensor([sample.size for sample in samples]),
        shapes=sizes_of(images),
        proposals=proposals or None,
    )


def _loader(
    samples: DetectionDataset,
    spec: InputSpec,
    sampler: Sampler[Any] | Sequence[int],
    batch_size: int,
    workers: int,
    drop_last: bool,
) -> DataLoader[Sample]:
    return DataLoader(
        samples,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=partial(collate, divisor=spec.divisor if spec.resize == "short side" else 1),
        pin_memory=torch.cuda.is_available(),
        drop_last=drop_last,
        worker_init_fn=_begin_worker,
        persistent_workers=workers > 0,
    )


def _begin_worker(worker: int) -> None:
    torch.set_num_threads(1)  # the cores belong to the model; a sample is too small to share
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":
        os.setpgid(0, 0)  # what is sent to the whole group, as Ctrl-C is, reaches the first process alone: it decides
