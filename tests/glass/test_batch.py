"""A batch of a training: the very one that it sees, its very losses and gradients, and the page that shows it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from PIL import Image
from torch.nn.utils import get_total_norm

from glass.detectors import DETECTORS, NEED_PROPOSALS
from glass.painted import six_pictures
from vedette.data.annotations import Dataset
from vedette.errors import InputError
from vedette.glass import batch as module
from vedette.glass.batch import SeenBatch, see_batch
from vedette.glass.batch_report import batch_numbers, write_batch_report
from vedette.glass.training import How
from vedette.train.around import Around
from vedette.train.batches import on_device
from vedette.train.epochs import Epochs
from vedette.train.recipe import Recipe
from vedette.train.run_file import Run
from vedette.train.step import TrainStep


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Six pictures."""
    return six_pictures(tmp_path)


def seen(data: Dataset, name: str, monkeypatch: pytest.MonkeyPatch, **recipe: Any) -> tuple[SeenBatch, Recipe]:
    """Of a tiny detector of that paper."""
    own = Recipe(
        **({"batch_size": 4, "precision": "fp32", "seed": 3, "freeze_stem": False, "max_zoom_out": 1.0} | recipe)
    )
    run = Run(model=name, config={}, classes=data.classes, data=(), val=None, metric="voc12", recipe=own, version="")
    monkeypatch.setattr(module, "model_of", lambda *_: DETECTORS[name]())
    return see_batch(run, Around(folder=Path("none"), device="cpu"), data), own


@pytest.mark.parametrize("name", DETECTORS)
def test_it_is_the_trainings_first_batch_with_its_losses(
    name: str, data: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if name in NEED_PROPOSALS:
        pytest.importorskip("cv2")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own, recipe = seen(data, name, monkeypatch)
    torch.manual_seed(recipe.seed)
    model = DETECTORS[name]()
    proposals = module._proposals(model, data)
    batch = next(Epochs(data, model.input_spec, replace(recipe, workers=0), 0, 1, proposals).of(0, 0))
    assert [picture.file for picture in own.pictures] == batch.files
    for row, picture in enumerate(own.pictures):
        _, height, width = picture.pixels.shape
        assert torch.equal(picture.pixels, batch.images[row, :, :height, :width])
        assert torch.equal(picture.target.boxes, batch.targets[row].boxes)
    step = TrainStep(model, model.input_spec).train()
    losses = step(*on_device(batch, torch.device("cpu")))
    assert own.losses == pytest.approx({term: float(loss.detach()) for term, loss in losses.items()}, rel=1e-4)
    torch.stack(list(losses.values())).sum().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert own.norm == pytest.approx(float(get_total_norm(gradients)), rel=1e-3)
    assert sum(own.shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["SSD", "RefineDet"])
def test_the_pictures_losses_are_the_batchs(name: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Σ over all pictures of what counts, over N of the whole batch."""
    own, _ = seen(data, name, monkeypatch)
    for number, head in enumerate(own.pictures[0].heads):
        heads = [picture.heads[number] for picture in own.pictures]
        positives = sum(int((one.matched >= 0).sum()) for one in heads)
        total = sum(float(one.loss[one.counts].sum()) for one in heads) / positives
        term = {"arm": "arm_class", "odm": "odm_class"}.get(head.name, "class")
        assert own.losses[term] == pytest.approx(total, rel=1e-4)


def test_a_stem_that_is_kept_has_no_gradient_and_another_batch_is_another(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = seen(data, "FPN", monkeypatch, freeze_stem=True)
    free, _ = seen(data, "FPN", monkeypatch, freeze_stem=False)
    assert 0 < own.frozen < own.parameters
    assert free.frozen == 0
    assert own.gradients["backbone"] < free.gradients["backbone"]
    other, _ = seen(data, "SSD", monkeypatch, seed=4)
    assert [picture.file for picture in other.pictures] != [picture.file for picture in own.pictures]


def test_four_steps_are_refused(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="four-step: each of its steps has batches of its own"):
        seen(data, "Faster R-CNN", monkeypatch, alternating=True)


def test_numbers_are_those_of_the_heads(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    own, _ = seen(data, "SSD", monkeypatch, batch_size=6)
    numbers = batch_numbers(own)
    (head,) = numbers["heads"]
    matched = torch.cat([picture.heads[0].matched for picture in own.pictures])
    how = torch.cat([picture.heads[0].how for picture in own.pictures])
    crowds = sum(int(p.target.ignore.sum()) for p in own.pictures if p.target.ignore is not None)
    assert head["objects"] == sum(len(p.target.labels) for p in own.pictures) - crowds
    assert head["by_threshold"] + head["as_best"] == int((matched >= 0).sum()) > 0
    assert head["as_best"] == int((how == How.AS_BEST).sum())
    assert head["background"] == 3 * int((matched >= 0).sum())  # mined: three for each that learns an object
    assert numbers["loss"] == pytest.approx(sum(own.losses.values()))
    assert head["hardest_background"] >= head["loss_of_background"]


def test_the_page_shows_each_picture_for_each_head(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, _ = seen(data, "RefineDet", monkeypatch)
    heard: list[tuple[int, int]] = []
    page = write_batch_report(tmp_path / "out", own, {"model": "<m>"}, lambda *count: heard.append(count))
    text = page.read_text(encoding="utf-8")
    shown = [unquote(file) for file in re.findall(r'<img src="([^"]+)"', text)]
    assert len(shown) == len(set(shown)) == 8
    assert all((page.parent / file).is_file() for file in shown)
    assert heard == [(done, 8) for done in range(1, 9)]
    assert "<m>" not in text
    assert "by threshold" in text
    assert "odm_class" in text
    with Image.open(page.parent / shown[0]) as picture:
        assert picture.size == (640, 640)
