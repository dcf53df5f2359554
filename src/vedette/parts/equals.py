"""Equal scores among candidates, in an order that is no chance."""

from torch import Tensor

from vedette.parts.detection import Pick, Picked


def first_of_equals(pick: Pick) -> Pick:
    """A pick in which equals come in the order of their rows, as regions that pool the same features are: topk leaves
    their order open, and which of two overlapping boxes stays would be chance.
    """

    def ordered(scores: Tensor) -> Picked:
        picked = pick(scores)
        shape = (picked.scores.shape[0], max(1, picked.runs), -1)
        pairs = (picked.rows * scores.shape[2] + picked.labels).reshape(shape)
        by_row = pairs.argsort(-1)
        best, order = picked.scores.reshape(shape).gather(-1, by_row).sort(dim=-1, descending=True, stable=True)
        pairs = pairs.gather(-1, by_row).gather(-1, order).flatten(1)
        return Picked(best.flatten(1), pairs // scores.shape[2], pairs % scores.shape[2], picked.runs)

    return ordered
