"""What a run takes by itself of the size of its data and of its own length, where nothing else was chosen.

A recipe is written for thousands of images and tens of thousands of steps. On sixty images its batch makes one step an
epoch; in a run of twelve steps a rate that the paper reached after five hundred drives the weights out of all bounds.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from math import ceil, sqrt
from typing import Any

from vedette.data.values import counted
from vedette.train.processes import number_of_processes
from vedette.train.recipe import Recipe
from vedette.train.run_file import Run

STEPS_AN_EPOCH = 6  # at least, unless that takes batches smaller than
SMALLEST_BATCH = 4
ENOUGH_STEPS = 500  # for a detector to learn something; Detectron's rate rises for as many
LEAST_WARMUP = 100  # steps, but half of the run at most
EVALUATIONS = 30  # in a run, at most
CLIP_NORM = 10.0
LONGEST_AVERAGE = 1 / 8  # of the run's steps, over which an average of the weights goes back at most


def sized(recipe: Recipe, images: int, processes: int, chosen: Mapping[str, Any]) -> Recipe:
    """The recipe for so many images, shared by so many processes; the fields that were chosen stay as they are.

    Batch: smaller where an epoch would have fewer than six steps. Rate: see `rate_for`; SGD's is lower in a run of
    fewer than 500 steps too, by the square root of the share. Warm-up: 100 steps at least. Average: over an eighth of
    the steps at most. Evaluations: 30 at most. Gradients are clipped.
    """
    share = max(1, images // (STEPS_AN_EPOCH * processes))
    batch = min(recipe.batch_size, max(SMALLEST_BATCH, 1 << (share.bit_length() - 1)))
    own = replace(recipe, **({"batch_size": batch} | dict(chosen)))
    steps = steps_of(own, images, processes)
    short = sqrt(min(1.0, steps / ENOUGH_STEPS)) if own.optimizer == "sgd" else 1.0
    fitting = {
        "lr": rate_for(own, recipe, images, processes) * short,
        "warmup": max(own.warmup, min(0.5, LEAST_WARMUP / steps)),
        "ema": min(own.ema, max(0.0, 1 - 1 / (LONGEST_AVERAGE * steps))),
        "eval_every": max(own.eval_every, own.epochs // EVALUATIONS),
        "clip_norm": own.clip_norm or CLIP_NORM,
    }
    return replace(own, **(fitting | dict(chosen)))


def rate_for(recipe: Recipe, usual: Recipe, images: int, processes: int) -> float:
    """The usual recipe's rate for the images of a step of this one, which are no more than there are.

    In proportion with SGD (Goyal et al., 2017, section 2.1), by the square root with AdamW (Malladi et al., 2022).
    """
    ratio = min(images, recipe.batch_size * recipe.accumulate * processes) / usual.batch_size
    return usual.lr * (ratio if recipe.optimizer == "sgd" else sqrt(ratio))


def steps_of(recipe: Recipe, images: int, processes: int) -> int:
    """Optimizer steps of the whole run."""
    return recipe.epochs * max(1, ceil(images / (recipe.batch_size * processes)) // recipe.accumulate)


def notes_on(run: Run, usual: Recipe, chosen: Collection[str]) -> list[str]:
    """What a person should know of what the run takes by itself, and of a run too short to learn.

    usual: the recipe as it is written; chosen: fields of the recipe, and "init", that somebody chose.
    """
    notes, own = [], run.recipe
    steps = steps_of(own, run.images, number_of_processes())
    fitted = [field.name for field in fields(own) if field.name not in ("precision", *chosen)]
    other = [f"{name} {getattr(own, name):.3g}" for name in fitted if getattr(own, name) != getattr(usual, name)]
    if other:
        notes.append(f"for {counted(run.images, 'image')} and {counted(steps, 'step')}: {', '.join(other)}")
    if run.init is not None and "init" not in chosen:
        notes.append(f"begins with the bundled {run.init}; --backbone imagenet begins with ImageNet's weights alone")
    if steps < ENOUGH_STEPS // 2:
        longer = f"more --epochs (by default {usual.epochs})" if "epochs" in chosen else "more images, or more --epochs"
        smaller = ", or a smaller --batch-size" * (min(own.batch_size, run.images) > SMALLEST_BATCH)
        few = f"too few to learn much (this run has {counted(steps, 'step')}, {ENOUGH_STEPS} are a beginning)"
        notes.append(f"{few}: {longer}{smaller}")
    return notes
