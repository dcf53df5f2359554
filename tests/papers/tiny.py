"""A small network of every paper, of three classes on 64 pixels; each takes its config's fields."""

from typing import Any

import torch

from papers.shared import TinyBackbone, TinyRegions
from vedette.papers.fast_rcnn import FastRCNN, FastRCNNConfig, RegionPool
from vedette.papers.faster_rcnn import FasterRCNN, FasterRCNNConfig
from vedette.papers.m2det import M2Det, M2DetConfig
from vedette.papers.rcnn import RCNN
from vedette.papers.refinedet import RefineDet, RefineDetConfig
from vedette.papers.retinanet import RetinaNet, RetinaNetConfig
from vedette.papers.sppnet import SPPNet
from vedette.papers.ssd import HALVE, SSD, UNPADDED, SSDConfig
from vedette.zoo import build

SMALL: dict[str, Any] = {"num_classes": 3, "image_size": 64}
RETINANET: dict[str, Any] = {
    "max_side": 96,
    "anchor_sizes": tuple((side, 1.26 * side) for side in (12.0, 20.0, 32.0, 48.0, 64.0)),
    "subnet_layers": 1,
    "width": 64,
}
M2DET: dict[str, Any] = {
    "image_size": 64,
    "levels": 2,
    "width": 16,
    "base_channels": (8, 12),
    "squeeze": 4,
    "sizes": (0.2, 0.4, 0.7, 1.0),  # three scales: 8, 4 and 2 cells
}


def rcnn(**config: Any) -> RCNN:
    torch.manual_seed(0)
    return build("rcnn-timm/resnet10t", **({"num_classes": 3, "warp_size": 64, "context": 4} | config))


def sppnet(**config: Any) -> SPPNet:
    torch.manual_seed(0)
    small = {"num_classes": 3, "scales": (64, 96), "window": 32, "hidden": 32, "negatives": 8}
    return build("sppnet-timm/resnet10t", **(small | config))


def fast_rcnn(**config: Any) -> FastRCNN:
    torch.manual_seed(0)
    return FastRCNN(FastRCNNConfig(**(SMALL | {"max_side": 64} | config)), TinyRegions())


def faster_rcnn(**config: Any) -> FasterRCNN:
    torch.manual_seed(0)
    small = {"max_side": 64, "anchor_sizes": ((16.0, 32.0),), "rpn_channels": 16, "least_side": 2.0, "regions": 16}
    return FasterRCNN(FasterRCNNConfig(**(SMALL | small | config)), TinyRegions(), RegionPool(16, 3, "max"))


def fpn(**config: Any) -> FasterRCNN:
    torch.manual_seed(0)
    sizes = ((8.0,), (16.0,), (32.0,), (48.0,), (64.0,))
    small = {"max_side": 96, "anchor_sizes": sizes, "regions": 32, "proposals": (50, 20), "width": 64}
    return build("faster-rcnn-timm/resnet10t-fpn", **(SMALL | small | config))


def retinanet(**config: Any) -> RetinaNet:
    torch.manual_seed(0)
    return RetinaNet(RetinaNetConfig(**(SMALL | RETINANET | config)), TinyBackbone(last_stride=32))  # type: ignore[arg-type]


def ssd(**config: Any) -> SSD:
    """Maps of 8, 4, 2 and 1 cells a side at 64 pixels, 16 to 80 pixels large: 64 * 4 + 16 * 6 + 4 * 6 + 4 anchors."""
    small = {
        "extra_channels": ((4, 8), (4, 8)),
        "extra_layers": (HALVE, UNPADDED),
        "anchor_sizes": (10.0, 20.0, 32.0, 48.0, 64.0),
        "aspect_ratios": ((2,), (2, 3), (2, 3), (2,)),
        "steps": (8, 16, 32, 64),
    }
    return SSD(SSDConfig(**(SMALL | small | config)), TinyBackbone())  # type: ignore[arg-type]


def refinedet(**config: Any) -> RefineDet:
    small = {"tcb_channels": 8, "extra_channels": (8, 16), "l2_norm": ()}
    return RefineDet(RefineDetConfig(**(SMALL | small | config)), TinyBackbone(last_stride=32))  # type: ignore[arg-type]


def m2det(**config: Any) -> M2Det:
    return M2Det(M2DetConfig(**({"num_classes": 3} | M2DET | config)), TinyBackbone())  # type: ignore[arg-type]
