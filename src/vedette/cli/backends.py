"""What runs a detector, as `detect`, `evaluate` and `serve` are told: options, and the detector that they give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.data.findings import shown
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.export.backends import Choice, Precision
    from vedette.infer.detector import Detector

Name = Literal["auto", "eager", "compile", "onnx", "openvino"]
Backend = Annotated[
    Name | None,
    typer.Option(
        help="What runs the network: PyTorch (eager, the default), its compiler, ONNX Runtime, OpenVINO; auto: "
        "the fastest here, measured once. onnx and openvino export the weights once, which takes minutes."
    ),
]
Fp32 = Annotated[
    bool, typer.Option("--fp32", help="With --backend: no bfloat16 where compile and openvino would choose it.")
]


def load_on(
    backend: Name | None,
    bf16: bool,
    fp32: bool,
    weights: str | Path,
    *,
    device: str | None,
    folded: bool = False,
    **how: Any,
) -> Detector:
    """The detector, run by that backend; without one as `load` gives it. What is chosen and exported is told."""
    precision = precision_of(backend, bf16, fp32)
    if backend is None:
        from vedette.infer.load import load

        return load(weights, device=device, folded=folded, **how)
    if how.pop("graphs", False):
        raise InputError("--graphs: replays PyTorch's own kernels; leave --backend out")
    from vedette.export.backends import load as load_by

    return load_by(weights, device, backend=backend, precision=precision, tell=tell, **how)


def settled(backend: Name, bf16: bool, fp32: bool, weights: str, device: str | None, trust: bool) -> Choice:
    """What `load_on` would run, with its exports made, so that several processes need not each."""
    from vedette.export.backends import settle

    return settle(Path(weights), backend, precision_of(backend, bf16, fp32), device=device, trust=trust, tell=tell)


def precision_of(backend: Name | None, bf16: bool, fp32: bool) -> Precision | None:
    """Raises InputError for options that do not go together."""
    if bf16 and fp32:
        raise InputError("--bf16 and --fp32: give one of them")
    if fp32 and backend is None:
        raise InputError("--fp32: without --backend everything is in float32; leave it out")
    return "bf16" if bf16 else "fp32" if fp32 else None


def tell(line: str) -> None:
    """On stderr, beside what the command says."""
    typer.echo(f"note: {shown(line)}", err=True)
