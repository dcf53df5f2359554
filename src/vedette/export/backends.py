"""A detector run by whatever is fastest on this machine: measured once for its weights, and remembered."""

import json
import platform
import shutil
from dataclasses import dataclass
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, cast

import torch

from vedette.data.atomic import write_json
from vedette.data.cache import cache_folder
from vedette.errors import InputError
from vedette.export.check import photographs
from vedette.export.run import ENDINGS, Format, Tell, export
from vedette.infer.backends.open import is_exported
from vedette.infer.detector import Detector
from vedette.infer.load import load
from vedette.zoo import weight_file

Backend = Literal["auto", "eager", "compile", "onnx", "openvino"]
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
COMPILERS = ("c++", "g++", "clang++", "cl")
WARM_UP, LOOKS = 2, 7  # looks at a photograph before the time counts, and those of which the least counts
REMEMBERED = "backends.json"


@dataclass(frozen=True)
class Asked:
    """Which detector, and how it is to run."""

    weights: Path
    bf16: bool
    config: dict[str, Any]  # fields to detect with other than those stored
    trust: bool = False

    def key(self) -> str:
        """Of what the result of a measurement, or an export, depends on."""
        with self.weights.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        return sha256(json.dumps([digest, self.config, _versions()], sort_keys=True).encode()).hexdigest()[:16]


def load_on(
    source: str | Path,
    backend: Backend = "auto",
    *,
    bf16: bool = False,
    trust: bool = False,
    tell: Tell = lambda line: None,
    **config: Any,
) -> Detector:
    """A detector on the CPU as `load` gives it, run by that backend; onnx and openvino are exported once and kept.

    auto: of those installed, the one that was fastest here. bf16: that it is asked in. An exported file is its own
    backend. Raises InputError as `load` and `export` do, and where what a backend needs is missing.
    """
    path = weight_file(source)
    if is_exported(path):
        if backend != "auto":
            raise InputError(f"--backend {backend}: {path} is run by its own library; leave it out")
        return load(path, **config)
    asked = Asked(path, bf16, config, trust)
    return _detector(asked, _fastest(asked, tell) if backend == "auto" else backend, tell)


def available(bf16: bool) -> list[str]:
    """The backends that can run here, in the precision asked for."""
    found = ["eager"]
    found += ["compile"] * any(map(shutil.which, COMPILERS))
    found += [name for name, packages in PACKAGES.items() if all(map(find_spec, packages))]
    return [name for name in found if not (bf16 and name == "onnx")]  # which has no kernels for it on a CPU


def _detector(asked: Asked, backend: str, tell: Tell) -> Detector:
    if backend not in PACKAGES:
        if backend == "compile" and not any(map(shutil.which, COMPILERS)):
            raise InputError(f"--backend compile: needs a C++ compiler, one of {', '.join(COMPILERS)}; install one")
        return load(asked.weights, device="cpu", trust=asked.trust, compiled=backend == "compile", **asked.config)
    to = cast("Format", backend)
    kept = cache_folder("exports") / f"{asked.weights.stem}-{asked.key()}{ENDINGS[to][0]}"
    if not all(kept.with_suffix(ending).is_file() for ending in ENDINGS[to]):
        tell(f"exporting to {to} once, into {kept.parent}")
        export(load(asked.weights, device="cpu", trust=asked.trust, **asked.config), to, kept, tell=tell)
    return load(kept)


def _fastest(asked: Asked, tell: Tell) -> str:
    """As it was measured, or is now; said in one line."""
    file = cache_folder("exports") / REMEMBERED
    known, key = _read(file), f"{asked.key()} {'bf16' if asked.bf16 else 'fp32'} {torch.get_num_threads()} threads"
    times: dict[str, float] = known.get(key) or _measured(asked, tell)
    best = min(times, key=lambda name: times[name])
    if key not in known:
        write_json(file, known | {key: times})
    shown = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in sorted(times.items(), key=lambda row: row[1]))
    tell(f"backend {best}: a picture takes {shown} ms here ({file})")
    return best


def _measured(asked: Asked, tell: Tell) -> dict[str, float]:
    """Seconds that a look at a photograph takes on each backend that works."""
    times = {}
    for name in available(asked.bf16):
        tell(f"measuring {name}")
        try:
            times[name] = seconds_of(_detector(asked, name, tell), asked.bf16)
        except InputError as error:
            tell(f"{name} is left out: {error}")
    return times


def seconds_of(detector: Detector, bf16: bool = False) -> float:
    """The least time, of some, that a look at a decoded photograph takes."""
    picture = photographs()[0]
    times = []
    for _ in range(WARM_UP + LOOKS):
        start = perf_counter()
        detector.detect(picture, bf16=bf16, keep_image=False)
        times.append(perf_counter() - start)
    return min(times[WARM_UP:])


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _versions() -> list[str]:
    """Of whatever an export comes from, and the processor."""
    found = [platform.machine(), platform.processor()]
    for name in ("vedette", "torch", "onnx", "onnxruntime", "openvino"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return found
