"""Classifiers without their classes: AlexNet and VGG-16 as torchvision has them, and timm's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import alexnet, vgg16

from vedette.backbones.alexnet import AlexNet
from vedette.backbones.backbone import Classifier
from vedette.backbones.timm_classifier import TimmClassifier
from vedette.backbones.vgg import VGG16Classifier
from vedette.errors import InputError
from vedette.weights.imagenet import load_imagenet


@pytest.mark.parametrize(
    ("ours", "theirs", "sizes"),
    [
        (AlexNet, alexnet, (224, 227, 63)),
        pytest.param(VGG16Classifier, vgg16, (224, 40), marks=pytest.mark.slow),  # half a gigabyte, twice
    ],
)
def test_torchvisions_weights_give_torchvisions_features(
    ours: Callable[[], Classifier], theirs: Callable[[], nn.Module], sizes: tuple[int, ...], tmp_path: Path
) -> None:
    whole, own = theirs().eval(), ours().eval()
    file = tmp_path / "classifier.safetensors"
    save_file(whole.state_dict(), file)
    load_imagenet(own, file)
    assert set(own.state_dict()) < set(whole.state_dict())
    for size in sizes:
        x = torch.rand(2, 3, size, size)
        with torch.no_grad():
            pool5, fc7 = own(x)
            assert torch.allclose(pool5, whole.avgpool(whole.features(x)).flatten(1), atol=1e-6)  # type: ignore[operator]
            assert torch.allclose(whole.classifier[-1](fc7), whole(x), atol=1e-5)  # type: ignore[index]
        assert pool5.shape == (2, own.pool5_width)
        assert fc7.shape == (2, own.fc7_width)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(InputError, match=r"these weights are not torchvision's AlexNet: features\.0\.weight has shape"):
        load_imagenet(AlexNet(), file)


def test_timms_last_map_is_pooled(tmp_path: Path) -> None:
    whole = timm.create_model("resnet10t").eval()
    file = tmp_path / "resnet10t.safetensors"
    save_file(whole.state_dict(), file)
    own = TimmClassifier("resnet10t").eval()
    load_imagenet(own, file)
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        last = whole.forward_features(x)
        pool5, fc7 = own(x)
    assert torch.allclose(fc7, last.mean((2, 3)), atol=1e-4)
    assert torch.allclose(pool5, last.flatten(1), atol=1e-4)  # 3 x 3 cells at 96 pixels
    assert (own.pool5_width, own.fc7_width) == (512 * 9, 512)
    assert own(torch.rand(1, 3, 224, 224)).pool5.shape == (1, 512 * 9)


@pytest.mark.parametrize("backbone", [AlexNet(), VGG16Classifier()])
def test_the_stem_ends_at_stride_4(backbone: Classifier) -> None:
    strides = [layer.stride for part in backbone.stem() for layer in part.modules() if hasattr(layer, "stride")]
    sides = [stride if isinstance(stride, int) else stride[0] for stride in strides]
    assert int(torch.tensor(sides).prod()) == 4
    assert any(isinstance(layer, nn.Conv2d) for part in backbone.stem() for layer in part.modules())


def test_dropout_is_for_training_alone() -> None:
    for network in (AlexNet(), VGG16Classifier()):
        x = torch.rand(1, 3, 64, 64)
        assert torch.equal(network.eval()(x).fc7, network(x).fc7)
        assert not torch.equal(network.train()(x).fc7, network(x).fc7)
