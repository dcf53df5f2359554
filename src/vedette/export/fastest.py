"""The backend that is fastest for a detector on this machine: measured once, and remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from PIL import Image

from vedette.data.atomic import write_json
from vedette.data.cache import cache_folder, check_cache
from vedette.errors import InputError
from vedette.export.backends import Choice, Precision, natural, open_choice
from vedette.export.check import photographs
from vedette.export.kept import Weights, kept_export
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou
from vedette.structures import Detections

if TYPE_CHECKING:
    from vedette.export.run import Tell

ROUNDS, SECONDS = 20, 5.0  # looks at a photograph that are timed, fewer where they take longer together
PICTURES = 1000  # over which the time to start is spread: a compiler's half minute is paid each time
CANDIDATES: tuple[Literal["eager", "onnx", "openvino", "compile"], ...] = ("eager", "onnx", "openvino", "compile")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
SURE, WEAKER, NEAR = 0.5, 0.4, 0.8  # a score that counts; how much lower, and of which IoU, the same may be elsewhere


class Speed(NamedTuple):
    """What a backend takes for a picture alone, and to start, in milliseconds."""

    picture: float
    start: float

    @property
    def spread(self) -> float:
        """Of a picture, with its part of the start."""
        return self.picture + self.start / PICTURES


def fastest(weights: Weights, precision: Precision | None, tell: Tell) -> Choice:
    """As it was measured for this file, processor, number of threads and all versions, or is now; said in one line."""
    file = _remembered_in(weights, precision)
    speeds = _read(file)
    if not speeds:
        check_cache(file.parent)
        speeds, left_out = _measured(weights, precision, tell)
        times = {str(choice): speed._asdict() for choice, speed in speeds.items()}
        about = {"weights": weights.path.name, "threads": torch.get_num_threads(), "processor": _processor()}
        write_json(file, about | {"milliseconds": times, "left_out": left_out})
    order = sorted(speeds, key=lambda choice: speeds[choice].spread)
    first, *others = (f"{choice} {speeds[choice].picture:.0f}" for choice in order)
    rest = f"; {', '.join(others)}" if others else ""
    tell(f"backend auto: {first} ms a picture here{rest}; remembered in {file}")
    if order[0].backend in ("onnx", "openvino"):
        kept_export(weights, order[0].backend, tell)  # which may have been removed since
    return order[0]


def seconds_of(detector: Detector, picture: Image.Image) -> float:
    """The least time that a look at a picture takes: what else the machine does only adds to it."""
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < SECONDS:
        started = perf_counter()
        detector.detect(picture, keep_image=False)
        times.append(perf_counter() - started)
    return min(times)


def agree(ours: Sequence[Detections], theirs: Sequence[Detections]) -> bool:
    """Whether whatever either is sure of has a box of its class near it in the other: of bf16 no more can be asked."""
    both = list(zip(ours, theirs, strict=True))
    return all(_within(one, other) and _within(other, one) for one, other in both)


def _within(one: Detections, other: Detections) -> bool:
    sure = one[one.scores >= SURE]
    near = (iou(sure.boxes, other.boxes) >= NEAR) & (sure.labels[:, None] == other.labels)
    return bool(near.any(1).all())


def _measured(weights: Weights, precision: Precision | None, tell: Tell) -> tuple[dict[Choice, Speed], dict[str, str]]:
    """Every backend that works and finds what eager finds, and why the others are left out."""
    speeds: dict[Choice, Speed] = {}
    expected: list[Detections] = []
    left_out: dict[str, str] = {}
    for backend in CANDIDATES:
        choice = Choice(backend, precision or natural(backend))
        tell(f"measuring {choice}")
        try:
            speed, found = _speed_of(choice, weights, tell)
            expected = expected or found
            if not agree(expected, found):
                raise InputError("it finds other objects on the bundled photographs than eager")
            speeds[choice] = speed
        except Exception as error:  # a compiler's, of whatever kind: auto chooses among what works
            if backend == "eager":
                raise
            left_out[backend] = (str(error).strip().splitlines() or [type(error).__name__])[0]
            tell(f"{choice} is left out: {left_out[backend]}")
    return speeds, left_out


def _speed_of(choice: Choice, weights: Weights, tell: Tell) -> tuple[Speed, list[Detections]]:
    """And what it finds on the bundled photographs."""
    if choice == ("onnx", "bf16"):
        raise InputError("ONNX Runtime computes in float32 on a CPU")
    if choice.backend in ("onnx", "openvino"):
        kept_export(weights, choice.backend, tell)  # which is made once, and no part of a start
    pictures = photographs()
    started = perf_counter()
    detector = open_choice(weights.path, choice, device="cpu", trust=weights.trust, **weights.config)
    if detector.model is not None and choice.backend != "eager":
        raise InputError("it is not run by that, but as it is")
    detector.detect(pictures[0], keep_image=False)  # compilers begin at the first look
    start = perf_counter() - started
    return Speed(seconds_of(detector, pictures[0]) * 1000, start * 1000), detector.detect(pictures, WEAKER, 1)


def _remembered_in(weights: Weights, precision: Precision | None) -> Path:
    key = weights.key(precision, torch.get_num_threads(), _processor())
    return cache_folder("backends") / f"{weights.path.stem}-{key}.json"


def _read(file: Path) -> dict[Choice, Speed]:
    """What a file remembers; nothing of one that is missing or damaged."""
    try:
        rows: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["milliseconds"]
        found = {name: Speed(float(row["picture"]), float(row["start"])) for name, row in rows.items()}
        known = {str(choice): choice for choice in (Choice(one, of) for one in CANDIDATES for of in PRECISIONS)}
        return {known[name]: speed for name, speed in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _processor() -> dict[str, Any]:
    """What this machine computes with, its instructions among it: kernels are chosen by them."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return {"vectors": torch.backends.cpu.get_cpu_capability(), **capabilities}
