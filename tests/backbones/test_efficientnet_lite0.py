"""EfficientNet-Lite0 is timm's, layer for layer and value for value; TensorFlow's padding by hand."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.layers.padding import pad_same as pad_as_timm
from torch import nn

from vedette.backbones.efficientnet_lite0 import EfficientNetLite0, SameConv2d, pad_same
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid, freeze_norms

OF_STRIDES = {(8, 16, 32): (2, 3, 4), (4, 8, 16, 32): (1, 2, 3, 4), (8, 16): (2, 3), (32,): (4,)}


def of_timm(strides: tuple[int, ...]) -> Any:
    body: Any = timm.create_model(LITE0, features_only=True, out_indices=OF_STRIDES[strides])
    last = max(info["stage"] for info in body.feature_info.get_dicts())
    del body.blocks[last:]
    return body


@pytest.mark.parametrize("strides", OF_STRIDES)
@pytest.mark.parametrize("folded", [False, True])
def test_it_is_timms(strides: tuple[int, ...], folded: bool) -> None:
    torch.manual_seed(0)
    theirs, ours = of_timm(strides), EfficientNetLite0(strides)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert ours.channels == tuple(theirs.feature_info.channels())
    if folded:
        theirs, ours = freeze_norms(theirs), freeze_norms(ours)
        assert list(ours.state_dict()) == list(theirs.state_dict())
    else:
        theirs.train(), ours.train()
    images = torch.randn(2, 3, 97, 64)  # an odd side is padded unevenly
    for mine, other in zip(ours(images), theirs(images), strict=True):
        assert torch.equal(mine, other)
        assert mine.abs().max() > 0
    for name, value in theirs.state_dict().items():  # statistics too
        assert torch.equal(ours.state_dict()[name], value), name


def test_it_begins_as_timm_lets_it_begin() -> None:
    theirs, ours = of_timm((8, 16, 32)), EfficientNetLite0((8, 16, 32))
    for name, value in theirs.state_dict().items():
        if value.ndim == 4 and value.numel() > 2000:
            assert ours.state_dict()[name].std().item() == pytest.approx(value.std().item(), rel=0.1), name


def test_padding_by_hand() -> None:
    """Five pixels in steps of two make three: (3 - 1) · 2 + 3 - 5 = 2 are missing; of six, 1, right and below."""
    assert pad_same(torch.ones(1, 1, 5, 6), (3, 3), (2, 2)).shape == (1, 1, 7, 7)
    row = pad_same(torch.ones(1, 1, 1, 6), (1, 3), (1, 2))[0, 0, 0].tolist()
    assert row == [1, 1, 1, 1, 1, 1, 0]
    for height in range(1, 20):
        x = torch.randn(1, 2, height, 13)
        for kernel, stride in ((3, 2), (5, 2), (1, 2), (3, 1)):
            assert torch.equal(pad_same(x, (kernel,) * 2, (stride,) * 2), pad_as_timm(x, [kernel] * 2, [stride] * 2))
    assert SameConv2d(1, 1, 3, stride=2)(torch.ones(1, 1, 7, 8)).shape == (1, 1, 4, 4)


def test_it_has_no_other_maps() -> None:
    with pytest.raises(ValueError, match=r"has maps at strides \[2, 4, 8, 16, 32\]; these are \[8, 64\]"):
        TimmPyramid(LITE0, (8, 64))


def test_a_photograph_is_looked_at_without_timm_torchvision_and_the_compiler(tmp_path: Path) -> None:
    """Each takes longer to import than PyTorch: a detection at the command line took nine seconds, and now three."""
    import subprocess
    import sys

    program = (
        "import sys\n"
        "import torch\n"
        "from vedette.cli.main import run\n"
        "from importlib.resources import files\n"
        "photo = str(files('vedette') / 'assets' / 'demo' / 'chelsea.jpg')\n"
        f"code = run(['detect', photo, '--device', 'cpu', '--out', {str(tmp_path / 'found')!r}])\n"
        "slow = {'timm', 'torchvision', 'torch._dynamo', 'sympy', 'accelerate', 'matplotlib'} & sys.modules.keys()\n"
        "sys.exit(' '.join(slow) or code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
