"""Hand-made networks whose answers are known."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from papers import tiny
from vedette.infer.detector import Detector
from vedette.papers.refinedet import Predictions
from vedette.structures import HeadOutput

OBJECT = (20.0, 20.0, 52.0, 52.0)
SURE, UNSURE, MAYBE = 20.0, 12.5, 11.0  # logits against a background of 10
PICTURE = Image.new("RGB", (64, 64))


def anchor(row: int, column: int) -> int:
    """The square of 32 pixels around a cell of stride 8: (4, 4) is the object's very box, a column more is 8 pixels."""
    return (row * 8 + column) * 3 + 1


def refinedet(say: Callable[[HeadOutput, HeadOutput], None], **config: Any) -> Detector:
    """RefineDet that says nothing of the picture but what `say` writes: logits of the ARM and the ODM, and deltas."""
    model = tiny.refinedet(**config).eval()
    count = len(model.anchors)
    odm = HeadOutput(torch.zeros(1, count, 4), torch.zeros(1, count, 4))
    odm.logits[..., 0] = 10.0
    arm = HeadOutput(torch.zeros(1, count, 2), torch.zeros(1, count, 4))
    say(arm, odm)
    model.forward = lambda images, sizes=None, proposals=None: Predictions(arm, odm, model.anchors)  # type: ignore[method-assign]
    return Detector(model, device="cpu")


def crowd(arm: HeadOutput, odm: HeadOutput) -> None:
    """A neighbour 16 pixels on, surer than the object's own box, which lies 8 pixels off: both at IoU 0.6 with it."""
    odm.logits[0, anchor(4, 5), 1], odm.logits[0, anchor(4, 6), 1] = UNSURE, SURE


class FixedRPN(nn.Module):
    """Says of every anchor what it was told."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.said = logits

    def forward(self, features: Any) -> HeadOutput:
        return HeadOutput(self.said[None], torch.zeros(1, len(self.said), 4))


def two_stage(proposals: int, **config: Any) -> Detector:
    """Anchors of 16 and 32 pixels on 4×4 cells; that of 32 around (40, 24) is likely an object, less than another."""
    model = tiny.faster_rcnn(proposals=(50, proposals), **config).eval()
    logits = torch.zeros(4 * 4 * 6, 2)
    logits[(1 * 4 + 2) * 6 + 3, 1], logits[(3 * 4 + 0) * 6 + 2, 1] = 5.0, 9.0
    model.rpn = FixedRPN(logits)
    return Detector(model, device="cpu")
