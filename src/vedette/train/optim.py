"""Optimizers and learning-rate schedules that scale with the data set."""

from collections.abc import Iterator, Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim.lr_scheduler import LambdaLR

from vedette.train.recipe import Recipe


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum 0.9, on the groups of `parameter_groups`.

    Both are fused: one kernel for all parameters, which does nothing where the attribute `found_inf` is 1.
    """
    groups = parameter_groups(model, recipe)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, fused=True)
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters of one rate and weight decay each; those that are frozen are in none, the last has the recipe's rate.

    What ImageNet trained learns at `backbone_lr` times the rate, the layers that depend on the classes at `head_lr`
    times. With SGD the biases of convolutions and linear layers follow Caffe's rule: twice the rate, no weight decay,
    which all else has. With AdamW nothing of one dimension decays. `one_rate` makes no such difference.
    """
    rates = {"backbone": recipe.backbone_lr, "classes": recipe.head_lr, "others": 1.0}
    backbone, classes, biases = set(_pretrained(model)), set(_of_classes(model, recipe)), set(_biases(model))
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            part = "backbone" if parameter in backbone else "classes" if parameter in classes else "others"
            held_back = parameter not in biases if recipe.optimizer == "sgd" else parameter.ndim > 1
            groups.setdefault((part, held_back or recipe.one_rate), []).append(parameter)
    doubled = 2.0 if recipe.optimizer == "sgd" else 1.0
    return [
        {
            "params": parameters,
            "lr": recipe.lr * rates[part] * (1.0 if held_back else doubled),
            "weight_decay": recipe.weight_decay if held_back else 0.0,
        }
        for (part, held_back), parameters in sorted(groups.items())
    ]


def _pretrained(model: Any) -> Iterator[nn.Parameter]:
    """Of the backbone, less what stands in it for the detector alone: an FPN, layers that look at regions."""
    backbone = getattr(model, "backbone", nn.Identity())
    yield from getattr(backbone, "pretrained", backbone).parameters()


def _of_classes(model: Any, recipe: Recipe) -> Iterator[nn.Parameter]:
    """What depends on the classes, where that has a rate of its own."""
    if recipe.head_lr != 1.0:
        yield from (own for name, own in model.named_parameters() if name.startswith(model.class_layers))


def _biases(model: nn.Module) -> Iterator[Tensor]:
    """Of convolutions and linear layers: scales and shifts of norms are none."""
    for layer in model.modules():
        if isinstance(layer, _ConvNd | nn.Linear) and layer.bias is not None:
            yield layer.bias


def freeze(model: nn.Module) -> None:
    """Keeps the backbone's layers up to stride 4 as they are, where it says which these are."""
    stem: Any = getattr(getattr(model, "backbone", None), "stem", tuple)
    for layer in stem():
        layer.requires_grad_(False)


def build_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LambdaLR:
    """The rate over `steps` optimizer steps: linear warm-up, then cosine to 1 %, or the recipe's drops."""
    warmup = max(1, round(recipe.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if recipe.schedule == "cosine":
            return _cosine((step - warmup) / max(1, steps - warmup))
        return 0.1 ** sum(step >= drop * steps for drop in recipe.drops)

    return LambdaLR(optimizer, factor)


def _cosine(share: float) -> float:
    return 0.01 + 0.99 * (1 + cos(pi * min(1.0, share))) / 2


def rates_of(optimizer: Any) -> list[tuple[float, float]]:
    """The peak rate and the weight decay of each group of parameters, as the recipe has them."""
    return [(group["initial_lr"], group["weight_decay"]) for group in optimizer.param_groups]


def set_rates(optimizer: Any, schedule: Any, chosen: Sequence[tuple[float, float]]) -> None:
    """The recipe's rates and weight decays instead of a checkpoint's: a resumed run may have others."""
    schedule.base_lrs = [rate for rate, _ in chosen]
    for group, (rate, decay) in zip(optimizer.param_groups, chosen, strict=True):
        now = schedule.lr_lambdas[0](schedule.last_epoch)
        group.update(initial_lr=rate, lr=rate * now, weight_decay=decay)


def go_to(optimizer: Any, schedule: Any, steps: int) -> None:
    """The rates as they are after so many steps."""
    schedule.last_epoch = steps
    set_rates(optimizer, schedule, rates_of(optimizer))
