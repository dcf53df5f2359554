"""What several tests share."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the development data sets; tests that need it are skipped where it is not."""
    root = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()
    if not root.is_dir():
        pytest.skip("no development data: set VEDETTE_DATA")
    return root


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)
