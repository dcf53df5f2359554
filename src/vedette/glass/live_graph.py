"""A detector's network as a graph that gives what its stage of a trace is made of, by the model's own functions.

So the live page decodes nothing and computes no score: it picks, suppresses and tells, as it does for any picture.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vedette.errors import InputError
from vedette.export.check import PIXELS, SCORES, photographs
from vedette.export.graph import examples, traced_as
from vedette.export.half import halve_weights
from vedette.export.onnx import to_onnx
from vedette.export.run import describe
from vedette.infer.backends.open import needed
from vedette.infer.detector import Detector
from vedette.infer.look import Look

OUTPUTS = ("scores", "boxes", "anchors", "moved", "emptiness")  # the last two where there is a first move
SCORE = 0.05  # from which on pairs are compared


class StageGraph(nn.Module):
    """Normalisation, network, and what a one-stage detector makes of every anchor before any is picked."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """images (1, 3, H, W) uint8, sizes (1, 2) heights and widths inside of the padding → OUTPUTS.

        scores (1, A, C) before θ bars any row, boxes (1, A, 4), anchors (A, 4), moved (1, A, 4), emptiness (1, A).
        """
        model: Any = self.look.model
        predictions = self.look(images, sizes)
        anchors, arm = predictions.anchors, getattr(predictions, "arm", None)
        rows = torch.arange(anchors.shape[0], device=anchors.device)[None]
        boxes = model.boxes_at(predictions, rows)
        if arm is None:
            return model.scores(predictions), boxes, anchors
        moved, emptiness = model.refine(arm, anchors).expand_as(boxes), model.emptiness(arm)
        return model.class_scores(predictions), boxes, anchors, moved, emptiness


def live_network(detector: Detector) -> bytes:
    """The graph as ONNX, its weights in sixteen bits; it was run beside the model on the bundled photographs.

    Raises InputError for a detector that looks at regions, and where the graph's boxes are not the model's.
    """
    exported = describe(detector, raw=True)
    look = Look(detector.model, exported.input_spec).eval()
    given, free = examples(exported)
    one = {name: values[:1] for name, values in given.items()}
    sides = {name: {side: dim for side, dim in dims.items() if side} for name, dims in free.items()}
    graph = StageGraph(look)
    with torch.no_grad():
        count = len(graph(**one))
    model = to_onnx(traced_as(graph, one, sides, OUTPUTS[:count], exported.name), exported)
    halve_weights(model)
    network: bytes = model.SerializeToString()
    _check(detector, graph, network, photographs())
    return network


def _check(detector: Detector, graph: StageGraph, network: bytes, pictures: Sequence[Image.Image]) -> None:
    """Raises InputError where boxes or scores are further from the model's than an exported file's may be."""
    session = needed("onnxruntime", "the live page").InferenceSession(network, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for picture in pictures:
        images, shapes, *_ = detector.prepare([picture], detector.input_spec)
        scale = max(picture.width / int(shapes[0, 1]), picture.height / int(shapes[0, 0]))
        feeds = {"images": images, "sizes": shapes}
        with torch.inference_mode():
            scores, boxes, *_ = graph(**{name: feeds[name] for name in names})
        found = session.run(None, {name: feeds[name].numpy() for name in names})
        strong = scores[0].amax(1) >= SCORE
        pixels = _worst(boxes[0][strong], found[1][0][strong.numpy()]) * scale
        levels = _worst(scores, found[0])
        if pixels > PIXELS or levels > SCORES:
            moves = f"boxes move by {pixels:.2g} pixels and scores by {levels:.2g}"
            raise InputError(f"with its weights in sixteen bits the network's {moves}: it makes no live page")


def _worst(ours: Tensor, theirs: Any) -> float:
    return float(np.abs(ours.numpy() - theirs).max(initial=0))
