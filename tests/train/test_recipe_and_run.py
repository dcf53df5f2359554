"""Recipes and run.json."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vedette.errors import InputError
from vedette.train.recipe import Elsewhere, Recipe, RecipeKind, without_pretraining
from vedette.train.recipes import FASTER_RCNN_TRAINING, M2DET_TRAINING, PLANS, SSD_TRAINING, recipe_for
from vedette.train.run_file import Run


def a_run() -> Run:
    return Run(
        model="refinedet320-lite0",
        config={"tcb": False},
        classes=("cat", "dog"),
        data=("photos",),
        val=None,
        metric="voc12",
        recipe=Recipe(epochs=3, lr=2e-3),
        version="0",
    )


def test_the_papers_recipe_sees_as_many_images_on_any_data() -> None:
    assert SSD_TRAINING.of("paper", 16_551).epochs == 232  # VOC 07+12: 120k steps of 32
    assert SSD_TRAINING.of("paper", 1_000).epochs == 3840
    recipe = SSD_TRAINING.of("paper", 16_551)
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.schedule) == ("sgd", 1e-3, 5e-4, "step")
    assert recipe.difficult == "train"
    coco = M2DET_TRAINING.of("paper", 117_266)
    assert (coco.epochs, coco.lr, coco.drops) == (150, 2e-3, (0.6, 0.8))
    assert coco.warmup * coco.epochs == pytest.approx(5)


def test_a_papers_recipe_scaled_to_the_data_keeps_its_rates_and_drops() -> None:
    whole, scaled = SSD_TRAINING.of("paper", 6504), SSD_TRAINING.of("scaled", 6504)
    assert (whole.epochs, scaled.epochs) == (590, 23)
    assert scaled.warmup == 0.03
    assert replace(scaled, epochs=590, warmup=whole.warmup) == whole
    assert M2DET_TRAINING.of("scaled", 6504).warmup == pytest.approx(5 / 150)


def test_an_update_of_faster_rcnn_sees_two_images() -> None:
    assert FASTER_RCNN_TRAINING.images == 140_000
    assert FASTER_RCNN_TRAINING.recipe.batch_size == 2
    recipe = recipe_for("faster-rcnn-vgg16", 5_000, "paper")
    assert (recipe.epochs, recipe.drops) == (28, (5 / 7,))


@pytest.mark.parametrize(
    ("name", "kind", "images", "batch_size", "drops"),
    [
        ("ssd300-vgg16", "paper", 120_000 * 32, 32, (8 / 12, 10 / 12)),
        ("ssd512-vgg16", "paper-voc12", 80_000 * 32, 32, (6 / 8,)),
        ("ssd300-lite0", "paper-coco", 400_000 * 32, 32, (0.7, 0.9)),
        ("refinedet320-vgg16", "paper-voc12", 240_000 * 32, 32, (4 / 6, 5 / 6)),
        ("refinedet320-resnet101", "paper-coco", 400_000 * 32, 32, (0.7, 0.9)),
        ("refinedet512-resnet101", "paper-coco", 540_000 * 20, 20, (40 / 54, 48 / 54)),
        ("refinedet512-resnet101", "paper", 120_000 * 32, 32, (8 / 12, 10 / 12)),
        ("rcnn-vgg16", "paper", 70_000 * 2, 2, (2 / 7, 4 / 7, 6 / 7)),
        ("sppnet-zf5", "paper", 300_000 * 2, 2, (5 / 6,)),
        ("fast-rcnn-vgg16", "paper", 40_000 * 2, 2, (3 / 4,)),
        ("retinanet-resnet50-fpn", "paper", 90_000 * 16, 16, (6 / 9, 8 / 9)),
    ],
)
def test_the_lengths_of_the_papers(
    name: str, kind: RecipeKind | Elsewhere, images: int, batch_size: int, drops: tuple[float, ...]
) -> None:
    recipe = recipe_for(name, 1000, kind)
    assert (recipe.epochs, recipe.batch_size) == (images // 1000, batch_size)
    assert recipe.drops == pytest.approx(drops)


def test_a_paper_without_a_length_on_other_data_says_who_has_one() -> None:
    with pytest.raises(InputError, match=r"--recipe paper-coco: the paper of rcnn-vgg16 .* these have: ssd300-vgg16"):
        recipe_for("rcnn-vgg16", 1, "paper-coco")


def test_what_the_authors_do_beside_lengths() -> None:
    paper = {plan.title: PLANS[plan].paper.recipe for plan in PLANS}
    of = {title.split(",")[0]: recipe for title, recipe in paper.items()}
    trains = {name for name, recipe in of.items() if recipe.difficult == "train"}
    assert trains == {"R-CNN", "SPPNet", "Fast R-CNN", "SSD", "RefineDet", "M2Det"}
    assert {name: recipe.head_lr for name, recipe in of.items() if recipe.head_lr != 1} == {"R-CNN": 10.0}
    assert {name for name, recipe in of.items() if recipe.one_rate} == {"M2Det"}
    assert {name for name, recipe in of.items() if recipe.warmup} == {"M2Det", "FPN", "RetinaNet"}
    assert SSD_TRAINING.of("scaled", 6504).warmup == 0.03


def test_from_scratch_nothing_is_frozen_and_the_warm_up_is_longer() -> None:
    recipe = without_pretraining(Recipe(warmup=0.04, lr=5e-4))
    assert (recipe.backbone_lr, recipe.freeze_stem, recipe.lr) == (1.0, False, 5e-4)
    assert recipe.warmup == pytest.approx(0.12)
    assert without_pretraining(Recipe(warmup=0.5)).warmup == 1.0


@pytest.mark.parametrize(("images", "epochs"), [(6504, 23), (100, 150), (100_000, 12)])
def test_epochs_scale_with_the_data(images: int, epochs: int) -> None:
    assert SSD_TRAINING.of("fine-tuning", images).epochs == epochs
    assert M2DET_TRAINING.of("scaled", images).epochs == epochs


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("ema", 1.0),
        ("clip_norm", -1.0),
        ("max_zoom_out", float("nan")),
        ("start_size", -64),
        ("start_share", 5.0),
        ("warmup", 1.5),
        ("seed", -1),
        ("seed", 2**70),
        ("workers", -1),
    ],
)
def test_what_cannot_be_is_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{setting} is {value}: give a number from"):
        Recipe(**{setting: value})  # type: ignore[arg-type]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    a_run().save(tmp_path)
    assert Run.read(tmp_path) == a_run()


def test_a_run_from_before_there_were_four_steps_has_none(tmp_path: Path) -> None:
    a_run().save(tmp_path)
    path = tmp_path / "run.json"
    stored = json.loads(path.read_text())
    del stored["recipe"]["alternating"]
    path.write_text(json.dumps(stored))
    assert Run.read(tmp_path) == a_run()
    replace(a_run(), recipe=replace(a_run().recipe, alternating=True)).save(tmp_path)
    assert Run.read(tmp_path).recipe.alternating


def test_no_run_and_a_damaged_one_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run is there"):
        Run.read(tmp_path)
    a_run().save(tmp_path)
    path = tmp_path / "run.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match=r"run\.json: cannot be read"):
        Run.read(tmp_path)
    stored = json.loads("{}")
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match="recipe"):
        Run.read(tmp_path)
