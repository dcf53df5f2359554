"""Equal scores among candidates, in an order that is no chance."""

from functools import partial

from torch import Tensor

from vedette.parts.detection import Pick, Picked


def first_of_equals(pick: Pick) -> Pick:
    """A pick in which equals come in the order of their rows, as regions that pool the same features are: topk leaves
    their order open, and which of two overlapping boxes stays would be chance.

    On the CPU, where exported files are held against the model: a GPU is spared the kernels.
    """
    return partial(by_row, pick)


def by_row(pick: Pick, scores: Tensor) -> Picked:
    """What is picked of scores (B, A, C)."""
    picked = pick(scores)
    if scores.device.type != "cpu":
        return picked
    runs = max(1, picked.runs)
    shape = (picked.scores.shape[0], runs, picked.scores.shape[1] // runs)
    pairs = (picked.rows * scores.shape[2] + picked.labels).reshape(shape)
    by_pair = pairs.argsort(-1)
    best, order = picked.scores.reshape(shape).gather(-1, by_pair).sort(dim=-1, descending=True, stable=True)
    pairs = pairs.gather(-1, by_pair).gather(-1, order).flatten(1)
    return Picked(best.flatten(1), pairs // scores.shape[2], pairs % scores.shape[2], picked.runs)
