"""Batches of images and targets for training and evaluation.

Every sample of a training epoch has its own seed, drawn from (seed, epoch, index): batches do not depend on the
number of workers, and an epoch begun anew after a resume is the same epoch.
"""

from __future__ import annotations

import math
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
from torchvision import tv_tensors
from torchvision.transforms import v2

from vedette.data.transforms import MAX_ZOOM_OUT, eval_transform, train_transform
from vedette.errors import InputError
from vedette.ops.boxes import clip
from vedette.ops.images import sizes_of, stack_padded
from vedette.structures import InputSpec, Target

Difficult = Literal["ignore", "train"]
Proposals = Callable[[int], Tensor]  # index of an image → (P, 4) boxes in the frame of its annotated ones


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


@dataclass(frozen=True)
class Draw:
    """One image of one epoch: its index, and the seed of all that is random about it."""

    index: int
    seed: int


@dataclass(frozen=True, eq=False)
class Sample:
    """One image as the model sees it."""

    image: Tensor  # (3, H, W) uint8
    target: Target
    index: int
    file: str
    size: tuple[int, int]  # width, height of the frame that the annotated boxes are in
    proposals: Tensor | None = None  # (P, 4) in pixels of the image here


@dataclass(frozen=True, eq=False)
class Batch:
    """B images and what is on them.

    A box here times the annotated frame's sides over the image's own sides here is an annotated one.
    """

    images: Tensor  # (B, 3, H, W) uint8, RGB; padded right and below where they differ in size
    targets: list[Target]  # boxes in pixels of the images here
    indices: list[int]  # in the dataset
    files: list[str]
    sizes: Tensor  # (B, 2) int64, width and height of the annotated frames
    shapes: Tensor  # (B, 2) int64, height and width of each image here, without the padding
    proposals: list[Tensor] | None = None  # (P_i, 4) each, in pixels of the images here

    def pin_memory(self) -> Batch:
        """What a GPU fetches by itself in page-locked memory, but for the targets, which are padded before they go."""
        return replace(
            self,
            images=self.images.pin_memory(),
            shapes=self.shapes.pin_memory(),
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

    Takes an index, or a `Draw` whose seed decides the transform's random numbers; the process's own are left alone.
    difficult: "ignore" the objects marked as difficult or "train" on them; crowds are always ignored.
    proposals: boxes of an external method, which go the way of the annotated ones.

    Raises UnreadableImage (an InputError).
    """

    def __init__(
        self,
        dataset: AnnotatedImages,
        transform: v2.Transform,
        difficult: Difficult = "ignore",
        proposals: Proposals | None = None,
    ) -> None:
        self.dataset, self.transform, self.difficult, self.proposals = dataset, transform, difficult, proposals

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: int | Draw) -> Sample:
        index = item.index if isinstance(item, Draw) else item
        image = self._read(index)
        annotated = self._target(index, image)
        if isinstance(item, Draw):
            with random_numbers_from(item.seed):
                pixels, found = self.transform(image, annotated)
        else:
            pixels, found = self.transform(image, annotated)
        target = Target(found["boxes"].as_subclass(Tensor), found["labels"], found["ignore"])
        file, frame = str(self.dataset.file(index)), self._frame(index, image)
        return Sample(pixels, target, index, file, frame, found.get("proposals"))

    def _read(self, index: int) -> Image.Image:
        try:
            return self.dataset.image(index)
        except InputError as error:
            raise UnreadableImage(str(error)) from error
        except OSError as error:
            raise UnreadableImage(f"{self.dataset.file(index)}: cannot be read ({error})") from error

    def _frame(self, index: int, image: Image.Image) -> tuple[int, int]:
        width, height = self.dataset.size(index)
        return (width, height) if width and height else image.size

    def _target(self, index: int, image: Image.Image) -> dict[str, Any]:
        scale = (torch.tensor(image.size) / torch.tensor(self._frame(index, image))).repeat(2)
        width, height = image.size
        crowd, difficult = self.dataset.crowd(index), self.dataset.difficult(index)
        target = {
            "boxes": tv_tensors.BoundingBoxes(
                clip(self.dataset.boxes(index) * scale, width, height),
                format=tv_tensors.BoundingBoxFormat.XYXY,
                canvas_size=(height, width),
            ),
            "labels": self.dataset.labels(index),
            "ignore": crowd | difficult if self.difficult == "ignore" else crowd.clone(),
        }
        if self.proposals is not None:
            target["proposals"] = clip(self.proposals(index).float() * scale, width, height)
        return target


class EpochSampler(Sampler[Draw]):
    """The images of an epoch in an order and with seeds that (seed, epoch) decide; call `set_epoch` before each.

    factors (N,): how often each image comes in an epoch, on average; 1.5 is once in one epoch and twice in another.
    Of several processes each takes its share, `rank` of `world`, all of one length: some images come once more where
    the number does not divide.
    groups (N,): images of one group come together, `batch_size` in a row, in the batches that a process would have had
    anyway: it takes the same images in an epoch, as many batches, and an incomplete last one holds the same. What is
    left of the groups, less than a batch of each, is mixed.
    """

    def __init__(
        self,
        factors: Tensor,
        seed: int,
        rank: int = 0,
        world: int = 1,
        groups: Tensor | None = None,
        batch_size: int = 1,
    ) -> None:
        self.factors, self.seed, self.rank, self.world = factors.double(), seed, rank, world
        self.groups, self.batch_size = groups, batch_size
        self.length = round(float(self.factors.sum()))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.world)

    def __iter__(self) -> Iterator[Draw]:
        mixed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        order = torch.randperm(self.length, generator=generator)
        seeds = torch.randint(2**32, (self.length,), generator=generator)
        images = self._images(torch.rand((), generator=generator, dtype=torch.float64))
        mine = torch.arange(self.rank, len(self) * self.world, self.world) % max(1, self.length)
        places = order[mine]
        if self.groups is not None:
            places = places[group_batches(self.groups[images[places]], self.batch_size, generator)]
        for place in places.tolist():
            yield Draw(int(images[place]), int(seeds[place]))

    def _images(self, offset: Tensor) -> Tensor:
        """(length,) indices: evenly spaced marks over the factors laid end to end, so that no image is forgotten."""
        ends = self.factors.cumsum(0)
        marks = (torch.arange(self.length) + offset) * (ends[-1:] / max(1, self.length))
        return torch.searchsorted(ends, marks, right=True).clamp(max=max(0, len(ends) - 1))


def group_batches(groups: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """(N,) groups of what comes → (N,) the order in which they fill batches of their own, the batches shuffled.

    What is left of the groups fills mixed batches, fewer than there are groups. Those beyond the last whole batch stay
    at the end.
    """
    whole = len(groups) - len(groups) % batch_size
    groups, tail = groups[:whole], torch.arange(whole, len(groups))
    rows = [(groups == group).nonzero().squeeze(1) for group in torch.unique(groups)]
    own = [row[: len(row) - len(row) % batch_size] for row in rows]
    rest = torch.cat([torch.zeros(0, dtype=torch.int64), *(row[len(row) - len(row) % batch_size :] for row in rows)])
    batches = torch.cat([*own, rest.sort()[0]]).view(-1, batch_size)
    return torch.cat([batches[torch.randperm(len(batches), generator=generator)].flatten(), tail])


def shape_groups(dataset: AnnotatedImages) -> Tensor:
    """(N,) 1 where an image is higher than wide; batches of one group have little padding."""
    return torch.tensor([width < height for width, height in map(dataset.size, range(len(dataset)))]).long()


def repeat_factors(dataset: AnnotatedImages, share: float) -> Tensor:
    """(N,) how often each image should come so that rare classes are seen: LVIS's rule (Gupta et al., CVPR 2019).

    A class that a share f of the images hold asks for sqrt(share / f) where that is more than 1; an image gets what
    its rarest class asks for. share 0: every image once.
    """
    held = [torch.unique(dataset.labels(index)) for index in range(len(dataset))]
    frequency = torch.cat([*held, torch.zeros(0, dtype=torch.int64)]).bincount() / max(1, len(held))
    asked = (share / frequency.clamp(min=torch.finfo().tiny)).sqrt().clamp(min=1)
    return torch.tensor([float(asked[labels].max()) if len(labels) else 1.0 for labels in held])


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
) -> DataLoader[Sample]:
    """Augmented batches in random order; `loader.sampler.set_epoch(epoch)` before each epoch.

    Gives `Batch`. A last batch that is not full is left out unless it is the only one. `max_zoom_out`: the largest
    canvas around an image, in sides of it; 1 switches zoom-out off; for specs that warp. `factors`: see
    `EpochSampler`; default: every image once. `proposals`: see `DetectionDataset`.
    Batches of a spec with a short side are of wide images alone, or of high ones, but for one of each process.
    """
    samples = DetectionDataset(dataset, train_transform(spec, max_zoom_out), difficult, proposals)
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


def collate(samples: Sequence[Sample], divisor: int = 1) -> Batch:
    """Samples as a batch, its sides those of the largest image, up to multiples of `divisor`."""
    images = [sample.image for sample in samples]
    proposals = [sample.proposals for sample in samples if sample.proposals is not None]
    return Batch(
        images=stack_padded(images, divisor),
        targets=[sample.target for sample in samples],
        indices=[sample.index for sample in samples],
        files=[sample.file for sample in samples],
        sizes=torch.tensor([sample.size for sample in samples]),
        shapes=sizes_of(images),
        proposals=proposals or None,
    )


@contextmanager
def random_numbers_from(seed: int) -> Iterator[None]:
    """Seeds torch's CPU random numbers for a while, then goes on with those of before."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


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
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
    )


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)  # the cores belong to the model; a sample is too small to share
