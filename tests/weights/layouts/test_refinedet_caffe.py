"""The authors' .caffemodel files, against their networks written down once more, layer by layer, with Caffe's names.

The reference networks below ask for every blob by its Caffe name and shape, so they also make the weights.
"""

from math import prod, sqrt
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vedette.errors import InputError
from vedette.ops.images import Normalize
from vedette.papers.refinedet import RefineDet
from vedette.structures import InputSpec
from vedette.weights.layouts.checkpoint import check_fit
from vedette.weights.layouts.refinedet_caffe import convert
from vedette.zoo import build

FACTOR = 999.98  # what BatchNorm's sums are divided by
CLASSES = 3


class CaffeNet:
    """Layers that draw their blobs when they are first asked for."""

    def __init__(self) -> None:
        self.blobs: dict[str, Tensor] = {}

    def blob(self, name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        draw = np.random.RandomState(crc32(name.encode())).random_sample(min(prod(shape), 5077))
        values = np.resize(draw.astype(np.float32), shape) * (high - low) + low
        return self.blobs.setdefault(name, torch.from_numpy(values))

    def convolution(
        self, x: Tensor, name: str, out: int, size: int, stride: int = 1, dilation: int = 1, bias: bool = True
    ) -> Tensor:
        limit = sqrt(6 / (x.shape[1] * size * size))
        weight = self.blob(f"{name}[0]", (out, x.shape[1], size, size), -limit, limit)
        shift = self.blob(f"{name}[1]", (out,), -0.1, 0.1) if bias else None
        return F.conv2d(x, weight, shift, stride, padding=dilation * (size // 2), dilation=dilation)

    def deconvolution(self, x: Tensor, name: str, bias: bool) -> Tensor:
        limit = sqrt(6 / x.shape[1])
        weight = self.blob(f"{name}[0]", (x.shape[1], 256, 2, 2), -limit, limit)
        shift = self.blob(f"{name}[1]", (256,), -0.1, 0.1) if bias else None
        return F.conv_transpose2d(x, weight, shift, stride=2)

    def batch_norm(self, x: Tensor, norm: str, scale: str) -> Tensor:
        c = x.shape[1]
        mean = self.blob(f"{norm}[0]", (c,), -0.1 * FACTOR, 0.1 * FACTOR) / FACTOR
        variance = self.blob(f"{norm}[1]", (c,), 0.5 * FACTOR, 1.5 * FACTOR) / FACTOR
        self.blob(f"{norm}[2]", (1,), FACTOR, FACTOR)
        gain, shift = self.blob(f"{scale}[0]", (c,), 0.4, 0.8), self.blob(f"{scale}[1]", (c,), -0.1, 0.1)
        normalized = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return normalized * gain[:, None, None] + shift[:, None, None]

    def normalize(self, x: Tensor, name: str, value: float) -> Tensor:
        gain = self.blob(f"{name}[0]", (x.shape[1],), value - 1, value + 1)
        return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt() * gain[:, None, None]

    def residual(
        self, x: Tensor, block: str, widths: tuple[int, int], stride: int = 1, branch1: bool = False
    ) -> Tensor:
        def branch(x: Tensor, name: str, out: int, size: int, stride: int = 1) -> Tensor:
            x = self.convolution(x, f"res{block}_{name}", out, size, stride, bias=False)
            return self.batch_norm(x, f"bn{block}_{name}", f"scale{block}_{name}")

        shortcut = branch(x, "branch1", widths[1], 1, stride) if branch1 else x
        y = branch(x, "branch2a", widths[0], 1, stride).relu()
        y = branch(y, "branch2b", widths[0], 3).relu()
        return (shortcut + branch(y, "branch2c", widths[1], 1)).relu()

    def transfer(self, sources: list[Tensor], norm: bool) -> dict[str, Tensor]:
        """P6 to P3."""

        def layer(x: Tensor, name: str) -> Tensor:
            x = self.convolution(x, name, 256, 3, bias=not norm)
            return self.batch_norm(x, f"{name}_bn", f"{name}_scale") if norm else x

        maps: dict[str, Tensor] = {}
        for number, source in zip((6, 5, 4, 3), reversed(sources), strict=True):
            x = layer(layer(source, f"TL{number}_1").relu(), f"TL{number}_2")
            if number < 6:
                up = self.deconvolution(maps[f"P{number + 1}"], f"P{number + 1}-up", bias=not norm)
                if norm:
                    up = self.batch_norm(up, f"P{number + 1}-up_bn", f"P{number + 1}-up_scale")
                x = x + up
            maps[f"P{number}"] = layer(x.relu(), f"P{number}").relu()
        return dict(reversed(maps.items()))

    def heads(self, sources: dict[str, Tensor], classes: int, deep: bool) -> tuple[Tensor, Tensor]:
        """Scores and locations, in the order of Caffe's Permute and Concat."""
        scores, places = [], []
        if deep:
            sources = {
                f"res{name}_inter": self.residual(x, f"{name}_inter", (256, 1024), branch1=True)
                for name, x in sources.items()
            }
        for name, x in sources.items():
            place = self.convolution(x, f"{name}_mbox_loc", 12, 3)
            score = self.convolution(x, f"{name}_mbox_conf", 3 * classes, 3)
            places.append(place.permute(0, 2, 3, 1).reshape(len(x), -1, 4))
            scores.append(score.permute(0, 2, 3, 1).reshape(len(x), -1, classes))
        return torch.cat(scores, 1), torch.cat(places, 1)


def vgg16(net: CaffeNet, x: Tensor) -> tuple[Tensor, ...]:
    sources: dict[str, Tensor] = {}
    for stage, (count, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for i in range(1, count + 1):
            x = net.convolution(x, f"conv{stage}_{i}", width, 3).relu()
        if stage > 3:
            name = f"conv{stage}_3_norm"
            sources[name] = net.normalize(x, name, {4: 10, 5: 8}[stage])
        x = F.max_pool2d(x, 2)
    x = net.convolution(x, "fc6", 1024, 3, dilation=3).relu()
    sources["fc7"] = x = net.convolution(x, "fc7", 1024, 1).relu()
    x = net.convolution(x, "conv6_1", 256, 1).relu()
    sources["conv6_2"] = net.convolution(x, "conv6_2", 512, 3, stride=2).relu()
    maps = net.transfer(list(sources.values()), norm=False)
    return *net.heads(sources, 2, deep=False), *net.heads(maps, CLASSES + 1, deep=False)


def resnet101(net: CaffeNet, x: Tensor) -> tuple[Tensor, ...]:
    x = net.batch_norm(net.convolution(x, "conv1", 64, 7, stride=2, bias=False), "bn_conv1", "scale_conv1").relu()
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    sources: dict[str, Tensor] = {}
    for stage, (middle, repeats) in enumerate(((64, 0), (128, 3), (256, 22), (512, 0)), 2):
        width = 4 * middle
        x = net.residual(x, f"{stage}a", (middle, width), stride=1 if stage == 2 else 2, branch1=True)
        names = [f"{stage}b{i}" for i in range(1, repeats + 1)] or [f"{stage}b", f"{stage}c"]
        for name in names:
            x = net.residual(x, name, (middle, width))
        if stage > 2:
            sources[f"res{names[-1]}_relu"] = x
    sources["res6_relu"] = net.residual(x, "6", (128, 512), stride=2, branch1=True)
    maps = net.transfer(list(sources.values()), norm=True)
    return *net.heads(sources, 2, deep=True), *net.heads(maps, CLASSES + 1, deep=True)


def imported(blobs: dict[str, Tensor]) -> RefineDet:
    checkpoint = convert(blobs)
    name = "refinedet320-vgg16" if "vgg16" in checkpoint.models[0] else "refinedet320-resnet101"
    with torch.device("meta"):  # without the time that drawing weights takes
        model = build(name, num_classes=checkpoint.num_classes, **checkpoint.config).eval()
    check_fit(checkpoint, model.state_dict(), "the net", checkpoint.models[0])
    model.load_state_dict(checkpoint.tensors, assign=True)
    return model


@pytest.mark.parametrize("network", [vgg16, resnet101])
def test_raw_outputs_are_the_networks(network: object) -> None:
    images = torch.rand(1, 3, 128, 64) * 4 - 2
    net = CaffeNet()
    with torch.no_grad():
        expected = network(net, images)  # type: ignore[operator]
        model = imported(net.blobs)
        arm, odm, _ = model(images)
    for ours, theirs in zip((arm.logits, arm.deltas, odm.logits, odm.deltas), expected, strict=True):
        assert theirs.std() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert model.config.num_classes == CLASSES


def test_anchors_are_in_the_order_of_prior_box() -> None:
    vgg = convert({"fc7[0]": torch.zeros(1)})
    anchors = build("refinedet320-vgg16", num_classes=1, **vgg.config).anchors
    priors = []
    for step, size in ((8, 32), (16, 64), (32, 128), (64, 256)):
        for row in range(320 // step):
            for column in range(320 // step):
                x, y = (column + 0.5) * step, (row + 0.5) * step
                for ratio in (1, 2, 1 / 2):
                    w, h = size * sqrt(ratio), size / sqrt(ratio)
                    priors.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    torch.testing.assert_close(anchors, torch.tensor(priors))


def test_input_is_bgr_less_the_mean() -> None:
    fields = convert({"fc7[0]": torch.zeros(1)}).input
    pixel = torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1)  # red, green, blue
    values = Normalize(InputSpec(size=320, **fields))(pixel).flatten()
    assert values.tolist() == [50 - 104, 100 - 117, 200 - 123]
    assert fields["antialias"] is False


def test_biases_of_the_old_form_are_flat() -> None:
    checkpoint = convert({"fc7[1]": torch.arange(1024.0).view(1, 1, 1, 1024)})
    assert checkpoint.tensors["backbone.fc7.bias"].tolist() == list(range(1024))


def test_statistics_that_were_never_gathered_are_zero() -> None:
    sums, factor = torch.ones(64), torch.zeros(1)
    names = ("bn_conv1[0]", "bn_conv1[1]", "bn_conv1[2]", "res2a_branch1[0]")
    checkpoint = convert(dict(zip(names, (sums, sums, factor, torch.zeros(1)), strict=True)))
    assert checkpoint.tensors["backbone.bn1.running_var"].tolist() == [0] * 64


def test_a_net_that_does_not_fit_is_refused_by_the_names_of_its_layers() -> None:
    blobs = {"res2a_branch1[0]": torch.zeros(256, 64, 1, 1), "fc1000[0]": torch.zeros(1000, 2048)}
    checkpoint = convert(blobs)
    assert checkpoint.models == ("refinedet320-resnet101", "refinedet512-resnet101")
    with pytest.raises(InputError, match=r"^a net does not fit x: missing conv1\[0\]; .*; and \d+ more$"):
        check_fit(checkpoint, {}, "a net", "x")
    assert "unexpected fc1000[0]" in checkpoint.faults


def test_shapes_that_do_not_belong_together_are_a_fault() -> None:
    blobs = {f"P4-up_{name}": torch.ones(8) for name in ("bn[0]", "bn[1]", "bn[2]", "scale[0]", "scale[1]")}
    checkpoint = convert(blobs | {"P4-up[0]": torch.ones(256, 256, 2, 2), "res2a_branch1[0]": torch.zeros(1)})
    fault = next(fault for fault in checkpoint.faults if "belong together" in fault)
    assert fault.startswith("these shapes do not belong together: P4-up[0] (256, 256, 2, 2), P4-up_bn[1] (8,)")
