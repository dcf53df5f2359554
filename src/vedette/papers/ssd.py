"""SSD: a detector in one pass, whose anchors lie on maps of falling size.

Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg. "SSD: Single Shot MultiBox Detector." ECCV 2016. arXiv:1512.02325

Where the paper is in this file
    Network (fig. 2) ............................. SSD.forward
    Extra feature layers (fig. 2, conv8 on) ...... ExtraLevel
    L2 normalisation of conv4_3 (sec. 3.1) ....... SSD.features
    Default boxes: scales and ratios (sec. 2.2) .. scale, SSD.build_anchors, multibox_shapes
    Matching (sec. 2.2) .......................... Multibox.assign
    Objective, hard negatives (sec. 2.2, eq. 1) .. Multibox.loss
    Inference (sec. 3.7) ......................... Multibox.find, Multibox.detect
    SSD512 (sec. 3.1) ............................ SSD_512 of zoo.py

Shapes
    B images, A anchors over all levels, L levels, G padded ground-truth boxes, C foreground classes.
    Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits, inside this file alone.

Where this file leaves the paper
    * An image is given at least `min_negatives`: with 3:1 alone an image without objects would teach nothing.
    * Ignored ground truth (VOC's difficult) is neither matched nor mined; training may count it as ordinary instead.
    * Other sizes than its own are taken: the anchors keep their sizes in pixels, the maps say how many there are.
    * Other backbones than VGG-16: any of timm, its maps normalised as conv4_3 is, batch norm in the new layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.vgg import VGG16
from vedette.ops.boxes import clip
from vedette.parts.anchors import AnchorCache, Anchors, Grid, grid_anchors, limit_anchors, multibox_shapes, stack_levels
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import Count, FromZero, Ge, IoU, Positive, Share, Size, Std, Suppression, check, check_levels
from vedette.parts.detection import Found, best_of_each_class, check_score, find, rows_of, unpad
from vedette.parts.layers import MultiboxHead, convolution, initialize, map_norms, on_meta, start_even
from vedette.parts.losses import multibox_loss
from vedette.parts.matching import match
from vedette.structures import Detections, HeadOutput, InputSpec, TargetBatch, Targets, check_targets, pad_targets

Layer = tuple[Count, Count, Annotated[int, Ge(0)]]  # kernel, stride, padding
HALVE: Layer = (3, 2, 1)
UNPADDED: Layer = (3, 1, 0)


def scale(k: int, m: int, s_min: float = 0.2, s_max: float = 0.9) -> float:
    """Eq. 4: s_k = s_min + (s_max - s_min) / (m - 1) · (k - 1), of the input's side, for the level k of m."""
    return s_min + (s_max - s_min) / (m - 1) * (k - 1)


# What the authors' code makes of it: conv4_3 has a smaller scale of its own (sec. 3.1), eq. 4 counts the levels behind
# it and is rounded down to whole percents, and one more closes the last level's second square. In pixels.
VOC_SIZES = {
    300: (30.0, 60.0, 111.0, 162.0, 213.0, 264.0, 315.0),
    512: (35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6),
}
COCO_SIZES = {  # smaller, since COCO's objects are (sec. 3.4)
    300: (21.0, 45.0, 99.0, 153.0, 207.0, 261.0, 315.0),
    512: (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72),
}


@dataclass(frozen=True, kw_only=True)
class MultiboxConfig:
    """The paper's numbers for objective and inference."""

    num_classes: Count = 20  # VOC, without background
    match_iou: IoU = 0.5  # sec. 2.2
    negatives_per_positive: FromZero = 3.0  # sec. 2.2
    min_negatives: Annotated[int, Ge(0)] = 3  # ours
    box_std: Std = (0.1, 0.1, 0.2, 0.2)  # authors' code
    candidates: Count = 400  # authors' code: into NMS, a class
    nms: Suppression = "hard"
    nms_iou: Share = 0.45  # sec. 3.7
    keep: Count = 200  # sec. 3.7


@dataclass(frozen=True, kw_only=True)
class SSDConfig(MultiboxConfig):
    """The paper's numbers for 300 pixels and VGG-16."""

    image_size: Size = 300  # or 512
    sources: tuple[int, ...] = (0, 2)  # which of the backbone's maps: conv4_3 and fc7 of VGG-16
    extra_channels: tuple[tuple[Count, Count], ...] = ((256, 512), *[(128, 256)] * 3)  # fig. 2: conv8 on
    extra_layers: tuple[Layer, ...] = (HALVE, HALVE, UNPADDED, UNPADDED)  # fig. 2: what makes each smaller
    l2_norm: tuple[Positive, ...] = (20.0,)  # sec. 3.1: conv4_3, where the learned scale begins
    map_rms: FromZero = 0.0  # ours: L2 norm of all the backbone's maps, that root mean square at first; classes even
    norm: bool = False  # batch norm in the new layers
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch
    init: Literal["xavier", "gaussian"] = "xavier"  # sec. 3.1
    anchor_sizes: tuple[Positive, ...] = VOC_SIZES[300]  # pixels
    aspect_ratios: tuple[tuple[Positive, ...], ...] = (
        (2,),
        (2, 3),
        (2, 3),
        (2, 3),
        (2,),
        (2,),
    )  # sec. 3.1, less 1
    steps: tuple[Positive, ...] = (8, 16, 32, 64, 100, 300)  # authors' code: pixels from cell to cell
    clip_anchors: bool | Literal["size"] = False  # authors' code: unclipped; ports: centre and size; torchvision: size
    clip_boxes: bool = False  # torchvision: boxes are cut at the image before NMS

    def __post_init__(self) -> None:
        check(self)
        levels = len(self.sources) + len(self.extra_layers)
        check_levels("extra_channels", self.extra_channels, len(self.extra_layers))
        check_levels("aspect_ratios", self.aspect_ratios, levels)
        check_levels("steps", self.steps, levels)
        check_levels("anchor_sizes", self.anchor_sizes, levels + 1)


class Predictions(NamedTuple):
    """What the network says of every anchor."""

    logits: Tensor  # (B, A, C + 1), background at index 0
    deltas: Tensor  # (B, A, 4), against the anchors
    anchors: Tensor  # (A, 4) of this input's size
    size: tuple[int, int] | None = None  # height and width of the input, pixels


class ExtraLevel(nn.Module):
    """One more, smaller map: 1×1 to fewer channels, then the layer that makes it smaller (fig. 2).

    A map smaller than that layer's kernel is padded to it, so that images smaller than the paper's go through too.
    """

    def __init__(self, incoming: int, channels: tuple[int, int], layer: Layer, norm: bool) -> None:
        super().__init__()
        middle, outgoing = channels
        self.squeeze = convolution(incoming, middle, 1, norm=norm)
        self.shrink = convolution(middle, outgoing, *layer, norm=norm)
        kernel, self.stride, padding = layer
        self.least = kernel - 2 * padding

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) → (B, outgoing, H', W')."""
        x = self.squeeze(feature).relu()
        down, right = (max(0, self.least - side) for side in x.shape[-2:])
        if down or right:
            x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        out: Tensor = self.shrink(x)
        return out.relu()


class Multibox(nn.Module):
    """What follows the network: the objective and inference, which M2Det takes over."""

    class_layers = ("head.logits.",)  # what depends on the classes, by the beginning of the names
    config: MultiboxConfig
    coder: BoxCoder

    def assign(self, predictions: Predictions, truth: TargetBatch) -> Tensor:
        """(B, A) the object that each anchor answers for, -1 for background, -2 for neither (sec. 2.2)."""
        return match(predictions.anchors, *truth.for_matching, self.config.match_iou)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Eq. 1, α = 1: L_conf / N as "class" and L_loc / N as "box"; N counts the matched anchors."""
        c = self.config
        check_targets(targets, len(predictions.logits), c.num_classes)
        truth = pad_targets(targets, predictions.anchors.device)
        output, matched = HeadOutput(predictions.logits, predictions.deltas), self.assign(predictions, truth)
        given = output, predictions.anchors, truth.boxes, truth.labels + 1, matched
        ratio, least = c.negatives_per_positive, c.min_negatives
        class_loss, box_loss = multibox_loss(*given, coder=self.coder, negative_ratio=ratio, min_negatives=least)
        return {"class": class_loss, "box": box_loss}

    def scores(self, predictions: Predictions) -> Tensor:
        """(B, A, C) the softmax, without background."""
        return predictions.logits.float().softmax(-1)[..., 1:]

    def boxes_at(self, predictions: Predictions, rows: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, K, 4) the boxes of the anchors (B, K), the same for every class."""
        return rows_of(self.coder.decode(predictions.deltas, predictions.anchors), rows)

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """The best 400 of each class into the NMS of that class, the best 200 of an image (sec. 3.7)."""
        c, boxes_at = self.config, partial(self.boxes_at, predictions)
        pick = partial(best_of_each_class, count=c.candidates)
        return find(self.scores(predictions), boxes_at, pick, floor=score, iou=c.nms_iou, keep=c.keep, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the anchor."""
        return unpad(self.find(predictions, check_score(score)).kept)


class SSD(Multibox):
    """The detector on a backbone that gives maps from stride 8 on."""

    config: SSDConfig

    def __init__(self, config: SSDConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = c = config
        self.backbone = backbone
        channels = [backbone.channels[source] for source in c.sources]
        self.l2_norms = map_norms(channels, c.l2_norm, c.map_rms)
        self.extras = nn.ModuleList()
        for widths, layer in zip(c.extra_channels, c.extra_layers, strict=True):
            self.extras.append(ExtraLevel(channels[-1], widths, layer, c.norm))
            channels.append(widths[1])
        self.head = MultiboxHead(channels, [2 + 2 * len(ratios) for ratios in c.aspect_ratios], c.num_classes + 1)

        self.coder = BoxCoder(c.box_std)
        self.input_spec = InputSpec(size=c.image_size, **backbone.normalization)
        self.anchor_cache = AnchorCache(self.build_anchors)
        self.own_grids = self.grids(c.image_size, c.image_size)
        initialize((module for name, module in self.named_children() if name != "backbone"), c.init)
        if c.map_rms:
            start_even(self.head.logits)

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised; nothing is padded. The whole of fig. 2."""
        features = self.features(images)  # fine to coarse
        logits, deltas = self.head(features)
        anchors = self.anchor_cache.of(images, features).boxes
        return Predictions(logits, deltas, anchors, (images.shape[2], images.shape[3]))

    def features(self, images: Tensor) -> list[Tensor]:
        """The maps that are predicted from: conv4_3 (normalised), fc7, conv8_2 … of VGG-16."""
        maps = self.backbone(images)
        maps = [maps[source] for source in self.config.sources]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        for level, norm in enumerate(self.l2_norms):
            maps[level] = norm(maps[level])
        return maps

    @property
    def anchors(self) -> Tensor:
        """(A, 4) at the model's own size."""
        side = self.config.image_size
        return self.anchor_cache.at(side, side, self.own_grids, next(self.parameters()).device).boxes

    def build_anchors(self, height: int, width: int, grids: Sequence[Grid]) -> Anchors:
        """For an input of that size and the rows and columns of its levels (8732 at 300, 24564 at 512)."""
        c = self.config
        levels = []
        for level, (rows, columns) in enumerate(grids):
            shapes = multibox_shapes(c.anchor_sizes[level], c.anchor_sizes[level + 1], c.aspect_ratios[level])
            cell = (self.cell_side(level, rows, height), self.cell_side(level, columns, width))
            anchors = grid_anchors(shapes, rows, columns, cell)
            if c.clip_anchors:
                anchors = limit_anchors(anchors, width, height, centers=c.clip_anchors is True)
            levels.append(anchors)
        return stack_levels(levels, grids)

    def cell_side(self, level: int, cells: int, side: int) -> float:
        """Pixels from cell to cell: the level's step, also in images of another size.

        But unpadded layers leave out the border, and the authors spread what they give over the whole image (3 cells
        of 100, 1 of 300 pixels): so are as many cells as an image of another size has there.
        """
        unpadded = level >= len(self.config.sources) and self.extras[level - len(self.config.sources)].stride == 1
        return side / cells if unpadded and side != self.config.image_size else self.config.steps[level]

    def grids(self, height: int, width: int) -> tuple[Grid, ...]:
        """Rows and columns of each level for an input of that size, found without computing anything."""
        maps = on_meta(self.backbone, torch.empty(1, 3, height, width, device="meta"))
        maps = [maps[source] for source in self.config.sources]
        for extra in self.extras:
            maps.append(on_meta(extra, maps[-1]))
        return tuple((x.shape[2], x.shape[3]) for x in maps)

    def boxes_at(self, predictions: Predictions, rows: Tensor, labels: Tensor | None = None) -> Tensor:
        """Those boxes, cut at the image where torchvision's are."""
        boxes = super().boxes_at(predictions, rows, labels)
        if self.config.clip_boxes and predictions.size is not None:
            boxes = clip(boxes, *reversed(predictions.size))
        return boxes


def build(backbone: str, **fields: Any) -> SSD:
    """On "vgg16", with pool5 3×3 of stride 1 and dilation 6, so that fc7 lies at stride 16; or on timm's of that name.
    Unless given, the anchors' sizes are COCO's for as many classes as COCO has.
    """
    sizes = COCO_SIZES if fields.get("num_classes") == 80 else VOC_SIZES
    c = SSDConfig(**({"anchor_sizes": sizes.get(fields.get("image_size", 300), sizes[300])} | fields))
    if backbone == "vgg16":
        return SSD(c, VGG16(pool5_stride=1, dilation=6, train_norm=c.train_norm))
    return SSD(c, TimmPyramid(backbone, train_norm=c.train_norm))
