"""Mean and deviation of Fast R-CNN's targets against a loop, and that a training measures them once."""

from math import sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import vedette
from papers.shared import encoded, overlap
from vedette.parts.box_coder import BoxCoder
from vedette.parts.class_coder import ClassCoder
from vedette.train.around import Around, unseen
from vedette.train.box_statistics import keep_boxes, measure_targets
from vedette.train.recipe import Recipe
from vedette.train.trainings import training_of
from vedette.weights.files import save_weights
from vedette.zoo import restore

STD = (0.1, 0.1, 0.2, 0.2)


class Boxes:
    """Three images of two objects and twenty proposals near them; each third object is difficult, one a crowd."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        low = 60 * torch.rand(3, 2, 2)
        self.all = torch.cat([low, low + 20 + 20 * torch.rand(3, 2, 2)], -1)
        self.near = self.all.repeat(1, 10, 1) + 6 * torch.randn(3, 20, 4)

    def __len__(self) -> int:
        return 3

    def boxes(self, index: int) -> Tensor:
        return self.all[index]

    def labels(self, index: int) -> Tensor:
        return torch.tensor([0, 1])

    def difficult(self, index: int) -> Tensor:
        return torch.tensor([index == 1, False])

    def crowd(self, index: int) -> Tensor:
        return torch.tensor([False, index == 2])


def measured(data: Any, classes: int, difficult: bool, near: Any = None) -> ClassCoder:
    coder = ClassCoder(classes, STD)
    given = (lambda index: data.near[index]) if near is None else near
    measure_targets(coder, data, given, least_iou=0.5, difficult=difficult, watch=unseen)
    return coder


@pytest.mark.parametrize("difficult", [True, False])
def test_they_are_the_loops(difficult: bool) -> None:
    data = Boxes()
    coder = measured(data, 2, difficult)
    seen: list[list[list[float]]] = [[], []]
    for index in range(3):
        pairs = zip(data.boxes(index).tolist(), data.difficult(index), data.crowd(index), [0, 1], strict=True)
        objects = [(box, label) for box, hard, crowd, label in pairs if not crowd and (difficult or not hard)]
        for region in [box for box, _ in objects] + data.near[index].tolist():
            best, label = max(objects, key=lambda one: overlap(one[0], region))
            if overlap(best, region) >= 0.5:
                deltas = encoded(best, region, (1, 1, 1, 1))
                seen[label] += [deltas, [-deltas[0], *deltas[1:]]]  # and of the mirrored picture
    for label, rows in enumerate(seen):
        assert len(rows) > 20
        for column, values in enumerate(zip(*rows, strict=True)):
            mean = sum(values) / len(values)
            std = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
            assert float(coder.mean[label, column]) == pytest.approx(mean, abs=1e-5)
            assert float(coder.std[label, column]) == pytest.approx(std, rel=1e-4)
    assert coder.mean[:, 0].abs().max() < 1e-6
    assert coder.measured


def test_a_class_that_nothing_tells_about_keeps_the_fixed_ones() -> None:
    absent = measured(Boxes(), 3, difficult=True)
    alone = measured(Boxes(), 2, difficult=True, near=lambda index: torch.zeros(0, 4))  # deltas of 0 all
    for coder, label in ((absent, 2), (alone, 0), (alone, 1)):
        torch.testing.assert_close(coder.std[label], torch.tensor(STD))
        assert not coder.mean[label].any()


def test_a_training_measures_once_and_a_weight_file_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.train.trainings.searched", lambda *given: Boxes().near)
    monkeypatch.setattr("vedette.train.trainings.Training", lambda *given, **ways: SimpleNamespace(model=given[0]))
    model: Any = vedette.build("fast-rcnn-lite0", num_classes=2)
    training_of(model, Boxes(), Recipe(difficult="train"), Around(folder=tmp_path, device="cpu"))  # type: ignore[arg-type]
    wanted = measured(Boxes(), 2, difficult=True)
    torch.testing.assert_close(model.coder.std, wanted.std)
    file = tmp_path / "one.safetensors"
    save_weights(file, model, name="fast-rcnn-lite0", classes=("a", "b"), input_spec=model.input_spec)
    same, other = restore(file)[0], restore(file, classes=("b", "c"))[0]
    torch.testing.assert_close(same.coder.mean, wanted.mean)
    assert same.coder.measured
    assert not other.coder.measured
    same.coder.std.fill_(1)
    training_of(same, Boxes(), Recipe(), Around(folder=tmp_path, device="cpu"))  # type: ignore[arg-type]
    assert bool((same.coder.std == 1).all())  # what its layers learnt to undo


def test_a_file_of_before_has_fixed_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"statistics": "fixed", "candidates_of": "image", "candidates": 2000, "keep": 100}
    model: Any = vedette.build("fast-rcnn-lite0", num_classes=2, **fields)
    config = {name: value for name, value in vars(model.config).items() if name not in ("statistics", "candidates_of")}
    monkeypatch.setattr("vedette.weights.files.FORMAT_VERSION", 1)
    file = tmp_path / "one.safetensors"
    save_weights(file, model, name="fast-rcnn-lite0", classes=None, input_spec=model.input_spec, config=config)
    found: Any = restore(file)[0]
    assert isinstance(found.coder, BoxCoder)
    assert found.config == model.config


def test_boxes_of_known_classes_stay_where_they_are_measured_anew() -> None:
    coder, layer, x = ClassCoder(3, (0.1, 0.1, 0.2, 0.2)), torch.nn.Linear(5, 12), torch.randn(7, 5)
    coder.mean[:2], coder.std[:2] = torch.randn(2, 4), torch.rand(2, 4) + 0.1
    mean, std = coder.mean.clone(), coder.std.clone()
    before = layer(x).view(7, 3, 4) * std + mean
    new = layer(x).view(7, 3, 4)[:, 2].clone()
    coder.mean[:], coder.std[:] = torch.randn(3, 4), torch.rand(3, 4) + 0.1
    keep_boxes(layer, coder, mean, std)
    after = layer(x).view(7, 3, 4)
    torch.testing.assert_close((after * coder.std + coder.mean)[:, :2], before[:, :2])
    assert torch.equal(after[:, 2], new)
