"""What a run takes by itself of the size of its data: numbers worked out by hand, and that what is chosen stays."""

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest

from vedette.errors import InputError
from vedette.train.defaults import notes_on, rate_for, sized, steps_of
from vedette.train.plan import Wanted, recipe_of
from vedette.train.recipe import Recipe
from vedette.train.recipes import FPN_TRAINING, recipe_for, start_for
from vedette.train.run_file import Run

FINE = Recipe(epochs=150)  # AdamW, batches of 32, 1e-3
PYRAMIDS = replace(FPN_TRAINING.recipe, epochs=1)  # SGD, batches of 16, 0.02


@pytest.mark.parametrize(
    ("images", "processes", "batch"),
    [
        (60, 1, 8),  # 60 / 6 = 10, of which 8 is a power of two: eight steps an epoch where 32 make two
        (48, 1, 8),
        (47, 1, 4),  # 47 / 6 = 7
        (5, 1, 4),  # no smaller
        (191, 1, 16),  # 31
        (192, 1, 32),
        (6504, 1, 32),  # the recipe's
        (60, 2, 4),  # each of two processes has five
    ],
)
def test_a_batch_leaves_six_steps_an_epoch(images: int, processes: int, batch: int) -> None:
    assert sized(FINE, images, processes, {}).batch_size == batch
    assert sized(replace(FINE, batch_size=2), images, processes, {}).batch_size == 2


def test_the_rate_follows_the_images_of_a_step() -> None:
    assert rate_for(replace(FINE, batch_size=8), FINE, 6504, 1) == pytest.approx(1e-3 / 2)  # √(8 / 32)
    assert rate_for(replace(FINE, batch_size=8, accumulate=2), FINE, 6504, 8) == pytest.approx(1e-3 * 2)
    assert rate_for(replace(PYRAMIDS, batch_size=4), PYRAMIDS, 6504, 1) == pytest.approx(0.005)
    assert rate_for(PYRAMIDS, PYRAMIDS, 6504, 2) == pytest.approx(0.04)
    assert rate_for(replace(FINE, batch_size=1000), FINE, 8, 1) == pytest.approx(1e-3 / 2)  # eight images are a step
    assert rate_for(replace(PYRAMIDS, batch_size=1000), PYRAMIDS, 4, 1) == pytest.approx(0.005)


def test_sixty_images() -> None:
    own = sized(FINE, 60, 1, {})
    assert steps_of(own, 60, 1) == 150 * 8
    assert own.lr == pytest.approx(5e-4)
    assert own.ema == pytest.approx(1 - 8 / 1200)
    assert own.warmup == pytest.approx(100 / 1200)
    assert (own.eval_every, own.clip_norm, own.epochs) == (5, 10.0, 150)


def test_a_run_of_thirteen_steps() -> None:
    """Of 16 images each, at the 0.02 that Detectron reaches after 500 steps: it exploded in the ninth."""
    own = sized(PYRAMIDS, 200, 1, {})
    assert steps_of(own, 200, 1) == 13
    assert own.lr == pytest.approx(0.02 * sqrt(13 / 500))
    assert (own.warmup, own.clip_norm, own.batch_size) == (0.5, 10.0, 16)


def test_thousands_of_images_have_the_recipe_as_it_is() -> None:
    recipe = recipe_for("refinedet320-lite0", 6504)
    assert sized(recipe, 6504, 1, {}) == recipe
    scaled = recipe_for("faster-rcnn-resnet50-fpn", 6504)
    assert sized(scaled, 6504, 1, {}) == replace(scaled, clip_norm=10.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 32), ("lr", 0.3), ("warmup", 0.0), ("ema", 0.9999), ("eval_every", 1), ("clip_norm", 0.0)],
)
def test_what_is_chosen_stays(name: str, value: Any) -> None:
    assert getattr(sized(replace(PYRAMIDS, epochs=200), 60, 1, {name: value}), name) == value


def test_papers_lengths_change_the_rate_alone_and_with_the_batch_alone() -> None:
    def of(**chosen: Any) -> Recipe:
        return recipe_of(Wanted(model="ssd300-vgg16", data=(), kind="paper", recipe=chosen), 60, "cpu")

    own, smaller = of(precision="fp32"), of(precision="fp32", batch_size=8)
    assert own == replace(recipe_for("ssd300-vgg16", 60, "paper"), precision="fp32")
    assert smaller == replace(own, batch_size=8, lr=1e-3 / 4)
    assert of(batch_size=8, lr=1e-3).lr == 1e-3


def test_every_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # of a scheduler's, without torchrun
    assert recipe_of(Wanted(model="ssd300-vgg16", data=(), kind="paper"), 6504, "cpu").lr == pytest.approx(1e-3)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert recipe_of(Wanted(model="ssd300-vgg16", data=(), kind="paper"), 6504, "cpu").lr == pytest.approx(4e-3)


def test_stages_are_measured_at_their_end() -> None:
    assert recipe_of(Wanted(model="rcnn-lite0", data=()), 60, "cpu").eval_every == 1
    assert recipe_of(Wanted(model="fast-rcnn-lite0", data=()), 60, "cpu").eval_every == 5


@pytest.mark.parametrize(
    ("model", "images", "config", "start"),
    [
        ("refinedet320-lite0", 60, {}, "refinedet320-lite0"),
        ("refinedet320-lite0", 60, {"image_size": 384}, "refinedet320-lite0"),
        ("refinedet320-lite0", 60, {"tcb_channels": 64}, None),  # other layers
        ("refinedet320-lite0", 2000, {}, None),
        ("ssd300-lite0", 60, {}, None),  # nothing is bundled for it
        ("refinedet320-timm/tf_efficientnet_lite0", 60, {}, None),
    ],
)
def test_few_images_begin_with_the_bundled_detector_where_its_layers_fit(
    model: str, images: int, config: dict[str, Any], start: str | None
) -> None:
    assert start_for(model, images, ("a", "b", "cat"), config) == start


def a_run(recipe: Recipe, images: int, init: str | None = None) -> Run:
    return Run(
        model="m",
        config={},
        classes=("a",),
        data=("d",),
        val=None,
        metric="voc12",
        recipe=recipe,
        version="0",
        images=images,
        init=init,
    )


def test_what_is_told() -> None:
    usual = replace(FINE, epochs=6)
    first, second, third = notes_on(a_run(sized(usual, 60, 1, {}), 60, "some-lite0"), usual, ["epochs"])
    assert first == "for 60 images and 48 steps: batch_size 8, lr 0.0005, warmup 0.5, ema 0.833"
    assert second.startswith("begins with the bundled some-lite0; --backbone imagenet ")
    assert third == (
        "too few to learn much (this run has 48 steps, 500 are a beginning): "
        "more --epochs (by default 6), or a smaller --batch-size"
    )
    usual = replace(FINE, epochs=150)
    alone = notes_on(a_run(sized(usual, 1, 1, {}), 1), usual, [])[-1]
    assert alone.endswith("(this run has 150 steps, 500 are a beginning): more images, or more --epochs")
    long = replace(FINE, epochs=23)
    assert notes_on(a_run(sized(long, 6504, 1, {}), 6504), long, []) == []
    assert notes_on(a_run(long, 6504, "own.safetensors"), long, ["init"]) == []


def test_a_field_that_there_is_not_is_told_and_not_put_aside() -> None:
    with pytest.raises(InputError, match="no field 'match_iuo'; did you mean match_iou"):
        start_for("refinedet320-lite0", 60, ("a",), {"match_iuo": 0.4})
