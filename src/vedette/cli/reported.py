"""What `vedette explain` writes of a data set: a page in a folder with its pictures, a file of numbers, and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vedette.cli.places import check_apart, check_file, check_folder, check_pages
from vedette.cli.progress import Counted
from vedette.errors import InputError


@dataclass(frozen=True, kw_only=True)
class WantedReport:
    """What the command's options ask for."""

    model: str
    data: list[str]
    out: Path
    json: Path | None = None
    config: dict[str, Any]  # fields of the detector's
    device: str | None = None

    def check_places(self, page: str, key: str) -> None:
        """Raises InputError where the page, its pictures or the numbers cannot be written, or would be over others'.

        key: what the numbers of such a report hold.
        """
        from vedette.pages.fonts import system_fonts

        check_file("--json", self.json, key)
        check_folder("--out", self.out, files=[page], folders=["pictures"])
        check_pages("--out", self.out, [page])
        check_apart({"--json": self.json, "--out": self.out, "the page of --out": self.out / page})
        system_fonts()  # raises FontError for one that VEDETTE_FONT names and that is none

    def tell(self, numbers: dict[str, Any], write: Callable[[Counted], Path], lines: Iterable[str]) -> None:
        """The numbers into their file, the page by `write`, which hears of pictures, and the lines on stdout."""
        from vedette.data.atomic import write_json

        if self.json is not None:
            write_json(self.json, numbers)
        try:
            with Counted("pictures") as progress:
                page = write(progress)
        except OSError as error:
            raise InputError(f"--out {self.out}: cannot be written ({error.strerror})") from None
        for line in lines:
            typer.echo(line)
        typer.echo(f"page: {page}")
