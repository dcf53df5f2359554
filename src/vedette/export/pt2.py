"""A traced detector as torch.export writes it."""

import json
import warnings
from pathlib import Path

import torch

from vedette.export.graph import Traced
from vedette.infer.backends.pt2 import METADATA
from vedette.weights.exported import Exported, to_metadata


def write_pt2(traced: Traced, exported: Exported, path: Path) -> None:
    """Writes the program, and beside it in the file what it says of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensors that share memory with none of the others
        torch.export.save(traced.program, path, extra_files={METADATA: json.dumps(to_metadata(exported))})
