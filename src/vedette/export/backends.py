"""A detector run by the backend that is asked for: PyTorch as it is, PyTorch compiled, ONNX Runtime or OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from vedette.errors import InputError
from vedette.export.error import ExportError
from vedette.export.kept import Kept, Weights, kept_export
from vedette.infer import load as loading
from vedette.infer.backends.open import is_exported, open_session
from vedette.infer.backends.session import Session
from vedette.infer.detector import Detector, choose_device
from vedette.infer.precision import fast_precision
from vedette.zoo import weight_file

if TYPE_CHECKING:
    from vedette.export.run import Tell

Backend = Literal["auto", "eager", "compile", "onnx", "openvino"]
Precision = Literal["fp32", "bf16"]
IN_BF16 = ("compile", "openvino")  # where the processor does; eager stays as it was, ONNX Runtime has no kernels


class Choice(NamedTuple):
    """What runs a detector, and in which precision; a backend of None: what `load` has without one."""

    backend: Literal["eager", "compile", "onnx", "openvino"] | None
    precision: Precision | None = None

    def __str__(self) -> str:
        return f"{self.backend} in {self.precision}"


def load(
    source: str | Path,
    device: str | torch.device | None = None,
    graphs: bool = False,
    trust: bool = False,
    *,
    backend: Backend | None = None,
    precision: Precision | None = None,
    tell: Tell = lambda line: None,
    **config: Any,
) -> Detector:
    """A detector ready to use: bundled weights by name, one of our weight files by path, or a file of `vedette export`.

    graphs: on a GPU, record network and post-processing as CUDA graphs, one a size of input: faster where batches are
    small, after a second for each. trust: the file may be of a detector that did not come with Vedette: the module that
    it names is imported and run. config: fields to detect with other than those stored, `nms="linear"`.

    backend: "eager" is PyTorch as it is, "compile" its compiler; "onnx" and "openvino" export the weights once and keep
    the file in the user's cache folder; "auto" is what was fastest here when it was measured, once. precision: by
    default compile and openvino compute in bf16 where the processor does, and the others in fp32. A detector that a
    backend cannot run is run as it is. tell: hears in a line of each such choice, and of work that takes minutes.

    Raises InputError for a name without bundled weights, for a file that is not ours or does not fit, for a field that
    the weights depend on, for a file that names a module unless it is trusted, and where what a backend needs is not
    there. `model` of a detector is None unless PyTorch runs it as it is.
    """
    if backend is None:
        if precision is not None:
            raise InputError(f"precision {precision}: belongs to a backend; give one, or bf16 to detect")
        return loading.load(source, device, graphs, trust, **config)
    if graphs:
        raise InputError("graphs: recorded of PyTorch as it is; leave backend out")
    path = weight_file(source)
    choice = settle(path, backend, precision, device=device, trust=trust, tell=tell, **config)
    return open_choice(path, choice, device=device, trust=trust, tell=tell, **config)


def settle(
    path: Path,
    backend: Backend,
    precision: Precision | None = None,
    *,
    device: str | torch.device | None = None,
    trust: bool = False,
    tell: Tell = lambda line: None,
    **config: Any,
) -> Choice:
    """Which backend it is, in which precision, with all exports made: `open_choice` then starts at once.

    Raises InputError as `load` does.
    """
    if is_exported(path):
        if backend != "auto":
            raise InputError(f"backend {backend}: {path} is run by its own library; leave backend out")
        return Choice(None, precision)
    weights = Weights(path, trust, config)
    if backend in ("onnx", "openvino"):
        return _exported(weights, backend, precision, device, tell)
    on_gpu = choose_device(device).type != "cpu"
    if backend == "auto" and not on_gpu:
        from vedette.export.fastest import fastest

        return fastest(weights, precision, tell)
    if backend == "auto":
        tell("backend auto: eager on a GPU; compile, and graphs, may be faster there")
        backend = "eager"
    return Choice(backend, precision or ("fp32" if on_gpu else natural(backend)))


def open_choice(
    path: Path,
    choice: Choice,
    *,
    device: str | torch.device | None = None,
    trust: bool = False,
    tell: Tell = lambda line: None,
    **config: Any,
) -> Detector:
    """A detector run by what `settle` gave. Raises InputError as `load` does."""
    bf16 = choice.precision == "bf16"
    if choice.backend is None:
        return loading.detector_of(open_session(path, bf16))
    if choice.backend in ("onnx", "openvino"):
        return loading.detector_of(_kept_session(Weights(path, trust, config), choice.backend, bf16, tell))
    eager = loading.load(path, device, trust=trust, **config)
    eager.bf16 = bf16
    return eager if choice.backend == "eager" else _compiled(eager, path, tell)


def natural(backend: str) -> Precision:
    """What a backend computes in where nothing else is asked for."""
    return fast_precision(torch.device("cpu")) if backend in IN_BF16 else "fp32"


def _kept_session(weights: Weights, to: Kept, bf16: bool, tell: Tell) -> Session:
    """Of the kept export, which is made again where it is damaged."""
    file = kept_export(weights, to, tell)
    try:
        return open_session(file, bf16)
    except InputError as error:
        tell(f"{error}; it is made again now")
    file.unlink(missing_ok=True)
    return open_session(kept_export(weights, to, tell), bf16)


def _compiled(eager: Detector, path: Path, tell: Tell) -> Detector:
    """The same compiled, or itself where it is no one graph."""
    from vedette.export.run import describe
    from vedette.infer.backends.compiled import compiled_session

    try:
        exported = describe(eager)
        if exported.proposals:
            raise ExportError(f"{exported.name}: is given regions, of which each picture has another number")
    except ExportError as error:
        tell(f"backend compile: {error}; eager runs instead")
        return eager
    tell("compile: kernels are made at the first look at a batch of each size, which takes from seconds to minutes")
    return loading.detector_of(compiled_session(path, eager.model, exported, eager.bf16, eager.device))


def _exported(
    weights: Weights, to: Kept, precision: Precision | None, device: str | torch.device | None, tell: Tell
) -> Choice:
    """That backend, or eager where the detector cannot be exported; the file is there then."""
    if device is not None and torch.device(device).type != "cpu":
        raise InputError(f"backend {to}: runs on the CPU; leave device out, or choose eager or compile")
    choice = Choice(to, precision or natural(to))
    if choice == ("onnx", "bf16"):
        raise InputError("backend onnx: ONNX Runtime computes in float32 on a CPU; leave bf16 out, or take openvino")
    try:
        file = kept_export(weights, to, tell)
    except ExportError as error:
        tell(f"backend {to}: {error}; eager runs instead")
        return Choice("eager", precision or "fp32")
    tell(f"{choice}: {file}")
    return choice
