"""What Fast R-CNN's box targets are normalised by: mean and standard deviation of each class, over the training data.

Fast R-CNN, section 2.3, as the authors' code measures them: of all regions that overlap an object enough, the objects
themselves and the mirrored pictures among them. Deltas do not depend on the size of the picture, so no picture is read.

Shapes: `N` regions of an image, `R` of them that are objects, `C` classes.
"""

import torch
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Proposals
from vedette.ops.boxes import iou
from vedette.parts.class_coder import PLAIN, ClassCoder
from vedette.train.progress import Watch

MIRRORED = (-1.0, 1.0, 1.0, 1.0)  # what becomes of a delta in the mirrored picture
LEAST_STD = 1e-3  # below it there is nothing to divide by: one region, or the objects alone


def measure_targets(
    coder: ClassCoder, data: AnnotatedImages, proposals: Proposals, *, least_iou: float, difficult: bool, watch: Watch
) -> None:
    """Fills a coder's statistics; a class that too few regions tell about keeps what it has.

    least_iou: of a region that counts as an object. difficult: whether difficult objects are trained on.
    """
    count, total, squares = (torch.zeros(len(coder.mean), width, dtype=torch.float64) for width in (1, 4, 4))
    with watch(len(data), "images") as bar:
        for index in range(len(data)):
            labels, deltas = _targets(data, index, proposals(index), least_iou, difficult)
            count.index_add_(0, labels, count.new_ones(len(labels), 1))
            total.index_add_(0, labels, deltas)
            squares.index_add_(0, labels, deltas.square())
            bar.reach(index + 1, len(data))
    mean = total / count.clamp(min=1)
    std = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
    mean, std = mean.float(), std.float()
    known = (std > LEAST_STD).all(1, keepdim=True)
    coder.mean.copy_(torch.where(known, mean, coder.mean))
    coder.std.copy_(torch.where(known, std, coder.std))
    coder.measured.fill_(True)


def _targets(
    data: AnnotatedImages, index: int, proposals: Tensor, least_iou: float, difficult: bool
) -> tuple[Tensor, Tensor]:
    """(2 R,) classes and (2 R, 4) deltas of an image's regions that are objects, and of their mirror images."""
    counts = ~data.crowd(index) if difficult else ~(data.crowd(index) | data.difficult(index))
    objects, labels = data.boxes(index)[counts], data.labels(index)[counts]
    if not len(objects):
        return labels, objects.double()
    objects, regions = objects.double(), torch.cat([objects, proposals]).double()
    best, matched = iou(regions, objects).max(1)
    near = best >= least_iou
    deltas = PLAIN.encode(objects[matched[near]], regions[near])
    return labels[matched[near]].repeat(2), torch.cat([deltas, deltas * deltas.new_tensor(MIRRORED)])


@torch.no_grad()
def keep_boxes(layer: nn.Linear, coder: ClassCoder, mean: Tensor, std: Tensor) -> None:
    """Lets a layer that gave a class's deltas by these means and deviations (C, 4) give the same boxes by the coder's.

    A class without a mean was never measured: its rows are new, and stay.
    """
    known = (mean != 0).any(1).to(layer.weight.device)
    scale, shift = (std / coder.std).to(layer.weight), ((mean - coder.mean) / coder.std).to(layer.weight)
    weight, bias = layer.weight.view(len(known), 4, -1), layer.bias.view(len(known), 4)
    weight[known] *= scale[known, :, None]
    bias[known] = bias[known] * scale[known] + shift[known]
