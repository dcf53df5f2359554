"""What of a padded batch is image."""

import pytest
import torch

from vedette.parts.sizes import whole_sizes


def test_the_whole_batch_unless_told() -> None:
    images = torch.zeros(2, 3, 32, 64)
    assert whole_sizes(images, None).tolist() == [[32, 64], [32, 64]]
    assert whole_sizes(images, torch.tensor([[30, 20], [8, 9]])).tolist() == [[30, 20], [8, 9]]
    with pytest.raises(ValueError, match=r"sizes has shape \(2,\): give \(2, 2\)"):
        whole_sizes(images, torch.tensor([30, 20]))
