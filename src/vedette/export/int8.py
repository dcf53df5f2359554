"""A detector as a file in INT8, with what that costs."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from vedette.data.decode import decode_image
from vedette.data.loader import AnnotatedImages
from vedette.errors import InputError
from vedette.evaluate.measure import measure
from vedette.evaluate.run import evaluate_model
from vedette.evaluate.truth import Truth
from vedette.export import int8_onnx, int8_openvino
from vedette.export.check import SCORE, compare, photographs
from vedette.export.leave_out import leave_out
from vedette.export.run import ENDINGS, Format, Tell, check_out, compared, convert, describe, place
from vedette.infer.detector import Detector
from vedette.infer.load import load
from vedette.infer.multiscale import plan_passes
from vedette.weights.exported import Exported

BY: dict[str, Any] = {"onnx": int8_onnx, "openvino": int8_openvino}
PICTURES, SEED = 100, 0  # that ranges are measured on, and of their choice

Progress = Callable[[int, int], None]  # hears of pictures done, and of all
Watch = Callable[[], AbstractContextManager[Progress]]


def _unwatched() -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class Judged:
    """Annotated pictures that say what INT8 costs."""

    name: str  # of the data, without a path: it goes into the file
    images: AnnotatedImages
    truths: Sequence[Truth]  # in the detector's classes
    max_drop: float | None = None  # of AP; layers that cost more are left in float32
    watch: Watch = _unwatched


@dataclass(frozen=True)
class _Made:
    """A file in float32, the one in INT8 to be written, and what ranges are measured on."""

    to: Format
    exported: Exported
    plain: Path
    out: Path
    rows: Sequence[dict[str, Any]]

    def quantise(self, left_out: Sequence[str] = ()) -> None:
        """Raises InputError where the library does not run what it made."""
        for ending in ENDINGS[self.to]:
            self.out.with_suffix(ending).unlink(missing_ok=True)  # whoever has read it keeps what it was
        BY[self.to].quantise(self.plain, self.rows, left_out, self.out)
        self.stamp({})
        try:
            load(self.out)
        except InputError as error:
            line = f"--int8: {self.to} does not run this detector in INT8 ({error}); choose another --to"
            raise InputError(line) from None

    def stamp(self, int8: dict[str, Any]) -> None:
        """Has the file say what it is, what it was made with, and what it costs."""
        pictures = {"pictures": len(self.rows), "seed": SEED}
        BY[self.to].stamp(self.out, replace(self.exported, int8=pictures | int8))


def export_int8(
    detector: Detector,
    to: Format,
    out: Path,
    calibrate: Sequence[Image.Image],
    judged: Judged | None = None,
    *,
    check: Sequence[str | Path] = (),
    tell: Tell = lambda line: None,
) -> str:
    """Writes a detector on the CPU as a file in INT8, ranges measured on some pictures. → what it costs, in words.

    to, out, check: as in `export`, whose check the file in float32 has to pass first. judged: where AP is measured
    before and after; the layers that cost more than is allowed are found by measuring and stay in float32.

    Raises InputError as `export` does, for a format that has no INT8, and where more AP is lost than is allowed: no
    file is left then.
    """
    if to not in BY:
        raise InputError(f"--int8: there is none of --to {to}; choose {' or '.join(BY)}")
    check_out(to, out)
    exported = describe(detector)
    with TemporaryDirectory() as folder:
        plain = Path(folder) / f"float32{ENDINGS[to][0]}"
        convert(detector, exported, to, plain, tell)
        tell("running the file in float32 beside the model")
        compared(detector, plain, check, raw=False)
        tell(f"measuring ranges on {len(calibrate)} pictures")
        made = _Made(to, exported, plain, Path(folder) / out.name, inputs_of(load(plain), calibrate))
        if judged is None:
            made.quantise()
            report = f"not the model's equal: {compare(detector, load(made.out), photographs(check))}"
        else:
            report = _judge(made, judged, tell)
        place(made.out, out, to)
    return f"INT8, ranges of {len(calibrate)} pictures; {report}"


def choose(files: Sequence[Path], tell: Tell = lambda line: None) -> list[Image.Image]:
    """PICTURES of these files at most, chosen at random but the same each time; those that cannot be read are told.

    Raises InputError where none can be.
    """
    chosen = random.Random(SEED).sample(sorted(files), min(PICTURES, len(files)))
    pictures: list[Image.Image] = []
    for file in chosen:
        try:
            pictures.append(decode_image(file))
        except InputError as error:
            tell(f"passed over: {error}")
    if not pictures:
        raise InputError(f"--calibrate: none of {len(chosen)} pictures can be read; give photographs")
    return pictures


def inputs_of(detector: Detector, pictures: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """What the graph of an exported file is given for each picture alone, as arrays."""
    rows: list[dict[str, Any]] = []
    for picture in pictures:
        inputs = detector.prepare([picture], detector.input_spec)
        session: Any = detector.network
        rows.append(
            {
                name: value.numpy()
                for name, value in session.inputs(inputs.images, inputs.shapes, SCORE, inputs.proposals).items()
            }
        )
    return rows


def average_precision(file: Path, judged: Judged) -> float:
    """VOC's, by area, of an exported file."""
    detector = load(file)
    with judged.watch() as progress:
        passes = plan_passes(detector.input_spec, batch_size=1)
        found = evaluate_model(detector.network, judged.images, passes, workers=0, progress=progress)
    return measure(found, judged.truths, len(detector.classes or ()))["mAP"]


def _judge(made: _Made, judged: Judged, tell: Tell) -> str:
    """Quantises within the drop that is allowed, and has the file say what it costs."""
    before = average_precision(made.plain, judged)

    def without(layers: Sequence[str]) -> float:
        made.quantise(layers)
        return average_precision(made.out, judged)

    most = float("inf") if judged.max_drop is None else judged.max_drop
    left, after = leave_out(BY[made.to].layers(made.plain), without, before, most, tell)
    made.stamp({"data": judged.name, "float32": before, "int8": after, "left_out": left})
    kept = f", {len(left)} layers in float32" if left else ""
    return f"AP on {judged.name}: {before:.4f} in float32, {after:.4f} in INT8{kept}"
