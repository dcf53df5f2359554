"""Which layers stay in float32, so that a quantised detector loses no more average precision than is allowed."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from vedette.errors import InputError

GROUPS = 8  # that the layers are parted into, in the order of the graph

Measure = Callable[[Sequence[str]], float]  # average precision of the detector quantised but for these layers


def leave_out(
    layers: Sequence[str], measure: Measure, before: float, most: float, tell: Callable[[str], None]
) -> tuple[list[str], float]:
    """The layers to leave out, and the average precision then; what was measured last is that.

    Each group is left out alone, which ranks them; then together, the best first, until the loss is at most `most`: at
    most twice as many measurements as groups. Raises InputError where it is more with all groups but one left out.
    """
    after = measure(())
    tell(f"all layers in INT8: AP {after:.4f}, {before:.4f} in float32")
    if before - after <= most:
        return [], after
    groups = parted(layers, GROUPS)
    tell(f"that is {before - after:.4f} lost, {most:g} allowed: up to {2 * len(groups) - 1} measurements more")
    alone = []
    for group in groups:
        alone.append(measure(group))
        tell(f"without {_named(group)}: AP {alone[-1]:.4f}")
    ranked = sorted(range(len(groups)), key=lambda number: -alone[number])
    left: list[str] = []
    for number in ranked[:-1]:
        left += groups[number]
        after = measure(left)
        tell(f"without {_named(left)}: AP {after:.4f}")
        if before - after <= most:
            return left, after
    raise InputError(f"--max-drop {most:g}: INT8 loses {before - after:.4f} of AP whatever is left out; allow more")


def parted(layers: Sequence[str], count: int) -> list[Sequence[str]]:
    """In order, into `count` groups of nearly equal length, or fewer of one."""
    ends = [len(layers) * number // count for number in range(count + 1)]
    return [layers[start:end] for start, end in pairwise(ends) if end > start]


def _named(layers: Sequence[str]) -> str:
    return layers[0] if len(layers) == 1 else f"{layers[0]} and {len(layers) - 1} more"
