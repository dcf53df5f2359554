"""ResNet: parity with torchvision's, frozen batch norm, the stride's place, shapes, refused weights."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet as Theirs
from torchvision.models import resnet50, resnet101

from vedette.backbones.resnet import ResNet


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    """torchvision's ResNet-50 in eval, with batch norm statistics as after training."""
    net = resnet50(weights=None).eval()
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, base in ((module.running_mean, 0), (module.running_var, 1), (module.weight.data, 0.5)):
                tensor.copy_(base + torch.rand(tensor.shape, generator=generator) * 0.5)
            module.bias.data.copy_(torch.rand(module.bias.shape, generator=generator) * 0.2)
    return net


@pytest.fixture(scope="module")
def ours(theirs: Theirs) -> ResNet:
    net = ResNet(50)
    net.load_imagenet(theirs.state_dict())
    return net


def slow_maps(net: Theirs, x: Tensor) -> list[Tensor]:
    x = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))
    c3 = net.layer2(x)
    c4 = net.layer3(c3)
    return [c3, c4, net.layer4(c4)]


def test_maps_equal_torchvisions_in_eval_and_in_training(theirs: Theirs, ours: ResNet) -> None:
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = slow_maps(theirs, x)
        for net in (ours.eval(), ours.train()):  # the statistics are frozen
            for found, wanted in zip(net(x), expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_batch_norm_learns_when_asked_and_takes_the_same_weights(theirs: Theirs) -> None:
    net = ResNet(50, train_norm=True)
    net.load_imagenet(theirs.state_dict())
    assert {"bn1.weight", "layer4.0.downsample.1.bias"} <= {name for name, _ in net.named_parameters()}
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for found, wanted in zip(net.eval()(x), slow_maps(theirs, x), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_batch_norm_is_not_trained(ours: ResNet) -> None:
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours.modules())
    assert not any("bn" in name or "downsample.1" in name for name, _ in ours.named_parameters())


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("stride_in_1x1", [False, True])
@pytest.mark.parametrize("size", [320, 512])
def test_shapes_and_strides(depth: int, stride_in_1x1: bool, size: int) -> None:
    with torch.device("meta"):
        net = ResNet(depth, stride_in_1x1=stride_in_1x1)  # type: ignore[arg-type]
        maps = net(torch.empty(1, 3, size, size))
    assert (net.channels, net.strides) == ((512, 1024, 2048), (8, 16, 32))
    expected = [(1, c, size // s, size // s) for c, s in zip(net.channels, net.strides, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_layer3_may_keep_the_size(ours: ResNet, stride_in_1x1: bool) -> None:
    net = ResNet(50, stride_in_1x1=stride_in_1x1, layer3_stride=1)
    assert net.strides == (8, 8, 16)
    net.load_state_dict(ours.state_dict())  # the same tensors
    strides = [c.stride[0] for c in (net.layer3[0].conv1, net.layer3[0].conv2, net.layer3[0].downsample[0])]
    assert strides == [1, 1, 1]
    if not stride_in_1x1:
        maps, usual = net(torch.randn(1, 3, 64, 96)), ours(torch.randn(1, 3, 64, 96))
        assert [m.shape[2:] for m in maps] == [(8, 12), (8, 12), (4, 6)]
        assert [m.shape[1] for m in maps] == [m.shape[1] for m in usual]


def test_the_strides_place() -> None:
    with torch.device("meta"):
        for net, first, second in ((ResNet(50), 1, 2), (ResNet(50, stride_in_1x1=True), 2, 1)):
            for stage in (net.layer2, net.layer3, net.layer4):
                assert (stage[0].conv1.stride, stage[0].conv2.stride) == ((first, first), (second, second))
                assert {b.conv1.stride + b.conv2.stride for b in stage[1:]} == {(1, 1, 1, 1)}
            assert net.layer1[0].conv1.stride == net.layer1[0].conv2.stride == (1, 1)
            assert net.maxpool(torch.empty(1, 64, 160, 160)).shape[2:] == (80, 80)


def test_101_takes_torchvisions_101_alone() -> None:
    with torch.device("meta"):
        small, large, weights = ResNet(50), ResNet(101), resnet101(weights=None).state_dict()
    assert set(large.state_dict()) == {k for k in weights if not k.startswith("fc.") and not k.endswith("_tracked")}
    fewer = {name: tensor for name, tensor in weights.items() if "layer3.22." not in name}
    with pytest.raises(ValueError, match=r"not torchvision's ResNet-101: layer3\.22\.conv1\.weight is missing"):
        large.load_imagenet(fewer)
    wrong = weights | {"layer1.0.conv1.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"ResNet-50: layer1\.0\.conv1\.weight has shape \(1,\), not \(64, 64, 1, 1\)"):
        small.load_imagenet(wrong)


def test_the_stem_is_the_part_up_to_stride_4(ours: ResNet) -> None:
    stem = {p for module in ours.stem() for p in module.parameters()}
    rest = {name.split(".")[0] for name, p in ours.named_parameters() if p not in stem}
    assert {name.split(".")[0] for name, p in ours.named_parameters() if p in stem} == {"conv1", "layer1"}
    assert rest == {"layer2", "layer3", "layer4"}
