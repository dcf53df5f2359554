"""torchvision: checkpoints of torchvision's own detectors; of them SSD so far."""

from pathlib import Path

from vedette.infer.layouts import ssd_torchvision
from vedette.infer.layouts.checkpoint import Checkpoint
from vedette.infer.layouts.pickled import read_state_dict


def read(path: Path) -> Checkpoint:
    """A checkpoint file in our terms; raises InputError where it is not a file of tensors."""
    return ssd_torchvision.convert(read_state_dict(path))
