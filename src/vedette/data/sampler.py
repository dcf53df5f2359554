"""Which images an epoch has, in which order and with which random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from vedette.data.loader import AnnotatedImages


@dataclass(frozen=True)
class Draw:
    """One image of one epoch: its index, and the seed of all that is random about it."""

    index: int
    seed: int


class EpochSampler(Sampler[Draw]):
    """The images of an epoch in an order and with seeds that (seed, epoch) decide; call `set_epoch` before each.

    factors (N,): how often each image comes in an epoch, on average; 1.5 is once in one epoch and twice in another.
    Of several processes each takes its share, `rank` of `world`, all of one length: some images come once more where
    the number does not divide.
    groups (N,): images of one group come together, `batch_size` in a row for each process, in the batches that there
    would have been anyway: an incomplete last one holds the same. What is left of the groups, less than a batch of
    each, is mixed.
    Which images make a step does not depend on the number of processes that share it.
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
        self.epoch, self.start = 0, 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Chooses the epoch that the next iteration gives, and from which image of it on."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return math.ceil(self.length / self.world)

    def __iter__(self) -> Iterator[Draw]:
        mixed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        order = torch.randperm(self.length, generator=generator)
        seeds = torch.randint(2**32, (self.length,), generator=generator)
        images = self._images(torch.rand((), generator=generator, dtype=torch.float64))
        places = order[torch.arange(len(self) * self.world) % max(1, self.length)]
        if self.groups is not None:
            places = places[group_batches(self.groups[images[places]], self.batch_size * self.world, generator)]
        for place in places[self.rank :: self.world][self.start :].tolist():
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
