"""How the layers start that no backbone brings trained."""

from collections.abc import Iterable
from typing import Literal

from torch import nn


def start_even(layers: Iterable[nn.Module]) -> None:
    """Outputs that begin at 0: all classes alike in every anchor, a loss of ln (C + 1) each."""
    for layer in layers:
        nn.init.zeros_(layer.weight)  # type: ignore[arg-type]


def initialize(modules: Iterable[nn.Module], kind: Literal["xavier", "gaussian", "kaiming"]) -> None:
    """Convolutions: xavier (SSD, section 3.1), Gaussian of standard deviation 0.01, or He et al.'s; biases 0."""
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            if kind == "xavier":
                nn.init.xavier_uniform_(layer.weight)
            elif kind == "kaiming":
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
