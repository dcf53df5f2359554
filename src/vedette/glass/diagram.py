"""The paper's own figure of a detector, drawn from the model's maps, and what became of this picture in each step.

    svg = diagram(detector.model, trace)

Blocks and plates carry `data-step`, the name of the step of the trace that they open, `data-in` and `data-out`.
"""

from collections.abc import Callable
from typing import Any

from vedette.glass.networks.m2det import m2det
from vedette.glass.networks.pyramids import fpn, retinanet
from vedette.glass.networks.refinedet import refinedet
from vedette.glass.networks.regions import fast_rcnn, faster_rcnn, rcnn, sppnet
from vedette.glass.networks.rows import Drawn
from vedette.glass.networks.ssd import ssd
from vedette.glass.papers import paper_of
from vedette.glass.scene import Scene, way
from vedette.glass.trace import Trace
from vedette.pages.sketch import sketch

NETWORKS: dict[str, Callable[[Scene], Drawn]] = {
    "RCNN": rcnn,
    "SPPNet": sppnet,
    "FastRCNN": fast_rcnn,
    "FasterRCNN": faster_rcnn,
    "FPN": fpn,
    "RetinaNet": retinanet,
    "SSD": ssd,
    "RefineDet": refinedet,
    "M2Det": m2det,
}


def diagram(model: Any, trace: Trace) -> str:
    """The SVG; a detector of no paper has its steps alone."""
    scene, paper = Scene(model, trace), paper_of(model)
    network, end = NETWORKS[paper](scene) if paper in NETWORKS else Drawn("", 0.0)
    steps, end = way(scene, end + 36)
    return sketch(network + steps, end, f"{paper}: the network, and what became of this picture in each step")
