"""The papers' own figures, drawn from the models' maps; the steps of RefineDet alone, whose weights are here."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import vedette
from learn.demo import detector, photo, trace
from vedette.glass.diagram import NETWORKS, diagram
from vedette.glass.papers import paper_of
from vedette.glass.scene import Scene
from vedette.infer.detector import Detector
from vedette.pages.sketch import sketch
from vedette.papers.rcnn import RegionClassifier

FOOT, VERDICT = 8, 22  # units below the last line, and of R-CNN's last line
FEW: dict[str, Any] = {"proposals": 50}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rcnn": ("rcnn-alexnet", FEW),
    "sppnet": ("sppnet-zf5", FEW),
    "fast-rcnn": ("fast-rcnn-vgg16", FEW),
    "faster-rcnn": ("faster-rcnn-vgg16", {}),
    "fpn": ("faster-rcnn-resnet50-fpn", {}),
    "retinanet": ("retinanet-resnet50-fpn", {}),
    "ssd": ("ssd300-vgg16", {}),
    "m2det": ("m2det320-vgg16", {}),
}


def trained() -> str:
    """The bundled network, and what became of a photograph in each of its steps."""
    return diagram(detector().model, trace("chelsea"))


def untrained(name: str, fields: dict[str, Any]) -> str:
    """A network of the paper's size with random weights: its maps alone."""
    torch.manual_seed(0)
    model = vedette.build(name, **fields)
    classifies_regions = isinstance(model, RegionClassifier)
    if classifies_regions:
        model.svm_fitted.fill_(True)  # as after a training: the paper's SVMs score
    seen = vedette.explain(Detector(model, device="cpu"), photo("chelsea"))
    network, end = NETWORKS[paper_of(model)](Scene(model, seen))
    verdict = VERDICT if classifies_regions else 0  # the last line, which random weights have no say in
    return sketch(network, end + FOOT - verdict, f"The network of {name}")


FIGURES: dict[str, Callable[[], str]] = {"refinedet-network": trained} | {
    f"{paper}-network": partial(untrained, name, fields) for paper, (name, fields) in MODELS.items()
}
