"""Settings that cannot be are refused, by their name and with what to give instead."""

from collections.abc import Callable
from typing import Any

import pytest

from papers import tiny
from vedette.papers.fast_rcnn import FastRCNNConfig
from vedette.papers.faster_rcnn import FasterRCNNConfig
from vedette.papers.sppnet import SPPNetConfig
from vedette.papers.ssd import SSDConfig


@pytest.mark.parametrize(
    ("make", "config", "message"),
    [
        (tiny.rcnn, {"warp_size": 0}, "warp_size is 0"),
        (tiny.rcnn, {"context": 32}, r"context is 32: give 0 or more, below half of warp_size \(64\)"),
        (tiny.rcnn, {"foreground_iou": 0.0}, "foreground_iou is 0.0"),
        (tiny.rcnn, {"scorer": "both"}, "scorer is 'both': give one of svm, softmax"),
        (tiny.rcnn, {"search": "slow"}, "search is 'slow'"),
        (tiny.rcnn, {"box_std": (0.0, 1.0, 1.0, 1.0)}, "box_std"),
        (tiny.rcnn, {"nms_iou": 2.0}, "nms_iou is 2.0"),
        (tiny.rcnn, {"proposals": 0}, "proposals is 0"),
        (SPPNetConfig, {"scales": ()}, r"scales is \(\): give whole numbers that rise"),
        (SPPNetConfig, {"scales": (64, 64)}, r"scales is \(64, 64\): give whole numbers that rise"),
        (SPPNetConfig, {"scales": (16, 64)}, "scales is .*from 32 on"),
        (SPPNetConfig, {"levels": (1, 2, 5)}, r"levels is \(1, 2, 5\): give numbers that divide the last"),
        (SPPNetConfig, {"levels": (0, 2)}, "levels is"),
        (SPPNetConfig, {"window": 0}, "window is 0: give a whole number from 1 on"),
        (SPPNetConfig, {"offset": -5.0}, "offset is -5.0: give a number from 0 to 32"),
        (SPPNetConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (SPPNetConfig, {"background_iou": 0.6}, "background_iou is 0.6: give 0 to foreground_iou, 0.5"),
        (FastRCNNConfig, {"positive_share": 1.5}, "positive_share is 1.5"),
        (FastRCNNConfig, {"background_iou": 0.6}, "background_iou is 0.6: give 0 to positive_iou, 0.5"),
        (FastRCNNConfig, {"regions": 0}, "regions is 0"),
        (FastRCNNConfig, {"max_side": 500}, "max_side is 500: give no less than image_size, 600"),
        (FastRCNNConfig, {"image_size": 8}, "image_size is 8"),
        (FastRCNNConfig, {"pooling": "mean"}, "pooling is 'mean': give one of max, align"),
        (FasterRCNNConfig, {"rpn_negative": 0.8}, "rpn_negative is 0.8: give 0 to rpn_positive, 0.7"),
        (FasterRCNNConfig, {"anchor_sizes": ((16.0,), (16.0, 32.0))}, "give as many sizes for every level"),
        (FasterRCNNConfig, {"anchor_sizes": ((0.0,),)}, "anchor_sizes is .*a number above 0"),
        (FasterRCNNConfig, {"proposals": (0, 10)}, "proposals is .*a whole number from 1 on"),
        (FasterRCNNConfig, {"rpn_layers": 0}, "rpn_layers is 0: give a whole number from 1 on"),
        (
            FasterRCNNConfig,
            {"anchor_grid": "middle"},
            "anchor_grid is 'middle': give one of centre, corner, torchvision",
        ),
        (tiny.fpn, {"anchor_sizes": ((8.0,),)}, "give sizes for 5 levels"),
        (tiny.fpn, {"pooling": "max"}, "pooling is 'max': give one of align"),
        (tiny.retinanet, {"negative_iou": 0.6}, "negative_iou is 0.6: give 0 to positive_iou, 0.5"),
        (tiny.retinanet, {"anchor_sizes": ((8.0,),) * 4}, "give sizes for 5 levels"),
        (tiny.retinanet, {"anchor_sizes": ((8.0,),) * 4 + ((8.0, 9.0),)}, "give as many sizes for every level"),
        (tiny.retinanet, {"prior": 0.0}, "prior is 0.0: give a number above 0, below 1"),
        (tiny.retinanet, {"width": 48, "head_norm": True}, "width is 48: give a multiple of 32 with head_norm"),
        (tiny.retinanet, {"p6_from": "c4"}, "p6_from is 'c4': give one of c5, p5"),
        (tiny.ssd, {"image_size": 8}, "image_size"),
        (
            tiny.ssd,
            {"aspect_ratios": ((0,), (2, 3), (2, 3), (2, 3), (2,), (2,))},
            "aspect_ratios is .*above 0",
        ),
        (tiny.ssd, {"aspect_ratios": ((2,), (-2.0, 3), (2, 3), (2, 3), (2,), (2,))}, "aspect_ratios is"),
        (SSDConfig, {"extra_layers": ((3, 2, 1), (3, 2, -1), (3, 1, 0), (3, 1, 0))}, "extra_layers is"),
        (SSDConfig, {"extra_layers": ((3, 2, 1), (0, 2, 1), (3, 1, 0), (3, 1, 0))}, "extra_layers is"),
        (SSDConfig, {"l2_norm": (0.0,)}, "l2_norm is .*a number above 0"),
        (tiny.ssd, {"l2_norm": (20.0,) * 3}, "l2_norm is .*give numbers for 2 maps at most"),
        (tiny.ssd, {"l2_norm": (10.0,), "map_rms": 0.9}, "map_rms 0.9: give one of them, and .. or 0 for the other"),
        (tiny.refinedet, {"l2_norm": (10.0, 8.0, 8.0, 8.0)}, "give numbers for 3 maps at most"),
        (tiny.refinedet, {"l2_norm": (10.0, 8.0, 8.0), "map_rms": 0.9}, "give one of them"),
        (tiny.ssd, {"anchor_sizes": (10.0, 20.0)}, "anchor_sizes"),
        (tiny.ssd, {"steps": (8, 16, 32, 0)}, "steps"),
        (tiny.ssd, {"aspect_ratios": ((2,),)}, "aspect_ratios"),
        (tiny.ssd, {"extra_channels": ()}, "extra_channels"),
        (tiny.ssd, {"keep": 0}, "keep"),
        (tiny.ssd, {"clip_anchors": "center"}, "clip_anchors"),
        (tiny.ssd, {"nms": "none"}, "nms"),
        (tiny.refinedet, {"image_size": 100}, "image_size"),
        (tiny.refinedet, {"aspect_ratios": ()}, "aspect_ratios"),
        (tiny.refinedet, {"keep": 0}, "keep"),
        (tiny.refinedet, {"extra": "conv7"}, "extra"),
        (tiny.m2det, {"image_size": 100}, "image_size"),
        (tiny.m2det, {"image_size": 16}, "image_size"),
        (tiny.m2det, {"sizes": (0.1, 0.5, 0.9)}, "sizes"),
        (tiny.m2det, {"sizes": (0.1, 0.5, 0.9, -1.0)}, "sizes"),
        (tiny.m2det, {"aspect_ratios": (0.0,)}, "aspect_ratios"),
        (tiny.m2det, {"levels": 0}, "levels"),
        (tiny.m2det, {"width": 1}, "width"),
        (tiny.m2det, {"nms": "none"}, "nms"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[..., Any], config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**config)
