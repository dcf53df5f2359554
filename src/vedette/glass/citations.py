"""Where each step stands in its paper, and in our code: the page beside the PDF.

A paper's own entries come first, then those of the paper that it builds on, then what every detector does.
"""

from typing import NamedTuple


class Cited(NamedTuple):
    """A place in a paper, and a symbol."""

    paper: str
    code: str


NAMES = {
    "RCNN": "R-CNN, CVPR 2014",
    "SPPNet": "SPPNet, ECCV 2014",
    "FastRCNN": "Fast R-CNN, ICCV 2015",
    "FasterRCNN": "Faster R-CNN, NIPS 2015",
    "FPN": "FPN, CVPR 2017",
    "RetinaNet": "RetinaNet, ICCV 2017",
    "SSD": "SSD, ECCV 2016",
    "RefineDet": "RefineDet, CVPR 2018",
    "M2Det": "M2Det, AAAI 2019",
}
SHARED = {
    "pick": "vedette.parts.detection.find",
    "decode": "vedette.parts.box_coder.BoxCoder.decode",
    "suppress": "vedette.parts.detection.suppress",
    "keep": "vedette.parts.detection.suppress",
    "frame": "vedette.infer.look.in_frame",
    "merge suppress": "vedette.infer.multiscale.suppress_passes",
    "merge keep": "vedette.infer.multiscale.merge",
}
BUILDS_ON = {"FPN": "FasterRCNN", "M2Det": "SSD"}
SOFT = Cited("Soft-NMS, ICCV 2017, sec. 3", "vedette.ops.nms.soft_nms")
OWN: dict[str, dict[str, Cited]] = {
    "RCNN": {
        "regions": Cited("sec. 2.1 and app. A", "rcnn.warp"),
        "floor": Cited("sec. 2.2 and 2.3", "rcnn.RegionClassifier.scores"),
        "decode": Cited("app. C", "rcnn.RegionClassifier.boxes_at"),
        "suppress": Cited("sec. 2.2", "rcnn.RegionClassifier.find"),
    },
    "SPPNet": {
        "regions": Cited("sec. 2.2, sec. 4.1 and app. A", "sppnet.pool_pyramid"),
        "floor": Cited("sec. 4.1", "rcnn.RegionClassifier.scores"),
        "decode": Cited("sec. 4.1", "rcnn.RegionClassifier.boxes_at"),
        "suppress": Cited("sec. 4.1", "rcnn.RegionClassifier.find"),
    },
    "FastRCNN": {
        "regions": Cited("sec. 2.1", "fast_rcnn.RegionPool"),
        "floor": Cited("sec. 2.1", "fast_rcnn.region_scores"),
        "decode": Cited("sec. 2.1", "fast_rcnn.region_boxes"),
        "suppress": Cited("sec. 3", "fast_rcnn.find_in_regions"),
    },
    "FasterRCNN": {
        "anchors": Cited("sec. 3.1.1", "faster_rcnn.FasterRCNN.build_anchors"),
        "rpn refine": Cited("sec. 3.1 and fig. 3", "faster_rcnn.RPN"),
        "rpn floor": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.propose"),
        "rpn pick": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.propose"),
        "rpn decode": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.propose"),
        "rpn suppress": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.propose"),
        "rpn keep": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.propose"),
        "regions": Cited("fig. 2", "fast_rcnn.RegionPool"),
        "floor": Cited("fig. 2", "fast_rcnn.region_scores"),
        "decode": Cited("fig. 2", "fast_rcnn.region_boxes"),
        "suppress": Cited("sec. 3.3", "faster_rcnn.FasterRCNN.find"),
    },
    "FPN": {
        "anchors": Cited("sec. 4.1", "faster_rcnn.FasterRCNN.build_anchors"),
        "rpn refine": Cited("sec. 4.1", "faster_rcnn.RPN"),
        "regions": Cited("sec. 4.2, eq. 1", "fpn.level_of"),
        "floor": Cited("sec. 4.2", "fast_rcnn.region_scores"),
        "decode": Cited("sec. 4.2", "fast_rcnn.region_boxes"),
    },
    "RetinaNet": {
        "anchors": Cited("sec. 4", "retinanet.RetinaNet.build_anchors"),
        "floor": Cited("sec. 4 and 4.1", "retinanet.RetinaNet.scores"),
        "pick": Cited("sec. 4.1", "retinanet.RetinaNet.find"),
        "decode": Cited("sec. 4", "retinanet.RetinaNet.boxes_at"),
        "suppress": Cited("sec. 4.1", "retinanet.RetinaNet.find"),
    },
    "SSD": {
        "anchors": Cited("sec. 2.2, eq. 4", "ssd.SSD.build_anchors"),
        "floor": Cited("sec. 2.1", "ssd.Multibox.scores"),
        "pick": Cited("sec. 3.7", "ssd.Multibox.find"),
        "decode": Cited("sec. 2.2, eq. 2", "ssd.Multibox.boxes_at"),
        "suppress": Cited("sec. 3.7", "ssd.Multibox.find"),
        "keep": Cited("sec. 3.7", "ssd.Multibox.find"),
    },
    "RefineDet": {
        "anchors": Cited("sec. 3.3", "refinedet.RefineDet.build_anchors"),
        "refine": Cited("sec. 3.2", "refinedet.RefineDet.refine"),
        "floor": Cited("sec. 3.1 and 3.3", "refinedet.RefineDet.scores"),
        "pick": Cited("sec. 3.3", "refinedet.RefineDet.find"),
        "decode": Cited("sec. 3.2", "refinedet.RefineDet.boxes_at"),
        "suppress": Cited("sec. 3.3", "refinedet.RefineDet.find"),
        "keep": Cited("sec. 3.3", "refinedet.RefineDet.find"),
    },
    "M2Det": {
        "anchors": Cited("sec. “Network configurations”", "m2det.M2Det.build_anchors"),
        "floor": Cited("sec. “Network configurations”", "ssd.Multibox.scores"),
    },
}


def cited(paper: str, step: str, soft: bool = False) -> Cited:
    """Of a step of that paper's detector; "" where it has no place of its own. soft: scores are weakened."""
    if soft and step.endswith("suppress"):
        return SOFT
    for name in (paper, BUILDS_ON.get(paper, "")):
        if step in OWN.get(name, {}):
            own = OWN[name][step]
            return Cited(f"{NAMES[name]}, {own.paper}", f"vedette.papers.{own.code}")
    return Cited("", SHARED.get(step.removeprefix("rpn "), ""))
