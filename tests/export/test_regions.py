"""The graphs of detectors that are given proposals, beside the models, before they are traced."""

from typing import Any

import pytest
import torch
from torch import Tensor

from papers import tiny
from vedette.export.regions import ProposalGraph, rescale
from vedette.infer.look import Inputs, Look
from vedette.papers import sppnet
from vedette.parts.detection import Candidates, unpad
from vedette.structures import Detections

SIZES = torch.tensor([[64, 96], [60, 70]])
COUNTS = (7, 3)


def spread(model: Any) -> Any:
    """Scores that are not nearly equal, as those of new layers are, and boxes of their own for every class."""
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and any(word in name for word in ("logits", "head", "svm", "regressor", "deltas")):
            torch.nn.init.normal_(weight, std=0.15)
    return model.eval()


def batch() -> tuple[Tensor, list[Tensor]]:
    """Two pictures, the second with padding, and some boxes in each."""
    torch.manual_seed(2)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    corner = [torch.rand(count, 2) * 30 for count in COUNTS]
    return images, [torch.cat([low, low + 8 + torch.rand(len(low), 2) * 24], 1) for low in corner]


def by_source(found: Detections) -> Detections:
    """In an order that does not hang on nearly equal scores."""
    return found[(found.source * 3 + found.labels).argsort()]


@pytest.mark.parametrize("kind", ["rcnn", "sppnet", "fast_rcnn"])
def test_padded_proposals_give_what_a_list_of_them_gives(kind: str) -> None:
    """Nine places for seven and three: in parts of four at once, the last of them with one place."""
    config: dict[str, Any] = {"proposals": 9} if kind == "fast_rcnn" else {"proposals": 9, "chunk": 4}
    model = spread(getattr(tiny, kind)(**config))
    images, proposals = batch()
    look = Look(model, model.input_spec).eval()
    frames = SIZES.flip(1)
    expected = look.find(Inputs(images, SIZES, frames, proposals), 0.05)
    padded = torch.full((2, 9, 4), 13.0)
    for row, own in zip(padded, proposals, strict=True):
        row[: len(own)] = own
    with torch.no_grad():
        graph = ProposalGraph(look)(images, torch.tensor(0.05), SIZES, padded, torch.tensor(COUNTS))
    found = unpad(Candidates(*graph))
    for one, other in ((by_source(row[0]), by_source(row[1])) for row in zip(expected, found, strict=True)):
        assert len(one) >= 3
        assert one.source.tolist() == other.source.tolist()
        assert one.labels.tolist() == other.labels.tolist()
        torch.testing.assert_close(other.boxes, one.boxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(other.scores, one.scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("scale", "largest", "side"), [(64, 96, 65), (480, 1200, 130), (688, 1200, 97), (96, 96, 40)])
def test_two_products_of_matrices_resize_as_the_paper_does(scale: int, largest: int, side: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, side, 2 * side)
    expected, found = sppnet.rescale(images, scale / largest), rescale(images, scale, largest)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # float32 positions on both sides
