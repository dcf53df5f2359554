"""From a detector to a file that another program runs: traced, converted, run, compared, and only then written."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from vedette.data.atomic import write_whole
from vedette.errors import InputError
from vedette.export.check import RAW, compare, compare_raw, photographs
from vedette.export.compiled import write_compiled
from vedette.export.error import ExportError
from vedette.export.graph import trace
from vedette.export.onnx import to_onnx
from vedette.export.openvino import write_openvino
from vedette.export.pt2 import write_pt2
from vedette.infer.backends.compiled import check_compiler
from vedette.infer.backends.open import open_session, reading
from vedette.infer.backends.pt2 import machine
from vedette.infer.detector import Detector
from vedette.infer.load import detector_of
from vedette.papers.fast_rcnn import FastRCNN
from vedette.papers.faster_rcnn import FasterRCNN
from vedette.papers.rcnn import RegionClassifier
from vedette.weights.exported import Exported

Format = Literal["onnx", "openvino", "pt2"]
ENDINGS: dict[str, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "pt2": (".pt2",)}
REGION_DETECTORS = (RegionClassifier, FastRCNN, FasterRCNN)  # R-CNN and SPPNet are the first
Tell = Callable[[str], None]  # hears what is being done


def export(
    detector: Detector,
    to: Format,
    out: Path,
    *,
    check: Sequence[str | Path] = (),
    raw: bool = False,
    onnx: Path | None = None,
    compiled: bool = False,
    tell: Tell = lambda line: None,
) -> str:
    """Writes a detector on the CPU as a file, once that was run and found the model's boxes in photographs.

    out: ends in .onnx, .xml (with a .bin beside it) or .pt2. check: photographs; by default those of the package.
    raw: the file gives the network's outputs for every anchor, before anything is found. onnx: the same detector's
    file in that format, where there is one: OpenVINO's is translated from it. compiled: of pt2, machine code for
    machines like this one (AOTInductor). → how file and model compare.

    Raises ExportError for what cannot be exported, and for a file that is not the model's equal, and InputError for
    what has nothing to do with the detector; no file is left then.
    """
    check_out(to, out, compiled)
    exported = describe(detector, raw, compiled)
    photographs(check)  # before the work
    with TemporaryDirectory() as folder:
        made = Path(folder) / out.name
        convert(detector, exported, to, made, tell, onnx)
        tell("running the file beside the model")
        report = compared(detector, made, check, raw)
        place(made, out, to)
    return f"{report}; compiled on {exported.compiled_on}" if compiled else report


def check_out(to: str, out: Path, compiled: bool = False) -> None:
    """Raises InputError for a suffix that is not the format's, for a folder, and where nothing can be compiled."""
    if out.suffix != ENDINGS[to][0]:
        raise InputError(f"--out {out}: give it the suffix {ENDINGS[to][0]}, which --to {to} writes")
    for file in map(out.with_suffix, ENDINGS[to]):
        if file.is_dir():
            raise InputError(f"--out {out}: {file} is a folder; give a file's name")
    if compiled and to != "pt2":
        raise InputError(f"--compiled: is of --to pt2, not of {to}; leave it out")
    if compiled:
        check_compiler("--compiled", "leave --compiled out")


def convert(
    detector: Detector, exported: Exported, to: Format, made: Path, tell: Tell, onnx: Path | None = None
) -> None:
    """Writes the file, without a look at what it finds."""
    if to == "openvino" and onnx is not None:
        with reading(onnx):
            return write_openvino(onnx.read_bytes(), exported, made)
    tell("tracing the network")
    traced = trace(detector.model, exported)
    if exported.compiled_on:
        tell("compiling it")
        return write_compiled(traced, exported, made)
    if to == "pt2":
        return write_pt2(traced, exported, made)
    tell("translating it to ONNX")
    model = to_onnx(traced, exported).SerializeToString()
    if to == "onnx":
        made.write_bytes(model)
    else:
        tell("translating that to OpenVINO")
        write_openvino(model, exported, made)
    return None


def describe(detector: Detector, raw: bool = False, compiled: bool = False) -> Exported:
    """What the file will say of itself.

    Raises InputError for what is an exported file already, and for raw outputs of what looks at regions; ExportError
    for a detector of one's own that finds in a way that no graph can call.
    """
    model: Any = detector.model
    if model is None:
        raise InputError("it is exported already: give the weights that it was made from")
    name = detector.name or type(model).__name__
    if not raw and not hasattr(model, "find"):
        raise ExportError(f"{name}: has no method find(predictions, score), which a graph is made of (docs/own.md)")
    if raw and isinstance(model, REGION_DETECTORS):
        raise InputError(f"{name}: looks at regions, not at its anchors alone; leave --raw out")
    return Exported(
        name=name,
        config=asdict(model.config),
        classes=detector.classes,
        category_ids=detector.category_ids,
        input_spec=detector.input_spec,
        thresholds=detector.thresholds,
        sizes=detector.input_spec.resize != "warp",
        raw=raw,
        proposals=model.config.proposals if getattr(model, "needs_proposals", False) else 0,
        compiled_on=machine() if compiled else "",
    )


def place(made: Path, out: Path, to: Format) -> None:
    """Copies a finished file, and what belongs beside it first, to where it is to be: whole or not at all."""
    for ending in reversed(ENDINGS[to]):
        with made.with_suffix(ending).open("rb") as content:
            write_whole(out.with_suffix(ending), lambda file, content=content: shutil.copyfileobj(content, file))  # type: ignore[misc]


def compared(detector: Detector, made: Path, check: Sequence[str | Path], raw: bool) -> str:
    """Raises ExportError where the file is not run, or is not the model's equal."""
    pictures = photographs(check)
    try:
        session = open_session(made)
    except InputError as error:
        raise ExportError(f"the file is not run by its own library and is not written: {error}") from None
    if raw:
        worst = compare_raw(detector, session, pictures)
        report, same = f"{len(pictures)} pictures, outputs differ by {worst:.2g} of their largest value", worst <= RAW
    else:
        found = compare(detector, detector_of(session), pictures)
        report, same = str(found), found.same
    if not same:
        raise ExportError(f"the file is not the model's equal and is not written: {report}")
    return report
