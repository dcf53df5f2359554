"""What the epochs of a training are made of: which batches, in which size, from which of them on."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from vedette.data.loader import AnnotatedImages, Batch, Pictures, Proposals, train_loader
from vedette.data.sampler import repeat_factors
from vedette.errors import InputError
from vedette.structures import InputSpec
from vedette.train.recipe import Recipe


class Epochs:
    """A process's share of each epoch; `length` batches, the first of them the same whenever they are asked for.

    Raises InputError where an epoch does not fill a single step.
    """

    def __init__(
        self,
        data: AnnotatedImages,
        spec: InputSpec,
        recipe: Recipe,
        rank: int,
        world: int,
        proposals: Proposals | None,
        pictures: Pictures | None = None,
    ) -> None:
        self.data, self.spec, self.recipe, self.proposals, self.pictures = data, spec, recipe, proposals, pictures
        self.rank, self.world = rank, world
        self.factors = repeat_factors(data, recipe.repeat_below) if recipe.repeat_below else None
        self.loader, self.spec_of_loader = self._loader(spec), spec
        self.length = self._whole_steps(len(self.loader))

    @property
    def images(self) -> int:
        """How many of an epoch are this process's."""
        return len(self.loader.sampler)

    def images_at(self, batch: int) -> int:
        """How many images all processes together have seen of an epoch after so many batches."""
        return batch * self.recipe.batch_size * self.world

    def batch_at(self, images: int) -> int:
        """The batches that so many images are, in whole steps: with batches of another size, some come again."""
        batch = min(images // (self.recipe.batch_size * self.world), self.length)
        return batch - batch % self.recipe.accumulate

    def of(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from that one on; the loader is made anew where the images change their size."""
        spec = self._spec_of(epoch)
        if spec != self.spec_of_loader:
            self.loader, self.spec_of_loader = self._loader(spec), spec
        self.loader.sampler.set_epoch(epoch, start=start * self.recipe.batch_size)
        return islice(iter(self.loader), self.length - start)

    def _whole_steps(self, batches: int) -> int:
        """Batches that fill whole steps: gradients that are summed across epochs no checkpoint would hold."""
        accumulate = self.recipe.accumulate
        if batches < accumulate:
            has = f"{batches} {'batch' if batches == 1 else 'batches'}"
            raise InputError(f"accumulate is {accumulate}: an epoch has {has}; give no more than these")
        return batches - batches % accumulate

    def _spec_of(self, epoch: int) -> InputSpec:
        small = self.recipe.start_size and epoch < self.recipe.start_share * self.recipe.epochs
        return self.spec.at(self.recipe.start_size) if small else self.spec

    def _loader(self, spec: InputSpec) -> Any:
        recipe = self.recipe
        return train_loader(
            self.data,
            spec,
            recipe.batch_size,
            recipe.workers,
            recipe.seed,
            recipe.difficult,
            max_zoom_out=recipe.max_zoom_out,
            factors=self.factors,
            rank=self.rank,
            world=self.world,
            proposals=self.proposals,
            pictures=self.pictures,
        )
