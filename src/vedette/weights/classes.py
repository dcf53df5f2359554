"""Class layers of a weight file for other classes: what is known of a class comes along by its name.

Shapes: `C` classes, `K` anchors of a cell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Layers that score C classes for each of K anchors; the others have rows for each class.
SCORES = ("logits", "head")


def take_classes(model: nn.Module, given: Mapping[str, Tensor], old: Sequence[str], new: Sequence[str]) -> None:
    """Copies the rows of the classes that are among `old` and `new`, and the background's, into the class layers.

    model: for the classes `new`; given: tensors for `old`, by our names.
    """
    pairs = [(old.index(name), new.index(name)) for name in new if name in old]
    own = model.state_dict()
    for beginning in model.class_layers if pairs else ():  # type: ignore[union-attr]
        scores = beginning.strip(".").rpartition(".")[2] in SCORES
        background = int(scores and not getattr(model, "classes_alone", False))
        ways = [(0, 0)] * background + [(background + a, background + b) for a, b in pairs]
        for name in own:
            if name.startswith(beginning) and own[name].ndim > 0:
                _copy(own[name], given[name], ways, background + len(new), background + len(old), dim=int(scores))
            elif name.startswith(beginning) and len(pairs) == len(new):
                own[name].copy_(given[name])  # what holds for all of them, such as that they were measured


@torch.no_grad()
def _copy(to: Tensor, source: Tensor, ways: Any, new: int, old: int, dim: int) -> None:
    """Rows from the first to the second of each of the ways; dim 0: classes × what is of each; 1: anchors × classes."""
    of_source, of_it = (torch.tensor(side) for side in zip(*ways, strict=True))
    apart = source.to(to).view(_apart(source, old, dim))
    to.view(_apart(to, new, dim)).index_copy_(dim, of_it, apart.index_select(dim, of_source))


def _apart(tensor: Tensor, scores: int, dim: int) -> list[int]:
    others = tensor.shape[0] // scores
    return [*((scores, others) if dim == 0 else (others, scores)), *tensor.shape[1:]]
