"""How pixels are scaled before a backbone; it belongs to the backbone's weights."""

from typing import TypedDict


class Normalization(TypedDict):
    """The fields of InputSpec that follow from the backbone: white's value, then (x - mean) / std per channel."""

    range: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET: Normalization = {"range": 1.0, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
