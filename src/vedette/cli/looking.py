"""How `vedette detect` looks at pictures and what it keeps: tiles, classes, least scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from vedette.data.findings import shown
from vedette.data.values import named
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes, Tiles
    from vedette.infer.scores import Least

LARGE = 500_000_000  # pixels of a picture that is cut into tiles: Pillow else refuses those of more than 178 million


def read_tiles(side: int | None, overlap: float | None) -> Tiles | None:
    """What --tiles and --overlap say, and larger pictures than else are read; raises InputError for what cannot be."""
    from PIL import Image

    from vedette.infer.tiles import plan_tiles

    try:
        tiles = plan_tiles(side, overlap)
    except InputError as error:
        raise InputError(f"--{error}") from None
    if tiles is not None:
        Image.MAX_IMAGE_PIXELS = LARGE // 2  # half of what it refuses
    return tiles


def read_least(detector: Detector, score: float | None, classes: Sequence[str] | None) -> Least:
    """What --score and --classes say; says so where the weights' own scores are taken.

    Raises InputError for a class that there is not.
    """
    from vedette.infer.scores import least_scores, split_names

    if score is None:
        tell_thresholds(detector)
    return least_scores(detector, score, None if classes is None else split_names(classes, detector.classes or ()))


def tell_thresholds(detector: Detector) -> None:
    """Says so where the weights have scores of their own, which count because --score gives none."""
    if detector.thresholds is not None:
        typer.echo(f"note: {thresholds_line(detector)}; --score gives one for all", err=True)


def thresholds_line(detector: Detector) -> str:
    """The scores that the weights say for their classes, in a line."""
    thresholds = detector.thresholds or ()
    names = detector.classes or [f"class {label}" for label in range(len(thresholds))]
    each = [f"{name} {score:.2f}" for name, score in zip(names, thresholds, strict=True)]
    return shown(f"least scores are those chosen for the classes: {named(each)}")


def watched(passes: Passes, watch: Callable[[float], object]) -> Passes:
    """The same; where there are tiles, `watch` is told how many pictures of a batch are done, parts of one too."""
    return passes if passes.tiles is None else replace(passes, tiles=replace(passes.tiles, watch=watch))
