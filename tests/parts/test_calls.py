"""What a model is given beside the images."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vedette.parts.calls import predict, whole_sizes
from vedette.structures import InputSpec

SIZES = torch.tensor([[30, 20]])
PROPOSALS = [torch.tensor([[1.0, 2, 3, 4]])]


class Remembers(nn.Module):
    def __init__(self, **marks: bool) -> None:
        super().__init__()
        self.needs_proposals = marks.get("needs_proposals", False)

    def forward(self, *given: Tensor, **more: Any) -> dict[str, Any]:
        assert len(given) == 1
        return more


@pytest.mark.parametrize("needs", [False, True])
@pytest.mark.parametrize("resize", ["warp", "short side"])
def test_a_model_is_given_what_it_takes(needs: bool, resize: str) -> None:
    spec = InputSpec(size=32, resize=resize)  # type: ignore[arg-type]
    model = Remembers(needs_proposals=needs)
    more = predict(model, torch.zeros(1, 3, 32, 32), spec, SIZES, PROPOSALS)
    assert set(more) == ({"sizes"} if resize == "short side" else set()) | ({"proposals"} if needs else set())
    assert more.get("proposals", PROPOSALS) is PROPOSALS
    assert more.get("sizes", SIZES).tolist() == [[30, 20]]
    assert predict(nn.Identity(), SIZES, InputSpec(size=32), SIZES) is SIZES


def test_without_sizes_the_whole_batch_is_image() -> None:
    images = torch.zeros(2, 3, 40, 60)
    assert whole_sizes(images, None).tolist() == [[40, 60], [40, 60]]
    assert whole_sizes(images, SIZES.repeat(2, 1)).tolist() == [[30, 20], [30, 20]]
    with pytest.raises(ValueError, match=r"sizes has shape \(1, 2\): give \(2, 2\)"):
        whole_sizes(images, SIZES)
