"""What an RPN proposes for every image of a data set, kept in a file so that a training on it can go on.

Shapes: `I` images, `P` proposals of one of them, `N` of all.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from vedette.data.loader import AnnotatedImages, Batch, eval_loader
from vedette.data.values import counted
from vedette.errors import InputError
from vedette.evaluate.recall import proposal_recall
from vedette.evaluate.truth import Truth
from vedette.infer.look import Look
from vedette.papers.faster_rcnn import FasterRCNN, Predictions
from vedette.structures import InputSpec
from vedette.train.checkpoint import removed_if_damaged, save_tensors


@torch.no_grad()
def rpn_proposals(
    detector: FasterRCNN,
    data: AnnotatedImages,
    spec: InputSpec,
    *,
    batch_size: int,
    workers: int,
    bf16: bool,
    progress: Callable[[int, int], None],
) -> list[Tensor]:
    """(P, 4) of each image, the best first, in the pixels of its annotated boxes: as many as training looks at.

    progress: called with the images done and all images, after each batch. Raises InputError for an image that cannot
    be read.
    """
    c, device = detector.config, next(detector.parameters()).device
    network = copy(detector).eval()
    network.config = replace(c, before_nms=(c.before_nms[0],) * 2, proposals=(c.proposals[0],) * 2)
    look = Look(network, spec, bf16).to(device)
    found: list[Tensor] = []
    batch: Batch
    for batch in eval_loader(data, spec, batch_size, workers):
        proposed: Predictions = look(batch.images.to(device), batch.shapes.to(device))
        scales = (batch.sizes / batch.shapes.flip(1)).repeat(1, 2)
        for boxes, scores, scale in zip(proposed.proposals.cpu(), proposed.scores.cpu(), scales, strict=True):
            found.append(boxes[scores > 0].float() * scale)
        progress(len(found), len(data))
    return found


def write_proposals(file: Path, found: Sequence[Tensor]) -> None:
    """One file for all images, whole or not at all: boxes (N, 4), and counts (I,) of them each image has."""
    counts = torch.tensor([len(boxes) for boxes in found])
    save_tensors(file, {"boxes": torch.cat(list(found)), "counts": counts})


def read_proposals(file: Path, images: int) -> list[Tensor]:
    """What `write_proposals` wrote.

    Raises InputError for a damaged file, which is removed so that a resumed run makes it again, and for one of another
    number of images.
    """
    with removed_if_damaged(file):
        stored = load_file(file)
        found = list(torch.split(stored["boxes"].view(-1, 4), stored["counts"].tolist()))
    if len(found) != images:
        raise InputError(
            f"{file}: has proposals of {counted(len(found), 'image')}, --data has {images}; give the run's own data"
        )
    return found


def recall_of(found: Sequence[Tensor], data: AnnotatedImages, best: int) -> float:
    """The share of the annotated boxes that one of their image's `best` first proposals covers with IoU ≥ 0.5."""
    rows = range(len(data))
    truths = [Truth.of(data.boxes(i), data.labels(i), data.difficult(i), data.crowd(i)) for i in rows]
    return float(proposal_recall(found, truths, (best,), (0.5,)))
