"""What a detector may ask of a backbone, and whether given weights are those that it takes."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypedDict

from torch import Tensor, nn


class Normalization(TypedDict):
    """How pixels are scaled before a backbone: the value of white, then (x - mean) / std per channel."""

    range: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET: Normalization = {"range": 1.0, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Backbone(nn.Module):
    """Images → maps, fine to coarse: map l has `channels[l]` channels, a cell for every `strides[l]` pixels."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    normalization: Normalization  # belongs to the weights that it starts from
    torchvision_name: str | None = None  # the classifier of torchvision whose weights it takes

    @property
    def pretrained(self) -> "Backbone":
        """The part that a classifier's weights are for; the whole, unless layers of its own stand around that."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W), normalised → maps (B, channels[l], H / strides[l], W / strides[l])."""

    @abstractmethod
    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""

    @abstractmethod
    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the state dict of the classifier; raises ValueError naming the tensors that do not fit."""


class Looks(NamedTuple):
    """What a classifier sees in N pictures."""

    pool5: Tensor  # (N, D): the last maps, pooled and flattened, so that they still know what lies where
    fc7: Tensor  # (N, F): the last layer before the classes


class Classifier(nn.Module):
    """An ImageNet classifier up to its classes, for detectors that look at each box by itself."""

    pool5_width: int  # D
    fc7_width: int  # F
    normalization: Normalization  # belongs to the weights that it starts from
    torchvision_name: str | None = None  # the classifier of torchvision whose weights it takes

    @property
    def pretrained(self) -> "Backbone | Classifier":
        """The part that a classifier's weights are for."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> Looks:
        """(N, 3, S, S), normalised → pool5 (N, D) and fc7 (N, F)."""

    @abstractmethod
    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""

    @abstractmethod
    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the state dict of the whole classifier; raises ValueError naming the tensors that do not fit."""


def check_fit(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], whose: str) -> None:
    """Raises ValueError naming the first tensor of `wanted` that `given` lacks or has in another shape."""
    for name, tensor in wanted.items():
        if name not in given:
            raise ValueError(f"these weights are not {whose}: {name} is missing")
        if given[name].shape != tensor.shape:
            shapes = f"{tuple(given[name].shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"these weights are not {whose}: {name} has shape {shapes}")


def take_weights(module: nn.Module, given: Mapping[str, Tensor], whose: str) -> None:
    """Copies into `module` the tensors of its own names; what else is given is left out.

    Raises ValueError as `check_fit`.
    """
    wanted = module.state_dict()
    check_fit(given, wanted, whose)
    module.load_state_dict({name: given[name] for name in wanted})
