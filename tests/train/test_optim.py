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
