"""A detector ready to use, by a bundled name or from a weight file."""

from pathlib import Path
from typing import Any

import torch

from vedette.errors import InputError
from vedette.infer.backends.open import is_exported, open_session
from vedette.infer.backends.session import Session
from vedette.infer.detector import Detector
from vedette.zoo import restore, weight_file

# Fields of a detector's config that no weight depends on
AFTER_TRAINING = (
    *("candidates", "candidates_of", "keep", "nms", "nms_iou", "clip_boxes"),
    *("search", "proposals", "before_nms", "proposal_iou", "least_side", "least_side_first", "theta"),
    *("chunk", "scorer", "regress"),
)


def load(
    source: str | Path,
    device: str | torch.device | None = None,
    graphs: bool = False,
    trust: bool = False,
    folded: bool = False,
    **config: Any,
) -> Detector:
    """A detector ready to use: bundled weights by name, one of our weight files by path, or a file of `vedette export`.

    graphs: on a GPU, record network and post-processing as CUDA graphs, one a size of input: faster where batches are
    small, after a second for each. trust: the file may be of a detector that did not come with Vedette: the module that
    it names is imported and run. config: fields to detect with other than those stored, `nms="linear"`: those of
    AFTER_TRAINING that the detector has. folded: batch norms become part of convolutions, for weights that stay as they
    are (`Detector`). An exported file (.onnx, .xml, .pt2) has its fields in its graph, and runs on the CPU.

    Raises InputError for a name without bundled weights, for a file that is not ours or does not fit, and for a field
    that the weights depend on; and for a file that names a module, unless it is trusted.
    """
    fixed = [field for field in config if field not in AFTER_TRAINING]
    if fixed:
        raise InputError(f"{fixed[0]} cannot be chosen for trained weights: what can is {', '.join(AFTER_TRAINING)}")
    path = weight_file(source)
    if is_exported(path):
        return _load_exported(path, device, graphs, config)
    model, stored = restore(path, trust=trust, **config)
    about = (stored.input_spec, stored.classes, device, stored.category_ids, graphs, stored.name, stored.thresholds)
    return Detector(model, *about, folded)


def _load_exported(path: Path, device: str | torch.device | None, graphs: bool, config: dict[str, Any]) -> Detector:
    """Raises InputError too where it is to run in a way that the file has no choice of."""
    if config:
        raise InputError(f"{path}: its graph has its own {next(iter(config))}; export the weights again with another")
    if graphs or (device is not None and torch.device(device).type != "cpu"):
        raise InputError(f"{path}: an exported file runs on the CPU, by its own library; leave device and graphs out")
    return detector_of(open_session(path))


def detector_of(session: Session) -> Detector:
    """An exported file's session, ready to use; raises InputError for one that finds nothing, but gives raw outputs."""
    path, exported = session.path, session.exported
    if exported.raw:
        raise InputError(f"{path}: gives raw outputs, before anything is found; export it without --raw to detect")
    own = exported.classes, None, exported.category_ids, False, exported.name, exported.thresholds
    return Detector(session, exported.input_spec, *own)
