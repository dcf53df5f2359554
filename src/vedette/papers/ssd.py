"""SSD: a detector in one pass, whose anchors lie on maps of falling size.

Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg. "SSD: Single Shot MultiBox Detector." ECCV 2016. arXiv:1512.02325

Where the paper is in this file
    Network (fig. 2) ............................. SSD.forward
    Extra feature layers (fig. 2, conv8 on) ...... ExtraLevel
    L2 normalisation of conv4_3 (sec. 3.1) ....... SSD.features
    Default boxes: scales and ratios (sec. 2.2) .. SSD.build_anchors, multibox_shapes
    Matching, objective, mining (sec. 2.2, eq. 1)  multibox_objective
    Inference (sec. 3.7) ......................... find_per_class, SSD.detect
    SSD512 (sec. 3.1) ............................ SSD512

Shapes
    B images, A anchors over all levels, L levels, G padded ground-truth boxes, C foreground classes.
    Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits, inside this file alone.

Where this file leaves the paper
    * An image is given at least `min_negatives`: with 3:1 alone an image without objects would teach nothing.
    * Ignored ground truth (VOC's difficult) is neither matched nor mined; training may count it as ordinary instead.
    * Other sizes than its own are taken: the anchors keep their sizes in pixels, the maps say how many there are.
    * Other backbones than VGG-16: any of timm, with batch norm in the new layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from vedette.backbones.backbone import Backbone
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.vgg import VGG16, L2Norm
from vedette.ops.boxes import clip
from vedette.parts.anchors import grid_anchors, limit_anchors, multibox_shapes
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import check_matching, check_suppression, check_types
from vedette.parts.detection import Candidates, best_of_each_class, check_score, suppress, unpad
from vedette.parts.heads import MultiboxHead
from vedette.parts.init import initialize
from vedette.parts.losses import multibox_loss
from vedette.parts.matching import match
from vedette.parts.norm import BatchNorm
from vedette.parts.targets import check_targets, pad_targets
from vedette.structures import Detections, InputSpec, Step, Target

# Sides in pixels of the square anchors: one a level, and one more for the last level's second square (authors' code).
VOC_SIZES = {
    300: (30.0, 60.0, 111.0, 162.0, 213.0, 264.0, 315.0),
    512: (35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6),
}
COCO_SIZES = {  # smaller, since COCO's objects are (sec. 3.4)
    300: (21.0, 45.0, 99.0, 153.0, 207.0, 261.0, 315.0),
    512: (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72),
}

Layer = tuple[int, int, int]  # kernel, stride, padding
HALVE: Layer = (3, 2, 1)
UNPADDED: Layer = (3, 1, 0)
TO_ONE: Layer = (4, 1, 1)  # 2×2 → 1×1 (conv12_2 of SSD512)


@dataclass(frozen=True, kw_only=True)
class SSDConfig:
    """The paper's numbers for 300 pixels and VGG-16."""

    num_classes: int = 20  # VOC, without background
    image_size: int = 300  # or 512
    sources: tuple[int, ...] = (0, 2)  # which of the backbone's maps: conv4_3 and fc7 of VGG-16
    extra_channels: tuple[tuple[int, int], ...] = ((256, 512), (128, 256), (128, 256), (128, 256))  # fig. 2: conv8 on
    extra_layers: tuple[Layer, ...] = (HALVE, HALVE, UNPADDED, UNPADDED)  # fig. 2: what makes each smaller
    l2_norm: tuple[float, ...] = (20.0,)  # sec. 3.1: conv4_3
    norm: bool = False  # batch norm in the new layers
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch
    init: Literal["xavier", "gaussian"] = "xavier"  # sec. 3.1
    anchor_sizes: tuple[float, ...] = VOC_SIZES[300]  # pixels
    aspect_ratios: tuple[tuple[float, ...], ...] = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))  # sec. 3.1; 1 is in all
    steps: tuple[float, ...] = (8, 16, 32, 64, 100, 300)  # authors' code: pixels from cell to cell
    clip_anchors: bool | Literal["size"] = False  # authors' code: unclipped; ports: centre and size; torchvision: size
    clip_boxes: bool = False  # torchvision: boxes are cut at the image before NMS
    match_iou: float = 0.5  # sec. 2.2
    negatives_per_positive: float = 3.0  # sec. 2.2
    min_negatives: int = 3  # ours
    box_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)  # authors' code
    candidates: int = 400  # authors' code: into NMS, a class
    nms: Literal["hard", "linear", "gaussian"] = "hard"
    nms_iou: float = 0.45  # sec. 3.7
    keep: int = 200  # sec. 3.7

    def __post_init__(self) -> None:
        check_types(self)
        if self.image_size < 32:
            raise ValueError(f"image_size is {self.image_size}: give a whole number from 32 on")
        extra = len(self.extra_layers)
        levels = len(self.sources) + extra
        lengths = {"extra_channels": extra, "aspect_ratios": levels, "steps": levels, "anchor_sizes": levels + 1}
        for name, length in lengths.items():
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} is {getattr(self, name)}: give {length} for {levels} levels")
        if min(*self.anchor_sizes, *self.steps) <= 0:
            raise ValueError("anchor_sizes and steps must be above 0")
        check_matching(self.match_iou, self.negatives_per_positive, self.min_negatives, self.box_std)
        check_suppression(self.nms_iou, self.candidates, self.keep)


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
        self.squeeze = _conv(incoming, middle, (1, 1, 0), norm)
        self.shrink = _conv(middle, outgoing, layer, norm)
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


class SSD(nn.Module):
    """The detector on a backbone that gives maps from stride 8 on."""

    class_layers = ("head.logits.",)  # what depends on the classes, by the beginning of the names

    def __init__(self, config: SSDConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = c = config
        self.backbone = backbone
        channels = [backbone.channels[source] for source in c.sources]
        self.l2_norms = nn.ModuleList(L2Norm(n, s) for n, s in zip(channels, c.l2_norm, strict=False))
        self.extras = nn.ModuleList()
        for widths, layer in zip(c.extra_channels, c.extra_layers, strict=True):
            self.extras.append(ExtraLevel(channels[-1], widths, layer, c.norm))
            channels.append(widths[1])
        self.head = MultiboxHead(channels, [2 + 2 * len(ratios) for ratios in c.aspect_ratios], c.num_classes + 1)

        self.coder = BoxCoder(c.box_std)
        self.input_spec = InputSpec(size=c.image_size, **backbone.normalization)
        side = c.image_size
        self.register_buffer("anchors", self.build_anchors(side, side, self.map_sizes(side, side)), persistent=False)
        self.anchors: Tensor  # (A, 4)
        initialize((module for name, module in self.named_children() if name != "backbone"), c.init)

    def forward(self, images: Tensor) -> Predictions:
        """images (B, 3, H, W), normalised. The whole of fig. 2."""
        features = self.features(images)  # fine to coarse
        logits, deltas = self.head(features)
        height, width = images.shape[-2:]
        return Predictions(logits, deltas, self.anchors_for(images, features), (height, width))

    def features(self, images: Tensor) -> list[Tensor]:
        """The maps that are predicted from: conv4_3 (normalised), fc7, conv8_2 … of VGG-16."""
        maps = self.backbone(images)
        maps = [maps[source] for source in self.config.sources]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        for level, norm in enumerate(self.l2_norms):
            maps[level] = norm(maps[level])
        return maps

    def build_anchors(self, height: int, width: int, grids: Sequence[tuple[int, int]]) -> Tensor:
        """(A, 4) for an input of that size; grids: rows and columns of each level (8732 at 300, 24564 at 512)."""
        c = self.config
        levels = []
        for level, (rows, columns) in enumerate(grids):
            shapes = multibox_shapes(c.anchor_sizes[level], c.anchor_sizes[level + 1], c.aspect_ratios[level])
            step = (self.cell_side(level, rows, height), self.cell_side(level, columns, width))
            levels.append(grid_anchors(shapes, rows, columns, step))
        anchors = torch.cat(levels)
        if not c.clip_anchors:
            return anchors
        return limit_anchors(anchors, width, height, centers=c.clip_anchors is True)

    def cell_side(self, level: int, cells: int, side: int) -> float:
        """Pixels from cell to cell: the level's step, also in images of another size.

        But unpadded layers leave out the border, and the authors spread what they give over the whole image (3 cells
        of 100, 1 of 300 pixels): so are as many cells as an image of another size has there.
        """
        unpadded = level >= len(self.config.sources) and self.extras[level - len(self.config.sources)].stride == 1
        return side / cells if unpadded and side != self.config.image_size else self.config.steps[level]

    def map_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Rows and columns of each level for an input of that size, found without computing anything."""
        maps = _on_meta(self.backbone, torch.empty(1, 3, height, width, device="meta"))
        maps = [maps[source] for source in self.config.sources]
        for extra in self.extras:
            maps.append(_on_meta(extra, maps[-1]))
        return [(m.shape[2], m.shape[3]) for m in maps]

    def anchors_for(self, images: Tensor, features: Sequence[Tensor]) -> Tensor:
        """(A, 4) for the size of these images."""
        height, width = images.shape[-2:]
        if height == width == self.config.image_size:
            return self.anchors
        grids = [(feature.shape[2], feature.shape[3]) for feature in features]
        return self.build_anchors(height, width, grids).to(images.device)

    def loss(self, predictions: Predictions, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Eq. 1, L_conf / N as "class" and L_loc / N as "box"; N counts the matched anchors."""
        iou, ratio, least = self.config.match_iou, self.config.negatives_per_positive, self.config.min_negatives
        return multibox_objective(
            predictions, targets, coder=self.coder, match_iou=iou, negative_ratio=ratio, min_negatives=least
        )

    def find(self, predictions: Predictions, score: float = 0.05) -> Candidates:
        """`detect` before the padding is cut off: static shapes, so it compiles as one graph."""
        c = self.config
        return find_per_class(
            predictions,
            coder=self.coder,
            floor=score,
            candidates=c.candidates,
            iou=c.nms_iou,
            keep=c.keep,
            method=c.nms,
            clip_boxes=c.clip_boxes,
        )

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """The best 400 of each class, NMS per class, the best 200 of an image; boxes in input pixels."""
        check_score(score)
        return unpad(self.find(predictions, score))


def multibox_objective(
    predictions: Predictions,
    targets: Sequence[Target],
    *,
    coder: BoxCoder,
    match_iou: float,
    negative_ratio: float,
    min_negatives: int,
) -> dict[str, Tensor]:
    """Eq. 1, its parts weighed alike: the softmax loss of positives and mined negatives, and smooth L1, both over N.

    Raises ValueError for targets that do not fit the predictions.
    """
    logits, deltas, anchors = predictions[:3]
    check_targets(targets, len(logits), logits.shape[2] - 1)
    boxes, labels, valid, ignore = pad_targets(targets, anchors.device)
    matched = match(anchors, boxes, valid, ignore, match_iou)
    everything = torch.ones_like(matched, dtype=torch.bool)
    given = (Step(logits, deltas), anchors, boxes, labels + 1, matched, everything)
    class_loss, box_loss = multibox_loss(
        *given, coder=coder, negative_ratio=negative_ratio, min_negatives=min_negatives
    )
    return {"class": class_loss, "box": box_loss}


def find_per_class(
    predictions: Predictions,
    *,
    coder: BoxCoder,
    floor: float,
    candidates: int,
    iou: float,
    keep: int,
    method: Literal["hard", "linear", "gaussian"] = "hard",
    clip_boxes: bool = False,
) -> Candidates:
    """The best `candidates` of each class into the NMS of that class, the best `keep` of an image (sec. 3.7)."""
    logits, deltas, anchors, size = predictions
    scores = logits.float().softmax(-1)[..., 1:]
    boxes = coder.decode(deltas, anchors)
    if clip_boxes and size is not None:
        boxes = clip(boxes, width=size[1], height=size[0])
    best = best_of_each_class(
        scores, lambda source: boxes.gather(1, source[..., None].expand(-1, -1, 4)), floor=floor, count=candidates
    )
    return suppress(best, iou=iou, keep=keep, floor=floor, method=method)


def _conv(incoming: int, outgoing: int, layer: Layer, norm: bool) -> nn.Module:
    conv = nn.Conv2d(incoming, outgoing, *layer, bias=not norm)
    return nn.Sequential(conv, BatchNorm(outgoing)) if norm else conv


def _on_meta(module: nn.Module, x: Tensor) -> Any:
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return functional_call(module, {name: tensor.to("meta") for name, tensor in state.items()}, x)


SSD512: dict[str, Any] = {
    "image_size": 512,
    "extra_channels": ((256, 512), (128, 256), (128, 256), (128, 256), (128, 256)),
    "extra_layers": (HALVE, HALVE, HALVE, HALVE, TO_ONE),
    "aspect_ratios": ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    "steps": (8, 16, 32, 64, 128, 256, 512),
}
TIMM: dict[str, Any] = {"sources": (0, 1, 2), "l2_norm": (), "norm": True, "init": "gaussian"}
TIMM300 = TIMM | {"extra_channels": ((128, 256),) * 3, "extra_layers": (HALVE, UNPADDED, UNPADDED)}
TIMM512 = SSD512 | TIMM | {"extra_channels": ((128, 256),) * 4, "extra_layers": (HALVE, HALVE, HALVE, TO_ONE)}


def ssd300_vgg16(**config: Any) -> SSD:
    """VGG-16 with pool5 3×3 of stride 1 and dilation 6, so that fc7 lies at stride 16."""
    c = _config(300, {}, config)
    return SSD(c, VGG16(pool5_stride=1, dilation=6, train_norm=c.train_norm))


def ssd512_vgg16(**config: Any) -> SSD:
    """The same with one level more."""
    c = _config(512, SSD512, config)
    return SSD(c, VGG16(pool5_stride=1, dilation=6, train_norm=c.train_norm))


def ssd300_timm(name: str, **config: Any) -> SSD:
    """Any timm backbone: its maps at strides 8, 16, 32 stand for conv4_3, fc7 and conv8_2; no L2 norm, batch norm."""
    c = _config(300, TIMM300, config)
    return SSD(c, TimmPyramid(name, train_norm=c.train_norm))


def ssd512_timm(name: str, **config: Any) -> SSD:
    """The same with one level more."""
    c = _config(512, TIMM512, config)
    return SSD(c, TimmPyramid(name, train_norm=c.train_norm))


def _config(size: int, ours: dict[str, Any], given: dict[str, Any]) -> SSDConfig:
    """The paper's settings and, over them, those given; COCO's anchor sizes for as many classes as COCO has."""
    sizes = COCO_SIZES if given.get("num_classes") == 80 else VOC_SIZES
    return SSDConfig(**({"anchor_sizes": sizes[size]} | ours | given))
