"""A detector ready to use, by a bundled name or from a weight file."""

from pathlib import Path
from typing import Any

import torch

from vedette.errors import InputError
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
    **config: Any,
) -> Detector:
    """A detector ready to use: bundled weights by name, or one of our weight files by path.

    graphs: on a GPU, record network and post-processing as CUDA graphs, one a size of input: faster where batches are
    small, after a second for each. trust: the file may be of a detector that did not come with Vedette: the module that
    it names is imported and run. config: fields to detect with other than those stored, `nms="linear"`: those of
    AFTER_TRAINING that the detector has.

    Raises InputError for a name without bundled weights, for a file that is not ours or does not fit, and for a field
    that the weights depend on; and for a file that names a module, unless it is trusted.
    """
    fixed = [field for field in config if field not in AFTER_TRAINING]
    if fixed:
        raise InputError(f"{fixed[0]} cannot be chosen for trained weights: what can is {', '.join(AFTER_TRAINING)}")
    model, stored = restore(weight_file(source), trust=trust, **config)
    return Detector(model, stored.input_spec, stored.classes, device, stored.category_ids, graphs)
