"""What counts as chance, for tests of odds."""

import math


def within_chance(count: int, draws: int, probability: float) -> bool:
    """Five standard deviations of the binomial distribution."""
    return abs(count - draws * probability) < 5 * math.sqrt(draws * probability * (1 - probability))
