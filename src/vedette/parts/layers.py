"""The layers that papers add to a backbone, and how they start: convolutions, norm, residual blocks, heads.

Shapes: `L` levels of `C_l` channels, `K` anchors a cell, `A` anchors over all levels.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from vedette.ops.boxes import exact
from vedette.structures import HeadOutput

HEAD_CHANNELS = 1024  # of LevelBlocks: RefineDet's authors' code, ResNet-101


class BatchNorm(nn.BatchNorm2d):
    """Batch norm; on one image's 1×1 map, which has no statistics of its own, it uses the running ones."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        if x.shape[0] * x.shape[2] * x.shape[3] > 1:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def convolution(
    incoming: int, outgoing: int, kernel: int, stride: int = 1, padding: int | None = None, *, norm: bool = False
) -> nn.Module:
    """A convolution with a bias, or with batch norm; at stride 1 it keeps the size unless `padding` is given."""
    around = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(incoming, outgoing, kernel, stride, around, bias=not norm)
    return nn.Sequential(conv, BatchNorm(outgoing)) if norm else conv


class L2Norm(nn.Module):
    """Each cell's channels scaled to length 1, times a learned factor a channel (ParseNet; SSD, section 3.1)."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.normalize(exact(x), dim=1, eps=1e-10).to(x.dtype) * self.scale[:, None, None]


def map_norms(channels: Sequence[int], l2_norm: Sequence[float], map_rms: float) -> nn.ModuleList:
    """L2 norms of a backbone's first maps, whose scales begin at `l2_norm`; or of all, that root mean square at first.

    Raises ValueError for both at once, and for more scales than maps.
    """
    if map_rms and l2_norm:
        raise ValueError(f"l2_norm is {l2_norm}, map_rms {map_rms:g}: give one of them, and [] or 0 for the other")
    if len(l2_norm) > len(channels):
        raise ValueError(f"l2_norm is {l2_norm}: give numbers for {len(channels)} maps at most")
    scales = [map_rms * sqrt(n) for n in channels] if map_rms else l2_norm
    return nn.ModuleList(L2Norm(n, scale) for n, scale in zip(channels, scales, strict=False))


def residual(incoming: int, middle: int, outgoing: int, stride: int) -> nn.Module:
    """A block whose shortcut is a 1×1 convolution; the stride is in the 3×3, as torchvision has it."""
    from torchvision.models.resnet import Bottleneck  # takes longer to import than torch

    shortcut = nn.Sequential(nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False), BatchNorm(outgoing))
    block: nn.Module = Bottleneck(incoming, middle, stride=stride, downsample=shortcut, norm_layer=BatchNorm)
    return block


class LevelBlocks(nn.ModuleList):
    """What lies between each level's map and its heads: a residual block to 1024 channels, or nothing."""

    def __init__(self, channels: Sequence[int], deep: bool) -> None:
        blocks = (residual(n, 256, HEAD_CHANNELS, stride=1) if deep else nn.Identity() for n in channels)
        super().__init__(blocks)
        self.channels = [HEAD_CHANNELS] * len(channels) if deep else list(channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """L maps → as many, each through its own block."""
        return [block(x) for block, x in zip(self, maps, strict=True)]


class MultiboxHead(nn.Module):
    """One 3×3 convolution a level for the scores and one for the deltas of its anchors (SSD, section 2.1)."""

    def __init__(self, channels: Sequence[int], anchors_per_cell: Sequence[int], num_scores: int) -> None:
        super().__init__()
        self.num_scores = num_scores
        levels = list(zip(channels, anchors_per_cell, strict=True))
        self.logits = nn.ModuleList(nn.Conv2d(c, k * num_scores, 3, padding=1) for c, k in levels)
        self.deltas = nn.ModuleList(nn.Conv2d(c, k * 4, 3, padding=1) for c, k in levels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """L maps (B, C_l, H_l, W_l) → logits (B, A, num_scores), deltas (B, A, 4), in the order of the anchors."""
        logits = [per_anchor(conv(x), self.num_scores) for conv, x in zip(self.logits, features, strict=True)]
        deltas = [per_anchor(conv(x), 4) for conv, x in zip(self.deltas, features, strict=True)]
        return HeadOutput(torch.cat(logits, 1), torch.cat(deltas, 1))


def per_anchor(maps: Tensor, size: int) -> Tensor:
    """(B, K * size, H, W) → (B, H * W * K, size)."""
    batch, channels, height, width = maps.shape
    return maps.permute(0, 2, 3, 1).reshape(batch, height * width * (channels // size), size)


def initialize(modules: Iterable[nn.Module], kind: Literal["xavier", "gaussian", "kaiming"]) -> None:
    """Convolutions: xavier (SSD, section 3.1), Gaussian of standard deviation 0.01, or He et al.'s; biases 0.

    Not on the meta device, which has no values to fill, and imports PyTorch's compiler, for seconds, to find that out.
    """
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not layer.weight.is_meta:
            if kind == "xavier":
                nn.init.xavier_uniform_(layer.weight)
            elif kind == "kaiming":
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def start_even(layers: Iterable[nn.Module]) -> None:
    """Outputs that begin at 0: all classes alike in every anchor, a loss of ln (C + 1) each."""
    for layer in layers:
        nn.init.zeros_(layer.weight)  # type: ignore[arg-type]


def on_meta(module: nn.Module, x: Tensor) -> Any:
    """What a module gives for x (…) on the meta device: shapes, and nothing is computed."""
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return functional_call(module, {name: tensor.to("meta") for name, tensor in state.items()}, x)
