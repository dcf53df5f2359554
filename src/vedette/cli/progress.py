"""A progress bar on a terminal for whatever lasts longer than two seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE = 2.0  # seconds


class Progress:
    """Counts to `total`, with the rate and the time left, on stderr; gone at the end, nothing where no person looks.

    total: None where nobody knows, as of a stream.
    `with Progress(100, "images") as progress: progress.advance(); progress.say("a line above the bar")`
    """

    def __init__(self, total: int | None, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done, self.started = 0.0, time.monotonic()  # parts of a long one count
        self.bar: Bar | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, count: float = 1) -> None:
        """Counts `count` more."""
        self.done += count
        elapsed = time.monotonic() - self.started
        if self.bar is None and elapsed > PATIENCE and sys.stderr.isatty():
            self._start()
        if self.bar is not None and self.task is not None:
            rate = f"{self.done / max(1e-9, elapsed):.1f} {self.unit}/s"
            self.bar.update(self.task, completed=self.done, rate=rate)

    def reach(self, done: float, total: int) -> None:
        """Has counted to `done`; for whoever reports so."""
        self.advance(done - self.done)

    def say(self, line: str) -> None:
        """Prints a line to stdout; above the bar where both are on the same terminal."""
        if self.bar is not None and sys.stdout.isatty():
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(line)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        console = Console(stderr=True)
        self.bar = Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self.task = self.bar.add_task("", total=self.total, rate="")
        self.bar.start()


class Counted:
    """A bar that learns its total on the way: `with Counted("pictures") as progress: progress(done, all)`."""

    def __init__(self, unit: str) -> None:
        self.bar = Progress(0, unit)

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *raised: object) -> None:
        self.bar.__exit__(*raised)

    def __call__(self, done: int, total: int) -> None:
        """Has counted to `done` of `total`."""
        self.bar.total = total
        self.bar.reach(done, total)
