"""Exports that a backend needs: made once for a weight file, and kept in the user's cache folder."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vedette.data.atomic import write_text
from vedette.data.cache import cache_folder, check_cache
from vedette.export.error import ExportError
from vedette.infer.backends.open import needed
from vedette.infer.load import load
from vedette.weights.files import read_weights
from vedette.weights.own import code_of

if TYPE_CHECKING:
    from vedette.export.run import Tell

Kept = Literal["onnx", "openvino"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "openvino": ".xml"}
RUNS = {"onnx": "onnxruntime", "openvino": "openvino"}  # the library that runs a file
MAKES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
WORKED_BY = ("vedette", "torch", "onnx", "onnxscript", "onnxruntime", "openvino")  # whose versions decide what is made


@dataclass(frozen=True)
class Weights:
    """A weight file, and how the detector in it is to detect."""

    path: Path
    trust: bool = False
    config: dict[str, Any] = field(default_factory=dict)  # fields to detect with other than those stored

    def key(self, *more: Any) -> str:
        """The same where an export, or a measurement, would be: of the file's bytes, these fields and all versions, and
        of a trusted module of one's own, its code.
        """
        with self.path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        code = sha256(code_of(read_weights(self.path).name)).hexdigest() if self.trust else ""
        parts = [digest, code, self.config, [_version(name) for name in WORKED_BY], *more]
        described = json.dumps(parts, sort_keys=True)
        return sha256(described.encode()).hexdigest()[:16]


def kept_export(weights: Weights, to: Kept, tell: Tell = lambda line: None) -> Path:
    """The exported file of these weights; made, compared with the model and kept where there is none yet.

    Raises InputError where a library is missing, the weights cannot be loaded or the folder not be written, and
    ExportError for what cannot be exported: that alone is kept, too.
    """
    needed(RUNS[to], f"backend {to}")
    out = cache_folder("exports") / f"{weights.path.stem}-{weights.key()}{SUFFIXES[to]}"
    if out.is_file() and (to == "onnx" or out.with_suffix(".bin").is_file()):
        return out
    refused = out.with_suffix(f".{to}-refused.txt")
    if refused.is_file():
        raise ExportError(f"{refused.read_text(encoding='utf-8').strip()} (remove {refused} to try again)")
    for package in MAKES[to]:
        needed(package, f"backend {to}")
    try:
        _make(weights, to, out, tell)
    except ExportError as error:
        write_text(refused, f"{error}\n")
        raise
    return out


def _make(weights: Weights, to: Kept, out: Path, tell: Tell) -> None:
    from vedette.export.run import export  # late: a file that is kept already needs none of it

    detector = load(weights.path, device="cpu", trust=weights.trust, **weights.config)
    check_cache(out.parent)
    tell(f"exporting {weights.path.name} to {to}, once; this takes minutes")
    started = time.monotonic()
    onnx = out.with_suffix(SUFFIXES["onnx"])
    export(detector, to, out, onnx=onnx if onnx.is_file() else None, tell=tell)
    tell(f"exported in {time.monotonic() - started:.0f} s, kept as {out}")


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"
