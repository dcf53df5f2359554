"""ZF-5: its maps, its normalisation, and weights that see blue first."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vedette.backbones.zf5 import ZF5, normalize_response
from vedette.errors import InputError
from vedette.weights.imagenet import load_imagenet


@pytest.mark.parametrize(("side", "cells"), [(224, 14), (240, 15), (480, 30), (33, 3)])
def test_conv5_is_at_stride_16(side: int, cells: int) -> None:
    with torch.device("meta"):
        (conv5,) = ZF5()(torch.empty(1, 3, side, 2 * side if side % 16 == 0 else side))
    assert conv5.shape[:3] == (1, 256, cells)


def test_parameters_by_hand() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in ZF5().parameters())
    convs = 96 * (3 * 49 + 1) + 256 * (96 * 25 + 1) + 384 * (256 * 9 + 1) + 384 * (384 * 9 + 1) + 256 * (384 * 9 + 1)
    assert count == convs


def slow_response(x: Tensor) -> Tensor:
    result = torch.empty_like(x)
    _, channels, rows, columns = x.shape
    for c in range(channels):
        for i in range(rows):
            for j in range(columns):
                total = 0.0
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        if 0 <= i + di < rows and 0 <= j + dj < columns:
                            total += float(x[0, c, i + di, j + dj]) ** 2
                result[0, c, i, j] = float(x[0, c, i, j]) / (1 + 5e-5 * total / 9) ** 0.75
    return result


def test_the_slow_loop_normalises_the_same() -> None:
    x = torch.randn(1, 2, 4, 5) * 300
    assert torch.allclose(normalize_response(x), slow_response(x), rtol=1e-5)


def test_weights_from_caffe_see_blue_first(tmp_path: Path) -> None:
    given = {name: torch.randn_like(tensor) for name, tensor in ZF5().state_dict().items()}
    torch.save(given | {"fc6.weight": torch.zeros(2, 2)}, tmp_path / "zf.pth")
    net = ZF5().eval()
    load_imagenet(net, tmp_path / "zf.pth")
    image = torch.randn(1, 3, 32, 32)
    plain = torch.nn.functional.conv2d(image.flip(1), given["conv1.weight"], given["conv1.bias"], stride=2, padding=3)
    assert torch.allclose(net.conv1(image), plain, atol=1e-4)
    assert torch.equal(net.conv5.weight, given["conv5.weight"])


def test_other_weights_are_one_line(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(96, 3, 11, 11)}, tmp_path / "alex.pth")
    with pytest.raises(InputError, match=r"not Caffe's ZF-5: conv1.weight has shape \(96, 3, 11, 11\)"):
        load_imagenet(ZF5(), tmp_path / "alex.pth")
    with pytest.raises(InputError, match="nobody hands out ZF5's; give the path of a file, or start at random"):
        load_imagenet(ZF5())


def test_the_stem_is_conv1() -> None:
    with torch.device("meta"):
        net = ZF5()
    assert list(net.stem()) == [net.conv1]
