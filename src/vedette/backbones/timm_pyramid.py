"""Any timm backbone as a pyramid of maps at strides 8, 16, 32 or some of these.

timm is imported where it is needed: that takes seconds, and EfficientNet-Lite0, which the bundled detector stands on,
is built without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vedette.backbones.backbone import Backbone, Normalization, check_fit
from vedette.backbones.depthwise import quicken_depthwise
from vedette.backbones.efficientnet_lite0 import EfficientNetLite0, SameConv2d

STRIDES = (8, 16, 32)
LITE0 = "tf_efficientnet_lite0"
LITE0_NORMALIZATION: Normalization = {"range": 255.0, "mean": (127.0,) * 3, "std": (128.0,) * 3}


class TimmPyramid(Backbone):
    """timm's `name` as a pyramid. `forward` gives one map for each of `strides`.

    Detection batches are too small for batch statistics, so batch norm is frozen. In the EfficientNets it is folded
    into the convolutions, which spares most of their memory traffic; the outputs are the same. With `train_norm`, for
    training from scratch, it stays what it is.

    Raises ValueError for a model that timm does not have, or without maps at these strides.
    """

    def __init__(self, name: str, strides: tuple[int, ...] = STRIDES, *, train_norm: bool = False) -> None:
        super().__init__()
        self.name, self.strides, self.train_norm = name, strides, train_norm
        body, self.channels = _create(name, strides)
        self.normalization = LITE0_NORMALIZATION if name == LITE0 else _normalization(name)
        self.body = self._prepared(body)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → maps (B, channels[l], H / strides[l], W / strides[l])."""
        return tuple(self.body(x))

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        body: Any = self.body
        if _is_efficientnet(body):
            yield body.conv_stem
            yield from list(body.blocks)[:2]
        else:
            yield from list(body.children())[:2]

    def load_imagenet(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Takes timm's state dict of the whole classifier, or timm's own pretrained weights (needs a network).

        Raises ValueError naming the first tensor that is missing or does not fit.
        """
        body = _create(self.name, self.strides)[0] if weights is not None else _timms(self.name, self.strides, True)[0]
        if weights is not None:
            wanted = {_whole_name(name, weights): name for name in body.state_dict() if not name.endswith("_tracked")}
            own = body.state_dict()
            check_fit(weights, {whole: own[name] for whole, name in wanted.items()}, f"timm/{self.name}'s")
            body.load_state_dict({name: weights[whole] for whole, name in wanted.items()}, strict=False)
        self.body.load_state_dict(self._prepared(body).state_dict())

    def _prepared(self, body: nn.Module) -> nn.Module:
        body = body if self.train_norm else freeze_norms(body)
        quicken_depthwise(body, _same_convolution(body))
        return body


def _whole_name(name: str, weights: Mapping[str, Tensor]) -> str:
    """The name in the whole classifier: where timm's pyramid flattens a sequence, its stem_0 is stem.0 there."""
    child, _, rest = name.partition(".")
    unflattened = f"{'.'.join(child.rsplit('_', 1))}.{rest}"
    return unflattened if unflattened in weights else name


def freeze_norms(body: nn.Module) -> nn.Module:
    """Batch norm folded into the convolution before it where the order of layers is known, else frozen."""
    for module in list(body.modules()) if _is_efficientnet(body) else ():
        for (_, conv), (name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and hasattr(norm, "act"):
                setattr(module, name, _fold(conv, norm))
    if isinstance(body, EfficientNetLite0):
        return body
    from timm.layers.norm_act import freeze_batch_norm_2d

    frozen: nn.Module = freeze_batch_norm_2d(body)  # type: ignore[no-untyped-call]
    return frozen


def _fold(conv: nn.Conv2d, norm: Any) -> nn.Module:
    """Moves the statistics and weights of `norm` into `conv`; what is left of `norm` is its activation.

    The new bias is frozen, as the norm would be.
    """
    if conv.weight.is_meta:  # where nothing is computed; to compute nothing imports PyTorch's compiler, for seconds
        conv.bias = nn.Parameter(norm.bias.detach(), requires_grad=norm.bias.requires_grad)
    else:
        statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
        conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
    activation: nn.Module = norm.act
    return activation


def _is_efficientnet(body: nn.Module) -> bool:
    """Whether each norm stands behind the convolution that it is of, and the stages are `blocks`."""
    if isinstance(body, EfficientNetLite0):
        return True
    from timm.models.efficientnet import EfficientNetFeatures

    return isinstance(body, EfficientNetFeatures)


def _same_convolution(body: nn.Module) -> type[nn.Conv2d]:
    """The class of convolutions that pad as TensorFlow does."""
    if isinstance(body, EfficientNetLite0):
        return SameConv2d
    from timm.layers.conv2d_same import Conv2dSame

    return Conv2dSame


def _normalization(name: str) -> Normalization:
    import timm

    settings: Any = timm.models.get_pretrained_cfg(name)
    return {"range": 1.0, "mean": settings.mean, "std": settings.std}


def _create(name: str, strides: tuple[int, ...]) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of that name, with random weights, and the channels of their maps."""
    if name == LITE0:
        body = EfficientNetLite0(strides)
        return body, body.channels
    return _timms(name, strides, pretrained=False)


def _timms(name: str, strides: tuple[int, ...], pretrained: bool) -> tuple[nn.Module, tuple[int, ...]]:
    import timm
    from timm.models.efficientnet import EfficientNetFeatures

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name[:8]}*")[:5])
        raise ValueError(f"timm has no model {name!r}" + (f"; close: {close}" if close else ""))
    probe: Any = timm.create_model(name, features_only=True)
    reductions: list[int] = probe.feature_info.reduction()
    if not set(strides) <= set(reductions):
        raise ValueError(f"timm/{name} has maps at strides {reductions}; a pyramid needs {list(strides)}")
    last = {stride: index for index, stride in enumerate(reductions)}
    indices = tuple(last[stride] for stride in strides)
    body: Any = timm.create_model(name, features_only=True, pretrained=pretrained, out_indices=indices)
    if isinstance(body, EfficientNetFeatures):  # the only ones that keep the layers behind the last map
        del body.blocks[max(info["stage"] for info in body.feature_info.get_dicts()) :]
    return body, tuple(body.feature_info.channels())
