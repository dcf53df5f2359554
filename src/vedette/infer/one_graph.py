"""From bytes to detections as one graph of tensors: what an exported file holds.

Shapes: `B` pictures of a batch, `N` detections of each, padded; a score of 0 means there is none.
"""

from typing import Any

from torch import Tensor, nn

from vedette.infer.look import Look


class OneGraph(nn.Module):
    """Normalisation, network and `find` of a look, which floor of the scores counts given as a tensor."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(self, images: Tensor, score: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """images (B, 3, H, W) uint8, RGB; score () float32; sizes (B, 2) heights and widths inside a padded batch.

        → boxes (B, N, 4) in pixels of the images, scores (B, N), labels and source (B, N), best first.
        """
        return tuple(self.look.model.find(_predictions(self.look, images, sizes), score).kept)  # type: ignore[operator]


class RawGraph(nn.Module):
    """Normalisation and network of a look, and what the network says of every anchor, before `find`."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """images and sizes as above → the tensors of the model's predictions, named by `tensors_of`."""
        return tuple(tensors_of(_predictions(self.look, images, sizes)).values())


def _predictions(look: Look, images: Tensor, sizes: Tensor | None) -> Any:
    """Without autocast around it, which a graph would hold as an operation that torch.export cannot always read."""
    return look.model(look.pixels(images, sizes), sizes)


def tensors_of(predictions: Any, before: str = "") -> dict[str, Tensor]:
    """The tensors of a named tuple, or of named tuples in it, by their names: `arm_logits`, `arm_deltas` …"""
    if isinstance(predictions, Tensor):
        return {before: predictions}
    fields = predictions._asdict() if hasattr(predictions, "_asdict") else {}
    found: dict[str, Tensor] = {}
    for name, value in fields.items():
        found |= tensors_of(value, f"{before}_{name}" if before else name)
    return found
