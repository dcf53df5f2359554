"""Parameter groups and schedules, by hand."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from vedette.train.optim import build_optimizer, build_schedule, parameter_groups
from vedette.train.recipe import Recipe
from vedette.zoo import build


def model() -> nn.Module:
    net = nn.Module()
    net.backbone, net.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
    return net


def rates(recipe: Recipe, steps: int) -> list[float]:
    optimizer = build_optimizer(model(), recipe)
    schedule = build_schedule(optimizer, recipe, steps)
    seen = []
    for _ in range(steps):
        seen.append(schedule.get_last_lr()[-1])
        optimizer.step()
        schedule.step()
    return seen


def test_groups_of_adamw() -> None:
    groups = parameter_groups(model(), Recipe(lr=1e-3, backbone_lr=0.3, weight_decay=0.02))
    found = {(round(g["lr"], 9), g["weight_decay"]): [p.ndim for p in g["params"]] for g in groups}
    assert found == {(1e-3, 0.02): [4], (1e-3, 0.0): [1], (3e-4, 0.02): [4], (3e-4, 0.0): [1]}


def test_new_layers_inside_a_backbone_learn_at_the_full_rate() -> None:
    model = build("faster-rcnn-timm/resnet18-fpn")
    slow = {id(p) for g in parameter_groups(model, Recipe(backbone_lr=0.3)) if g["lr"] < 1e-3 for p in g["params"]}
    assert slow == {id(p) for p in model.backbone.body.parameters() if p.requires_grad}
    assert not slow & {id(p) for p in (*model.backbone.pyramid.parameters(), *model.backbone.layers.parameters())}


def test_sgd_gives_biases_twice_the_rate_and_no_decay() -> None:
    recipe = Recipe(optimizer="sgd", lr=1e-3, backbone_lr=1.0, weight_decay=5e-4)
    groups = parameter_groups(model(), recipe)
    assert {(g["params"][0].ndim, g["lr"], g["weight_decay"]) for g in groups} == {(4, 1e-3, 5e-4), (1, 2e-3, 0.0)}


def kinds(model: nn.Module, recipe: Recipe) -> dict[str, tuple[float, float]]:
    """Each parameter's rate, in the recipe's, and weight decay."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, recipe)
    return {names[p]: (round(g["lr"] / recipe.lr, 9), g["weight_decay"]) for g in groups for p in g["params"]}


def test_caffes_rule_is_for_biases_of_convolutions_and_linear_layers_alone() -> None:
    net = nn.Module()
    net.conv, net.norm, net.up = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 2)
    net.line, net.scale = nn.Linear(4, 2), nn.Parameter(torch.ones(4))
    found = kinds(net, Recipe(optimizer="sgd", weight_decay=5e-4))
    assert {name for name, kind in found.items() if kind == (2.0, 0.0)} == {"conv.bias", "up.bias", "line.bias"}
    assert {name for name, kind in found.items() if kind == (1.0, 5e-4)} == {
        "conv.weight", "up.weight", "line.weight", "norm.weight", "norm.bias", "scale"
    }  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_one_rate_is_everythings(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, one_rate=True, backbone_lr=1.0, weight_decay=5e-4)  # type: ignore[arg-type]
    assert set(kinds(model(), recipe).values()) == {(1.0, 5e-4)}


def test_the_layers_of_the_classes_have_a_rate_of_their_own() -> None:
    net = build("ssd300-lite0")
    recipe = Recipe(optimizer="sgd", backbone_lr=1.0, head_lr=10.0)
    found = kinds(net, recipe)
    heads = {name for name in found if name.startswith("head.logits.")}
    assert {found[name][0] for name in heads if name.endswith("weight")} == {10.0}
    assert {found[name][0] for name in heads if name.endswith("bias")} == {20.0}
    assert {kind[0] for name, kind in found.items() if name not in heads} == {1.0, 2.0}
    assert parameter_groups(net, recipe)[-1]["lr"] == recipe.lr  # what a log calls the rate


def test_frozen_parameters_are_in_no_group() -> None:
    net = model()
    net.backbone.requires_grad_(False)
    groups = parameter_groups(net, Recipe())
    assert sum(len(g["params"]) for g in groups) == 2


def test_cosine_with_warm_up() -> None:
    seen = rates(Recipe(lr=1.0, warmup=0.1), 100)
    assert seen[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert seen[9] == pytest.approx(1.0)
    assert seen[55] == pytest.approx(0.01 + 0.99 / 2)  # half way between steps 10 and 100
    assert seen[-1] < 0.012
    assert all(a >= b for a, b in pairwise(seen[10:]))


def test_the_papers_two_drops() -> None:
    seen = rates(Recipe(optimizer="sgd", lr=1.0, schedule="step", warmup=0.01), 120)
    assert seen[0] == pytest.approx(1.0)
    assert seen[79] == pytest.approx(1.0)
    assert seen[80] == pytest.approx(0.1)
    assert seen[99] == pytest.approx(0.1)
    assert seen[100] == pytest.approx(0.01)
    assert torch.tensor(seen).min() == pytest.approx(0.01)


def test_drops_at_other_shares() -> None:
    seen = rates(Recipe(optimizer="sgd", lr=1.0, schedule="step", warmup=0.0, drops=(0.6, 0.8)), 10)
    assert seen == pytest.approx([1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
