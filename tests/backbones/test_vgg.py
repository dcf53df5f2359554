"""VGG-16: parity with torchvision's, fully connected layers by subsampling, shapes of both forms, L2 normalisation."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import vgg16, vgg16_bn

from vedette.backbones.vgg import VGG16


@pytest.fixture(scope="module")
def torchvisions() -> dict[str, Tensor]:
    """A state dict of torchvision's vgg16: He's scale in the convolutions, a cheap pattern in the fc layers."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg16(weights=None).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("bias"):
            weights[name] = torch.randn(shape, generator=generator) * 0.1
        elif name.startswith("features."):
            weights[name] = torch.randn(shape, generator=generator) * (2 / shape[1] / 9) ** 0.5
        else:
            rows, columns = torch.arange(shape[0]) * 31, torch.arange(shape[1]) * 7
            weights[name] = ((rows[:, None] + columns) % 1009).float() / 1009 - 0.5
    return weights


def test_maps_equal_torchvisions(torchvisions: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        theirs = vgg16(weights=None)
    features = theirs.features.to_empty(device="cpu")
    features.load_state_dict(
        {k.removeprefix("features."): v for k, v in torchvisions.items() if k.startswith("features.")}
    )
    ours, x = VGG16(), torch.randn(2, 3, 64, 96)
    ours.load_imagenet(torchvisions)
    with torch.no_grad():
        conv4_3, conv5_3, _ = ours(x)
        torch.testing.assert_close(conv4_3, features[:23](x))
        torch.testing.assert_close(conv5_3, features[:30](x))


def test_with_batch_norm_it_takes_torchvisions_vgg16_bn(torchvisions: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        theirs = vgg16_bn(weights=None)
    features = theirs.features.to_empty(device="cpu").eval()
    for tensor in features.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) * 0.1)
    ours, x = VGG16(train_norm=True).eval(), torch.randn(1, 3, 32, 64)
    weights = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    ours.load_imagenet(weights | {k: v for k, v in torchvisions.items() if k.startswith("classifier.")})
    with torch.no_grad():
        conv4_3, conv5_3, fc7 = ours(x)
        torch.testing.assert_close(conv4_3, features[:33](x))
        torch.testing.assert_close(conv5_3, features[:43](x))
    with pytest.raises(ValueError, match=r"features\.1\.weight"):  # a ReLU there, a norm here
        ours.load_imagenet(torchvisions)
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in ours.modules()) == 15
    assert fc7.shape == (1, 1024, 1, 2)


def test_fully_connected_layers_are_every_fourth_channel_and_every_third_cell(torchvisions: dict[str, Tensor]) -> None:
    net = VGG16()
    net.load_imagenet(torchvisions)
    fc6, fc7 = torchvisions["classifier.0.weight"], torchvisions["classifier.3.weight"]
    for o, c, i, j in ((0, 0, 0, 0), (1, 2, 1, 0), (5, 511, 0, 2), (1023, 300, 2, 2), (700, 1, 1, 2)):
        assert net.fc6.weight[o, c, i, j] == fc6[4 * o, c * 49 + 3 * i * 7 + 3 * j]
        assert net.fc6.bias[o] == torchvisions["classifier.0.bias"][4 * o]
        assert net.fc7.weight[o, c, 0, 0] == fc7[4 * o, 4 * c]
        assert net.fc7.bias[o] == torchvisions["classifier.3.bias"][4 * o]


def test_fc6_with_dilation_3_is_the_subsampled_layer(torchvisions: dict[str, Tensor]) -> None:
    """On a 7×7 map, with all weights but the kept ones at 0, the classifier's fc6 and ours agree in the middle cell."""
    net, x = VGG16(dilation=3), torch.rand(1, 512, 7, 7)
    net.load_imagenet(torchvisions)
    kept = torch.zeros(7, 7)
    kept[::3, ::3] = 1
    full = F.linear(
        (x * kept).flatten(1), torchvisions["classifier.0.weight"][::4], torchvisions["classifier.0.bias"][::4]
    )
    torch.testing.assert_close(net.fc6(x)[:, :, 3, 3], full, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("pool5_stride", "dilation", "size", "sides", "strides"),
    [
        (2, 3, 320, (40, 20, 10), (8, 16, 32)),
        (2, 3, 512, (64, 32, 16), (8, 16, 32)),
        (1, 6, 300, (38, 19, 19), (8, 16, 16)),
        (1, 6, 512, (64, 32, 32), (8, 16, 16)),
    ],
)
def test_shapes_and_strides_of_both_forms(
    pool5_stride: int, dilation: int, size: int, sides: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        net = VGG16(pool5_stride=pool5_stride, dilation=dilation)
        maps = net(torch.empty(2, 3, size, size))
    assert [tuple(m.shape) for m in maps] == [(2, c, s, s) for c, s in zip((512, 512, 1024), sides, strict=True)]
    assert net.strides == strides
    assert net.channels == (512, 512, 1024)
    assert net.fc6.dilation == net.fc6.padding == (dilation, dilation)


def test_pool5_of_ssd_is_3x3_with_stride_1() -> None:
    with torch.device("meta"):
        ssd, refinedet = VGG16(pool5_stride=1, dilation=6).pool5, VGG16().pool5
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert ssd(x).flatten().tolist() == [5, 6, 7, 7, 9, 10, 11, 11, 13, 14, 15, 15, 13, 14, 15, 15]
    assert refinedet(x).flatten().tolist() == [5, 7, 13, 15]
    assert refinedet(15 - x).flatten().tolist() == [15, 13, 7, 5]


def test_order_of_the_tensors_does_not_matter(torchvisions: dict[str, Tensor]) -> None:
    """safetensors sorts by name: features.10 before features.2."""
    net, other = VGG16(), VGG16()
    net.load_imagenet(torchvisions)
    other.load_imagenet(dict(sorted(torchvisions.items())))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["features.10.weight", "features.28.bias", "classifier.0.weight", "classifier.3.bias"])
def test_refuses_other_weights_naming_the_tensor(name: str, torchvisions: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        net = VGG16()
    with pytest.raises(ValueError, match=f"not torchvision's VGG-16: {name} is missing"):
        net.load_imagenet({k: v for k, v in torchvisions.items() if k != name})
    with pytest.raises(ValueError, match=rf"{name} has shape \(5, 5\), not \(\d+,"):
        net.load_imagenet(torchvisions | {name: torch.zeros(5, 5)})


def test_the_stem_is_the_first_two_stages() -> None:
    with torch.device("meta"):
        net = VGG16()
    stem = {p for module in net.stem() for p in module.parameters()}
    names = [name for name, p in net.named_parameters() if p in stem]
    assert names == [f"stages.{s}.{i}.{part}" for s in (0, 1) for i in (0, 2) for part in ("weight", "bias")]
