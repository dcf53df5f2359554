"""From a detector to a file that another program runs: traced, converted, run, compared, and only then written."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from PIL import Image

from vedette.data.atomic import write_whole
from vedette.errors import InputError
from vedette.export.check import Comparison, compare, photographs
from vedette.export.graph import Traced, trace
from vedette.infer.detector import Detector
from vedette.infer.load import load
from vedette.weights.exported import Exported

Format = Literal["onnx", "openvino", "pt2"]
ENDINGS: dict[str, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "pt2": (".pt2",)}
Tell = Callable[[str], None]  # who is told what is being done


def export(
    detector: Detector,
    to: Format,
    out: Path,
    *,
    check: Sequence[str | Path] = (),
    raw: bool = False,
    tell: Tell = lambda line: None,
) -> Comparison | None:
    """Writes a detector on the CPU as a file, once it was run and found the model's boxes in photographs.

    out: ends in .onnx, .xml (with a .bin beside it) or .pt2. check: photographs, by default those that come with the
    package. raw: logits and deltas of every anchor, before anything is found; compared number by number.

    Raises InputError for what cannot be exported, and for a file that is not the model's equal; none is left then.
    """
    check_out(to, out)
    pictures = photographs(check)
    exported = describe(detector, raw)
    with TemporaryDirectory() as folder:
        made = Path(folder) / out.name
        tell("tracing the network")
        traced = trace(detector.model, exported)
        convert(traced, exported, to, made, tell)
        tell("running the file beside the model")
        found = _checked(detector, made, traced, pictures, raw)
        _place(made, out, ENDINGS[to])
    return found
