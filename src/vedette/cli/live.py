"""vedette explain --live: the page with the detector inside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vedette.cli.model_names import called
from vedette.cli.places import check_page


@dataclass(frozen=True, kw_only=True)
class WantedLive:
    """What the command's options ask for."""

    model: str
    out: Path
    web: Path  # the folder with ONNX Runtime Web
    score: float = 0.5
    config: dict[str, Any]  # fields of the detector's, to look with
    trust: bool = False


def write_live(wanted: WantedLive) -> None:
    """Writes the page, with a line for what it is doing and one for what it has written.

    Raises InputError for a detector, a folder or a place that will not do, before the work.
    """
    from vedette.glass.web import read_web
    from vedette.zoo import weight_file

    check_page("--out", wanted.out)
    web = read_web(wanted.web)
    weight_file(wanted.model)  # before torch is imported, which takes seconds
    from vedette.glass.live import save_live_page
    from vedette.infer.load import load

    started = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{time.monotonic() - started:5.0f} s  {line}", err=True)

    detector = load(wanted.model, device="cpu", trust=wanted.trust, **wanted.config)
    (name,) = called([wanted.model])
    size = save_live_page(wanted.out, detector, name, web, wanted.score, tell)
    typer.echo(f"{wanted.out}: {size / 1e6:.1f} MB; open it in a browser and drop a photograph on it")
