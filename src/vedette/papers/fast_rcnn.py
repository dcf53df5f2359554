"""Fast R-CNN: one network that looks once at the image and then at each proposal, trained in one stage.

Girshick. "Fast R-CNN." ICCV 2015. arXiv:1504.08083

Where the paper is in this file
    Architecture (fig. 1) ........................ FastRCNN.forward, FastRCNN.look_at
    RoI pooling layer (sec. 2.1) ................. RegionPool
    Two sibling outputs (sec. 2.1) ............... RegionHead
    Multi-task loss (sec. 2.3, eq. 1 to 3) ....... region_loss
    Normalised targets (sec. 2.3) ................ ClassCoder, filled by vedette.train.box_statistics
    Mini-batch sampling (sec. 2.3) ............... sample_regions
    Detection (sec. 3) ........................... find_in_regions, region_scores, region_boxes
    Truncated SVD (sec. 3.1, eq. 5) .............. truncate

Shapes
    B images, P proposals of each (padded), R regions that the head sees of each, G padded ground-truth boxes,
    C foreground classes. Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits,
    inside this file alone.

Where this file leaves the paper
    * Until they are measured, targets are normalised by fixed numbers, those of py-faster-rcnn, which
      `statistics="fixed"` keeps.
    * Ground-truth boxes are among the proposals in training, as in the authors' code.
    * RoIAlign may stand for RoI pooling, and any timm backbone with two layers of 1024 for VGG-16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vedette.backbones.regions import RegionBackbone, TimmRegions, VGG16Regions
from vedette.ops.boxes import clip_each
from vedette.ops.roi import numbered, roi_align, roi_max_pool
from vedette.papers.rcnn import check_proposals
from vedette.parts.box_coder import BoxCoder
from vedette.parts.class_coder import ClassCoder
from vedette.parts.config import Count, IoU, Share, Size, Std, Suppression, check, check_at_most, check_input
from vedette.parts.detection import Found, best_of_each_class, best_of_image, check_score, find, rows_of, unpad
from vedette.parts.equals import first_of_equals
from vedette.parts.losses import box_loss, class_loss, gather_labels, total_of
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.sampling import sample
from vedette.parts.sizes import whole_sizes
from vedette.structures import Detections, HeadOutput, InputSpec, TargetBatch, Targets, check_targets, pad_targets


@dataclass(frozen=True, kw_only=True)
class FastRCNNConfig:
    """The paper's numbers."""

    num_classes: Count = 20  # VOC, without background
    image_size: Size = 600  # sec. 3: the short side
    max_side: int = 1000  # sec. 3: the long side at most
    pooling: Literal["max", "align"] = "max"  # sec. 2.1; RoIAlign is Mask R-CNN's
    search: Literal["fast", "quality"] = "fast"  # sec. 5: selective search's mode
    proposals: Count = 2000  # sec. 5.5: of an image
    regions: Count = 64  # sec. 2.3: of each image, of two images
    positive_share: Share = 0.25  # sec. 2.3
    positive_iou: IoU = 0.5  # sec. 2.3
    background_iou: Share = 0.1  # sec. 2.3: backgrounds overlap at least so much; 0 takes all
    statistics: Literal["measured", "fixed"] = "measured"  # sec. 2.3: mean and std of each class; fixed: py-faster-rcnn
    box_std: Std = (0.1, 0.1, 0.2, 0.2)  # py-faster-rcnn: the fixed ones
    candidates: Count = 100  # authors' code: regions into NMS; py-faster-rcnn has no limit
    candidates_of: Literal["class", "image"] = "class"  # authors' code: so many of each
    nms: Suppression = "hard"
    nms_iou: Share = 0.3  # authors' code
    keep: Count = 2000  # ours: an image, all that 20 classes can have; py-faster-rcnn: 100
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch

    def __post_init__(self) -> None:
        check(self)
        check_input(self.image_size, self.max_side)
        check_at_most("background_iou", self.background_iou, "positive_iou", self.positive_iou)


class Predictions(NamedTuple):
    """The maps of the images and where to look; `loss` and `detect` run the head on the regions that they need."""

    features: tuple[Tensor, ...]
    proposals: Tensor  # (B, P, 4)
    real: Tensor  # (B, P) bool, False in the padding
    sizes: Tensor  # (B, 2) height and width of the images inside the padded batch


class Regions(NamedTuple):
    """The regions that a training step looks at."""

    boxes: Tensor  # (B, R, 4)
    matched: Tensor  # (B, R): index of the ground truth, -1 background, -2 none


class Judged(NamedTuple):
    """What the head says of each region."""

    logits: Tensor  # (B, R, C + 1)
    deltas: Tensor  # (B, R, C, 4)
    boxes: Tensor  # (B, R, 4)
    real: Tensor  # (B, R) bool, False in the padding
    sizes: Tensor  # (B, 2) height and width of the images inside the padded batch


class RegionPool(nn.Module):
    """S × S values from each region of a single map (sec. 2.1)."""

    def __init__(
        self, stride: int, size: int, kind: Literal["max", "align"], samples: int = 2, half_cell: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.size = 1 / stride, size
        align = partial(roi_align, samples=samples, aligned=half_cell)
        self.pool = roi_max_pool if kind == "max" else align

    def forward(self, features: Sequence[Tensor], regions: Tensor) -> Tensor:
        """One map (B, c, H, W), regions (B, R, 4) → (B * R, c, S, S)."""
        return self.pool(features[-1], numbered(regions), self.size, self.scale)


class RegionHead(nn.Module):
    """What the fully connected layers end in: C + 1 scores and four deltas a class (fig. 1)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.logits = nn.Linear(channels, num_classes + 1)
        self.deltas = nn.Linear(channels, 4 * num_classes)
        for layer, std in ((self.logits, 0.01), (self.deltas, 0.001)):  # sec. 2.3
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, images: int, rows: int) -> HeadOutput:
        """(B * R, channels) of B images with R rows each → logits (B, R, C + 1), deltas (B, R, C, 4)."""
        logits, deltas = self.logits(x), self.deltas(x)
        classes = deltas.shape[1] // 4
        return HeadOutput(logits.view(images, rows, classes + 1), deltas.view(images, rows, classes, 4))


class FastRCNN(nn.Module):
    """The detector; its proposals come from outside."""

    class_layers = ("head.logits.", "head.deltas.", "coder.")  # what depends on the classes, by how the names begin
    needs_proposals = True

    def __init__(self, config: FastRCNNConfig, backbone: RegionBackbone) -> None:
        super().__init__()
        self.config = c = config
        self.backbone = backbone
        self.pool = RegionPool(backbone.strides[-1], backbone.pooled, c.pooling)
        self.head = RegionHead(backbone.top_channels, c.num_classes)
        self.coder = ClassCoder(c.num_classes, c.box_std) if c.statistics == "measured" else BoxCoder(c.box_std)
        self.input_spec = InputSpec(
            size=c.image_size, resize="short side", max_side=c.max_side, divisor=32, **backbone.normalization
        )

    def forward(
        self, images: Tensor, sizes: Tensor | None = None, proposals: Sequence[Tensor] | None = None
    ) -> Predictions:
        """images (B, 3, H, W), normalised and padded; sizes (B, 2): what of them is image; B times (N_i, 4) proposals.

        Raises ValueError where there are no proposals: an empty tensor for an image without any is one.
        """
        padded, real = pad_proposals(images, proposals)
        return Predictions(self.backbone(images), padded, real, whole_sizes(images, sizes))

    def look_at(self, features: Sequence[Tensor], regions: Tensor) -> HeadOutput:
        """What the head says of each region (B, R, 4) (fig. 1): logits (B, R, C + 1), deltas (B, R, C, 4)."""
        pieces = self.pool(features, regions)  # (B * R, c, S, S)
        output: HeadOutput = self.head(self.backbone.top(pieces), *regions.shape[:2])
        return output

    def assign(self, predictions: Predictions, truth: TargetBatch) -> Regions:
        """A sample of the proposals, and which object each one of them is (sec. 2.3)."""
        c = self.config
        how = {"share": c.positive_share, "positive": c.positive_iou, "background": c.background_iou}
        return sample_regions(predictions.proposals, predictions.real, truth, count=c.regions, **how)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Eq. 1 on a sample of the regions: L_cls as "class", λ [u ≥ 1] L_loc as "box"."""
        check_targets(targets, len(predictions.proposals), self.config.num_classes)
        truth = pad_targets(targets, predictions.proposals.device)
        regions = self.assign(predictions, truth)
        output = self.look_at(predictions.features, regions.boxes)
        class_, box = region_loss(output, regions, truth, self.coder)
        return {"class": class_, "box": box}

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """Every class's own box of every proposal, NMS of each class."""
        c, (features, proposals, real, sizes) = self.config, predictions
        judged = Judged(*self.look_at(features, proposals), proposals, real, sizes)
        how: dict[str, Any] = {"count": c.candidates, "of": c.candidates_of, "iou": c.nms_iou, "keep": c.keep}
        return find_in_regions(judged, self.coder, floor=score, method=c.nms, **how)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the row of the proposal."""
        return unpad(self.find(predictions, check_score(score)).kept)


def pad_proposals(images: Tensor, proposals: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
    """B times (N_i, 4) → (B, P, 4) and (B, P) bool; P is at least 1, so that a layer always has something to see."""
    proposals = check_proposals(proposals, images)
    spare = images.new_zeros(1, 4, dtype=torch.float32)
    padded = pad_sequence([*proposals, spare], batch_first=True)[:-1]
    given = [boxes.new_ones(len(boxes), dtype=torch.bool) for boxes in (*proposals, spare)]
    return padded, pad_sequence(given, batch_first=True)[:-1]


def sample_regions(
    proposals: Tensor, real: Tensor, truth: TargetBatch, *, count: int, share: float, positive: float, background: float
) -> Regions:
    """`count` regions of each image, up to `share` of them objects: IoU ≥ `positive` with one (sec. 2.3).

    The rest overlap their best object less than that and at least `background`. The objects themselves are among them.
    """
    boxes = torch.cat([proposals, truth.boxes], 1)
    usable = torch.cat([real, truth.valid & ~truth.ignore], 1)
    matched = match_by_thresholds(
        boxes, *truth.for_matching, positive=positive, negative=positive, negative_from=background, usable=usable
    )
    given, objects = (torch.arange(some.shape[1], device=boxes.device) for some in (proposals, truth.boxes))
    rows, drawn = sample(matched, count, share, ~truth.seeds, torch.cat([given, -1 - objects]))  # not the RPN's lots
    return Regions(rows_of(boxes, rows), torch.where(drawn, matched.gather(1, rows), IGNORED))


def region_loss(
    output: HeadOutput, regions: Regions, truth: TargetBatch, coder: BoxCoder | ClassCoder
) -> tuple[Tensor, Tensor]:
    """L_cls and L_loc of eq. 1, λ = 1, each the mean over all regions of the batch; 0 where there are none."""
    boxes, matched = regions
    labels = gather_labels(truth.labels + 1, matched)  # (B, R), 0 is background
    drawn = matched != IGNORED
    total = total_of(drawn.sum())
    classes = torch.where(drawn, class_loss(output.logits, labels), 0.0).sum() / total
    own = (labels - 1).clamp(min=0)
    deltas = output.deltas.gather(2, own[..., None, None].expand(-1, -1, 1, 4)).squeeze(2)  # (B, R, 4)
    return classes, box_loss(deltas, boxes, truth.boxes, matched, coder.of(own)) / total


def find_in_regions(
    judged: Judged,
    coder: BoxCoder | ClassCoder,
    *,
    floor: float,
    count: int,
    iou: float,
    keep: int,
    method: Suppression,
    of: Literal["class", "image"] = "image",
) -> Found:
    """The `count` best pairs of region and class, of each class or of an image, into the NMS of each class.

    keep: how many of an image stay.
    """
    pick = first_of_equals(partial(best_of_image if of == "image" else best_of_each_class, count=count))
    boxes_at = partial(region_boxes, judged, coder=coder)
    return find(region_scores(judged), boxes_at, pick, floor=floor, iou=iou, keep=keep, method=method)


def region_scores(judged: Judged) -> Tensor:
    """(B, R, C) the softmax without background, 0 in the padding."""
    return judged.logits.float().softmax(-1)[..., 1:] * judged.real[..., None]


def region_boxes(judged: Judged, rows: Tensor, labels: Tensor, *, coder: BoxCoder | ClassCoder) -> Tensor:
    """(B, K, 4) the regions (B, K) as their class has them, cut at their image."""
    deltas = rows_of(judged.deltas.flatten(1, 2), rows * judged.deltas.shape[2] + labels)
    return clip_each(coder.of(labels).decode(deltas, rows_of(judged.boxes, rows)), judged.sizes)


def truncate(layer: nn.Linear, rank: int) -> nn.Sequential:
    """A fully connected layer as two thinner ones by its `rank` largest singular values (sec. 3.1, eq. 5).

    W ≈ U Σ Vᵀ: the first has the weights Σ Vᵀ and no bias, the second U and the layer's bias.
    """
    if not 1 <= rank <= min(layer.weight.shape):
        raise ValueError(f"rank is {rank}: give 1 to {min(layer.weight.shape)}")
    u, s, v = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    first = nn.Linear(layer.in_features, rank, bias=False)
    second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_(s[:rank, None] * v[:rank])
        second.weight.copy_(u[:, :rank])
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def build(backbone: str, **fields: Any) -> FastRCNN:
    """On "vgg16" to conv5_3, 7×7 from each region, fc6 and fc7 of 4096; or on the map at stride 16 of timm's of that
    name, 7×7 from each region, two layers of 1024.
    """
    c = FastRCNNConfig(**fields)
    if backbone == "vgg16":
        return FastRCNN(c, VGG16Regions(train_norm=c.train_norm))
    return FastRCNN(c, TimmRegions(backbone, train_norm=c.train_norm))
