"""Proposals of selective search for a training, in one process or several."""

from typing import Any

from torch import Tensor

from vedette.data.loader import AnnotatedImages
from vedette.data.selective_search import proposals_of
from vedette.train.around import Around
from vedette.train.processes import meet, own_share
from vedette.train.recipe import Recipe


def searched(config: Any, data: AnnotatedImages, recipe: Recipe, around: Around) -> list[Tensor]:
    """Those of every image, as a model's config wants them: each process looks for its share, the rest is cached then.

    Raises InputError as `proposals_of` does.
    """
    own = own_share(len(data))
    how = {"mode": config.search, "limit": config.proposals, "workers": recipe.workers}
    with around.count(len(own), "images") as bar:
        found = proposals_of(data, **how, indices=own, progress=bar.reach)
    if own.step == 1:
        return found
    meet()
    with around.count(len(data), "images") as bar:
        return proposals_of(data, **how, progress=bar.reach)
