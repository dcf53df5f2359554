"""A weight file with scores for its classes: another header before the same tensors, bit for bit."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

from vedette.data.atomic import write_whole
from vedette.weights.files import read_weights
from vedette.weights.header import THRESHOLDS
from vedette.weights.sealed import sealed


def write_thresholds(source: str | Path, out: str | Path, thresholds: Sequence[float]) -> None:
    """Writes the weight file `source` as `out`, which may be the same file, with a score for each of the C classes.

    Whole, or not at all. The version of the format stays, for what an older file's fields mean goes by it. Raises
    InputError for what is no weight file, ValueError for another number of scores than classes or such beyond 0 and 1.
    """
    weights = read_weights(source)
    scores = [float(one) for one in thresholds]
    if weights.classes is None or len(scores) != len(weights.classes) or not all(0 <= one <= 1 for one in scores):
        raise ValueError(f"{source}: {scores} are no scores from 0 to 1, one for each of its classes")
    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
    content = sealed(weights.tensors, metadata | {THRESHOLDS: json.dumps(scores)})
    write_whole(Path(out), lambda file: file.write(content))
