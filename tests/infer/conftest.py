import pytest
import torch
from torch import Tensor, nn

from vedette.infer.detector import Detector
from vedette.structures import Detections, InputSpec


class BrightBox(nn.Module):
    """Finds the smallest box around what is brighter than half in the red channel; scored 0.8."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batches: list[Tensor] = []
        self.sizes: list[Tensor | None] = []

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Tensor:
        self.batches.append(images)
        self.sizes.append(sizes)
        assert torch.is_inference_mode_enabled()
        assert not self.training
        return images

    def detect(self, predictions: Tensor, score: float = 0.05) -> list[Detections]:
        return [self.find(image, score) for image in predictions]

    def find(self, image: Tensor, score: float) -> Detections:
        rows, columns = (image[0] > 127).nonzero(as_tuple=True)
        count = int(len(rows) > 0 and score <= 0.8)
        ends = [f(side) + plus for f, plus in ((min, 0), (max, 1)) for side in (columns, rows)] if count else [0] * 4
        return Detections(
            boxes=torch.tensor(ends, dtype=torch.float32).view(1, 4)[:count],
            scores=torch.full((count,), 0.8),
            labels=torch.ones(count, dtype=torch.int64),
            source=torch.full((count,), 42),
        )


@pytest.fixture
def detector() -> Detector:
    return Detector(BrightBox(), InputSpec(size=100), ("dark", "bright"), device="cpu")
