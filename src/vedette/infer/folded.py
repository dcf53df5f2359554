"""A network with its batch norms folded into the convolutions before them: the same function in fewer passes.

A norm in evaluation is y = (x - mean) g + b with g = weight / √(variance + ε): a factor and a sum a channel, which a
convolution before it can do by itself, with g times its weights and (its bias - mean) g + b as its bias.
"""

from copy import deepcopy
from itertools import chain, pairwise

import torch
from torch import nn

from vedette.backbones.resnet import FrozenNorm, ResNet

NORMS = (nn.BatchNorm2d, FrozenNorm)
IN_TURN = (nn.Sequential, ResNet)  # whose norms stand behind the convolution that they are of
BLOCKS = ("BasicBlock", "Bottleneck")  # the same, of torchvision, whose import takes longer than torch's


def without_norms(model: nn.Module) -> nn.Module:
    """A twin of a model to detect with, in evaluation mode, without batch norms that stand behind a convolution.

    The model stays as it is, and the twin shares every other tensor with it. Its folded weights are those of now: a
    model that is changed afterwards needs another twin. Norms elsewhere, and in kinds of modules unknown here, stay;
    an EfficientNet's are folded when it is built.
    """
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    twin = deepcopy(model, shared).eval()  # a memo: what has such an id is not copied
    for module in list(twin.modules()):
        if isinstance(module, IN_TURN) or type(module).__name__ in BLOCKS:
            for (_, conv), (name, norm) in pairwise(list(module.named_children())):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, NORMS):
                    fold(conv, norm)
                    setattr(module, name, getattr(norm, "act", nn.Identity()))
    return twin


@torch.no_grad()
def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d | FrozenNorm) -> None:
    """Gives a convolution weights and a bias of its own, of which the norm is a part."""
    mean, variance, weight, bias = (
        getattr(norm, name).double() for name in ("running_mean", "running_var", "weight", "bias")
    )
    factor = weight / torch.sqrt(variance + norm.eps)
    before = 0.0 if conv.bias is None else conv.bias.double()
    weights = (conv.weight.double() * factor[:, None, None, None]).to(conv.weight.dtype)
    conv.weight = nn.Parameter(weights.contiguous(memory_format=torch.channels_last), requires_grad=False)
    conv.bias = nn.Parameter((bias + (before - mean) * factor).to(weights.dtype), requires_grad=False)
