"""What the tests of several papers share: a backbone for next to nothing, targets, and matching an anchor at a time."""

from collections.abc import Iterator, Mapping
from math import exp, log

import torch
from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET
from vedette.backbones.regions import RegionBackbone
from vedette.structures import Target


class TinyBackbone(nn.Module):
    """Maps at strides 8, 16, and 16 (as VGG-16's fc7) or 32."""

    channels = (8, 10, 12)
    normalization = IMAGENET

    def __init__(self, last_stride: int = 16) -> None:
        super().__init__()
        self.strides = (8, 16, last_stride)
        self.c8 = nn.Conv2d(3, 8, 8, stride=8)
        self.c16 = nn.Conv2d(8, 10, 2, stride=2)
        self.last = nn.Conv2d(10, 12, 3, stride=last_stride // 16, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = self.c8(x).relu()
        b = self.c16(a).relu()
        return a, b, self.last(b).relu()


def target(*rows: tuple[float, float, float, float, int], ignore: tuple[bool, ...] | None = None) -> Target:
    """Boxes and their labels, a row each."""
    boxes = torch.tensor([row[:4] for row in rows]).view(-1, 4)
    labels = torch.tensor([row[4] for row in rows], dtype=torch.int64)
    return Target(boxes, labels, None if ignore is None else torch.tensor(ignore))


def some_targets() -> list[Target]:
    """Of three images of 64 pixels: a crowded one with an ignored box, one without objects, one with a single box."""
    crowded = [
        (3.0, 5.0, 40.0, 42.0, 1),
        (4.0, 5.0, 41.0, 43.0, 2),
        (30.0, 30.0, 34.0, 33.0, 0),
        (0.0, 0.0, 64.0, 64.0, 2),
    ]
    return [target(*crowded, ignore=(False, False, False, True)), target(), target((10.0, 8.0, 50.0, 30.0, 0))]


def an_image() -> tuple[Tensor, Target]:
    """A red and a green box on 64 pixels, easy to learn."""
    image = torch.zeros(1, 3, 64, 64)
    image[:, 0, 8:40, 10:44], image[:, 1, 30:60, 36:62] = 2.0, 2.0
    return image, target((10.0, 8.0, 44.0, 40.0, 0), (36.0, 30.0, 62.0, 60.0, 2))


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, width) * max(0.0, height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inside / (areas - inside) if inside else 0.0


def match_one_by_one(anchors: list[list[float]], boxes: list[list[float]], ignore: list[bool]) -> list[int]:
    """Each anchor's box, -1 a negative, -2 ignored; then each box its best anchor, the best pair first."""
    ious = [[overlap(a, b) for a in anchors] for b in boxes]
    real = [g for g in range(len(boxes)) if not ignore[g]]
    found = [-1] * len(anchors)
    for i in range(len(anchors)):
        best = max(((ious[g][i], -g) for g in real), default=(0.0, 0))
        if best[0] >= 0.5:
            found[i] = -best[1]
        elif any(ious[g][i] >= 0.5 for g in range(len(boxes)) if ignore[g]):
            found[i] = -2
    given: dict[int, int] = {}
    for negative_iou, g, i in sorted((-ious[g][i], g, i) for g in real for i in range(len(anchors))):
        if -negative_iou > 1e-6 and g not in given and i not in given.values():
            given[g] = i
    for g, i in given.items():
        found[i] = g
    return found


class TinyRegions(RegionBackbone):
    """One map at stride 16 or a pyramid's five, and a layer on pieces of 3×3 of them."""

    pooled, top_channels = 3, 24
    normalization = IMAGENET

    def __init__(self, levels: int = 1) -> None:
        super().__init__()
        self.channels = (8,) * levels
        self.strides = (16,) if levels == 1 else tuple(4 * 2**level for level in range(levels))
        self.first = nn.Conv2d(3, 8, self.strides[0], stride=self.strides[0])
        self.layer = nn.Linear(8 * 3 * 3, 24)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = [self.first(x).relu()]
        while len(maps) < len(self.strides):
            maps.append(maps[-1][..., ::2, ::2])
        return tuple(maps)

    def top(self, pieces: Tensor) -> Tensor:
        vector: Tensor = self.layer(pieces.flatten(1))
        return vector.relu()

    def top_layers(self) -> Iterator[nn.Module]:
        yield self.layer

    def stem(self) -> Iterator[nn.Module]:
        yield self.first

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        raise NotImplementedError


def smooth_l1(difference: float, beta: float) -> float:
    """By hand."""
    size = abs(difference)
    return 0.5 * size**2 / beta if size < beta else size - 0.5 * beta


def encoded(box: list[float], reference: list[float], std: tuple[float, ...]) -> list[float]:
    """A box against a reference, by hand."""
    (bw, bh), (rw, rh) = ((b[2] - b[0], b[3] - b[1]) for b in (box, reference))
    shift = ((box[0] + box[2] - reference[0] - reference[2]) / 2, (box[1] + box[3] - reference[1] - reference[3]) / 2)
    return [x / s for x, s in zip((shift[0] / rw, shift[1] / rh, log(bw / rw), log(bh / rh)), std, strict=True)]


def cross_entropy(logits: list[float], label: int) -> float:
    """-log softmax."""
    highest = max(logits)
    return highest + log(sum(exp(x - highest) for x in logits)) - logits[label]


def multibox_loss_one_by_one(
    logits: Tensor, deltas: Tensor, anchors: Tensor, targets: list[Target], classes: list[list[int]], skip: Tensor
) -> tuple[float, float]:
    """Classification and box loss as SSD and RefineDet tell them, an anchor at a time; what is in `skip` is not mined.

    anchors (B, A, 4); classes: the logit of each object, background being 0.
    """
    class_sum = box_sum = 0.0
    total = 0
    for row, t in enumerate(targets):
        ignore = t.ignore.tolist() if t.ignore is not None else [False] * len(t.labels)
        matched = match_one_by_one(anchors[row].tolist(), t.boxes.tolist(), ignore)
        losses = []
        for i, g in enumerate(matched):
            losses.append(cross_entropy(logits[row, i].tolist(), classes[row][g] if g >= 0 else 0))
            if g >= 0:
                wanted = encoded(t.boxes[g].tolist(), anchors[row, i].tolist(), (0.1, 0.1, 0.2, 0.2))
                given = deltas[row, i].tolist()
                box_sum += sum(smooth_l1(a - b, 1.0) for a, b in zip(given, wanted, strict=True))
        positives = sum(g >= 0 for g in matched)
        total += positives
        minable = sorted((loss for i, loss in enumerate(losses) if matched[i] == -1 and not skip[row, i]), reverse=True)
        class_sum += sum(loss for loss, g in zip(losses, matched, strict=True) if g >= 0)
        class_sum += sum(minable[: max(3 * positives, 3)])
    return class_sum / max(1, total), box_sum / max(1, total)
