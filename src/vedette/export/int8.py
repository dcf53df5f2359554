"""A detector in eight bits as a file, with what that costs."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from vedette.data.annotations import Dataset
from vedette.data.decode import decode_image
from vedette.errors import InputError
from vedette.evaluate.measure import measure, truths_for
from vedette.evaluate.run import evaluate_model
from vedette.export.check import compare, photographs
from vedette.export.quantise import inputs_of, leave_out, operations, quantiser
from vedette.export.run import ENDINGS, Format, Tell, check_out, convert, place
from vedette.infer.backends.open import open_session
from vedette.infer.detector import Detector
from vedette.infer.load import load
from vedette.infer.multiscale import plan_passes

MOST_PICTURES = 100  # that ranges are measured on


def export_int8(
    detector: Detector,
    to: Format,
    out: Path,
    calibrate: Sequence[Path],
    dataset: Dataset | None,
    max_drop: float,
    tell: Tell = lambda line: None,
) -> str:
    """Writes a detector in INT8, ranges measured on some pictures. → AP before and after, or how boxes compare.

    dataset: annotated images on which AP is measured; what costs more than `max_drop` of it together stays in float32.
    Without one nothing is left out, and what it costs is not known.

    Raises InputError as `export` does, for pictures that cannot be read, and where INT8 costs more in any case.
    """
    check_out(to, out)
    if detector.classes is None and dataset is not None:
        raise InputError("--data: the weights name no classes, so they cannot be matched with those of the data")
    with TemporaryDirectory() as folder:
        plain = Path(folder) / f"float32{ENDINGS[to][0]}"
        convert(detector, to, plain, tell=tell)
        tell("measuring ranges")
        given = inputs_of(load(plain), [decode_image(file) for file in calibrate[:MOST_PICTURES]])
        quantise, made = quantiser(plain, open_session(plain).exported, given), Path(folder) / out.name
        if dataset is None:
            quantise((), made)
            report = f"INT8, not the same boxes: {compare(detector, load(made), photographs())}"
        else:
            own = dataset
            before = average_precision(plain, own)
            report = str(
                leave_out(
                    operations(plain), quantise, lambda file: average_precision(file, own), before, max_drop, made, tell
                )
            )
        place(made, out, to)
    return report


def average_precision(file: Path, dataset: Dataset) -> float:
    """VOC's mAP, by area, of an exported file."""
    detector = load(file)
    classes = detector.classes or ()
    found = evaluate_model(detector.network, dataset, plan_passes(detector.input_spec), workers=0)
    return measure(found, truths_for(dataset, classes), len(classes))["mAP"]
