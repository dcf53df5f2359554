"""Parts of a data set with the same shares of every class: iterative stratification.

Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011, algorithm 1. The rarest
class is dealt out first, each of its images to the part that still wants most of that class; what is left of the
others then evens out. Here groups of images are dealt out, large ones first, for a small one fits anywhere.

`N` groups, `C` classes, `P` parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def stratify(counts: Numbers, images: Numbers, shares: Sequence[float], seed: int = 0) -> Numbers:
    """(N,) the part of each group.

    counts: (N, C) how many of a group's images show each class; an image of no class needs one of its own. images: (N,)
    of each group. shares: (P,) of all images, of sum 1. What is equal is drawn by the seed.
    """
    random = np.random.default_rng(seed)
    wanted = np.outer(counts.sum(0), shares)  # (C, P) images that each part still wants of each class
    wanted_images = images.sum() * np.array(shares)  # (P,)
    part_of = np.full(len(counts), -1, dtype=np.int64)
    chance = random.permutation(len(counts))
    while len(classes := np.flatnonzero(counts[part_of < 0].sum(0))):
        left = counts[part_of < 0].sum(0)[classes]
        rarest = int(random.choice(classes[left == left.min()]))
        members = np.flatnonzero((part_of < 0) & (counts[:, rarest] > 0))
        for group in members[np.lexsort((chance[members], -images[members], -counts[members, rarest]))].tolist():
            part = _neediest(wanted[rarest], wanted_images, random)
            part_of[group] = part
            wanted[:, part] -= counts[group]
            wanted_images[part] -= images[group]
    return part_of


def _neediest(wanted: NDArray[np.float64], wanted_images: NDArray[np.float64], random: np.random.Generator) -> int:
    """The part that wants most of a class; of equal ones the one that wants most images, then any."""
    most = np.flatnonzero(np.isclose(wanted, wanted.max()))
    most = most[np.isclose(wanted_images[most], wanted_images[most].max())]
    return int(random.choice(most))
