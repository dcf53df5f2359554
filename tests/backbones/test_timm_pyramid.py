"""timm's backbones: folded and frozen batch norm change nothing, names of both layouts, refused names and weights."""

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from vedette.backbones.timm_pyramid import LITE0, LITE0_NORMALIZATION, TimmPyramid

LEVELS = {LITE0: (2, 3, 4), "resnet18": (2, 3, 4), "convnext_atto": (1, 2, 3), "mixnet_s": (2, 3, 4)}


def classifier(name: str) -> nn.Module:
    """timm's own network with batch norm statistics as after training."""
    net = timm.create_model(name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(torch.randn(module.num_features) * 0.2)
            module.running_var.copy_(torch.rand(module.num_features) + 0.5)
            module.weight.data.copy_(torch.rand(module.num_features) + 0.5)
            module.bias.data.copy_(torch.randn(module.num_features) * 0.2)
    return net.eval()


@pytest.mark.parametrize("name", LEVELS)
def test_maps_equal_timms_in_eval_and_in_training(name: str) -> None:
    whole, ours = classifier(name), TimmPyramid(name)
    ours.load_imagenet(whole.state_dict())
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = whole.forward_intermediates(x, indices=LEVELS[name], intermediates_only=True)
        for net in (ours.eval(), ours.train()):
            for found, wanted in zip(net(x), expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert [tuple(m.shape) for m in ours(x)] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(ours.channels, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("name", LEVELS)
def test_fewer_strides_are_the_same_maps_without_the_layers_behind_them(name: str) -> None:
    whole, all_three, two = classifier(name), TimmPyramid(name), TimmPyramid(name, strides=(8, 16))
    for net in (all_three, two):
        net.load_imagenet(whole.state_dict())
    x = torch.randn(1, 3, 64, 64)
    for a, b in zip(two(x), all_three(x), strict=False):
        torch.testing.assert_close(a, b)
    assert (two.strides, two.channels) == ((8, 16), all_three.channels[:2])
    sum(m.sum() for m in two(x)).backward()
    assert [n for n, p in two.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", LEVELS)
def test_no_batch_norm_is_left_to_train(name: str) -> None:
    net = TimmPyramid(name)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.parametrize("name", [LITE0, "resnet18"])
def test_batch_norm_learns_when_asked_and_takes_the_same_weights(name: str) -> None:
    whole, net = classifier(name), TimmPyramid(name, train_norm=True)
    net.load_imagenet(whole.state_dict())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) > 10
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = whole.forward_intermediates(x, indices=LEVELS[name], intermediates_only=True)
        for found, wanted in zip(net.eval()(x), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_lite0_is_folded_whole_and_trains_the_weights_but_not_what_was_batch_norms_bias() -> None:
    net = TimmPyramid(LITE0)
    assert not any("norm" in type(module).__name__.lower() for module in net.modules())
    assert not any(isinstance(module, BatchNormAct2d) for module in net.modules())
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    sum(m.sum() for m in net(torch.randn(1, 3, 64, 64))).backward()
    assert all(c.weight.grad is not None for c in convolutions)
    assert all(c.bias is not None and c.bias.grad is None for c in convolutions)  # frozen, as in the other backbones
    assert (net.channels, net.strides, net.normalization) == ((40, 112, 320), (8, 16, 32), LITE0_NORMALIZATION)


def test_normalization_is_the_weights_own() -> None:
    assert LITE0_NORMALIZATION == {"range": 255.0, "mean": (127.0, 127.0, 127.0), "std": (128.0, 128.0, 128.0)}
    expected = {"range": 1.0, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    assert TimmPyramid("resnet18").normalization == expected


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (LITE0, ("body.conv_stem.", "body.blocks.0.", "body.blocks.1.")),
        ("convnext_atto", ("body.stem_0.", "body.stem_1.")),
        ("resnet18", ("body.conv1.", "body.bn1.")),
    ],
)
def test_the_stem_lies_before_stride_8(name: str, stem: tuple[str, ...]) -> None:
    net = TimmPyramid(name)
    early = {p for module in net.stem() for p in module.parameters()}
    assert early
    assert {n for n, p in net.named_parameters() if p in early} == {
        n for n, _ in net.named_parameters() if n.startswith(stem)
    }


def test_refuses_names_and_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"timm has no model 'resnet_18'"):
        TimmPyramid("resnet_18")
    with pytest.raises(ValueError, match=r"timm/vit_tiny_patch16_224 has maps at strides \[16.*needs \[8, 16, 32\]"):
        TimmPyramid("vit_tiny_patch16_224")


@pytest.mark.parametrize(
    ("name", "tensor"), [("resnet18", "layer2.0.conv1.weight"), ("convnext_atto", "stem.1.weight")]
)
def test_refuses_other_weights_naming_the_tensor(name: str, tensor: str) -> None:
    net, weights = TimmPyramid(name), timm.create_model(name).state_dict()
    before = [p.clone() for p in net.parameters()]
    missing = tensor.replace("stem.1", "stem_1")
    with pytest.raises(ValueError, match=f"not timm/{name}'s: {missing} is missing"):
        net.load_imagenet({k: v for k, v in weights.items() if k != tensor})
    with pytest.raises(ValueError, match=rf"not timm/{name}'s: {tensor} has shape \(5,\), not \("):
        net.load_imagenet(weights | {tensor: torch.zeros(5)})
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
