"""torchvision's detectors on a pyramid: their old names, and what old files mean beside their tensors."""

import re
from collections.abc import Mapping

from torch import Tensor

EPSILON = 1e-5  # of our batch norm
# Layers that stand in a block of their own since torchvision 0.13
IN_THE_PYRAMID = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)")
IN_THE_RPN = re.compile(r"(rpn\.head\.conv)\.(weight|bias)")
IN_A_SUBNET = re.compile(r"(head\.\w+_head\.conv)\.([0246])\.(weight|bias)")  # a ReLU after each


def renamed(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The tensors by the names of torchvision 0.13 on, and whether they had the older ones.

    Older files are COCO's first weights, with which torchvision takes 0 for the epsilon of batch norm.
    """
    found = {_new_name(name): tensor for name, tensor in weights.items()}
    return found, set(found) != set(weights)


def less_epsilon(variance: Tensor) -> Tensor:
    """The variance that with our epsilon is what it was with none."""
    return variance - EPSILON


def _new_name(name: str) -> str:
    if match := IN_THE_PYRAMID.fullmatch(name):
        return f"{match[1]}.0.{match[2]}"
    if match := IN_THE_RPN.fullmatch(name):
        return f"{match[1]}.0.0.{match[2]}"
    if match := IN_A_SUBNET.fullmatch(name):
        return f"{match[1]}.{int(match[2]) // 2}.0.{match[3]}"
    return name
