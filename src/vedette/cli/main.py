"""The command line: its verbs, and one clear line for whatever goes wrong.

Help must answer at once: the modules here import torch, and whatever imports it, inside functions alone.
"""

import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

from vedette.cli import config, data, detect, evaluate, explain, export, models, serve, train, weights
from vedette.errors import InputError
from vedette.weights import faults

TRACEBACK = "VEDETTE_TRACEBACK"  # of the environment: mistakes in one's own code with all that led to them
BAD_INPUT, INTERRUPTED, TERMINATED = 2, 130, 143
LONGEST_ERROR = 2000  # letters of a line: a path may have a thousand, and a list of models too

app = typer.Typer(
    name="vedette",
    help="Anchor-based object detectors: detect, train, evaluate, explain, export, serve.\n\n"
    "Example: vedette detect photo.jpg",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(detect.detect)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(explain.explain)
app.command()(export.export)
app.command()(serve.serve)
app.add_typer(data.app, name="data", no_args_is_help=False)
app.add_typer(weights.app, name="weights", no_args_is_help=False)
app.command("models")(models.show_models)
app.command("config")(config.show_config)


def _say_version(wanted: bool) -> None:
    if wanted:
        from vedette import __version__

        typer.echo(f"vedette {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command of `sys.argv` and exits: 0, 1 (ran, and found fault), 2 (bad input), 130 or 143 (signals)."""
    signal.signal(signal.SIGTERM, _terminate)
    _print_any_letter()
    sys.exit(run(sys.argv[1:] or ["--help"]))


def _print_any_letter() -> None:
    """Where the terminal, or a file that Windows redirects to, has no sign for a letter, its number is written."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def run(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code."""
    faults.modules.clear()
    try:
        code = int(app(list(arguments), prog_name="vedette", standalone_mode=False) or 0)
    except InputError as error:
        return _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        return _told(error)
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return code


def _told(error: Exception) -> int:
    """One line for what is nobody's fault here, or one's own code's; raises what is a fault of Vedette."""
    if isinstance(error, typer.TyperException):  # an option that does not exist, a value that is no number
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "vedette"
        told = error.format_message().replace(": Value error, ", ": ")  # as Pydantic, which reads the values, begins
        return _fail(f"{told} (see {command} --help)")
    own = faults.fault_of(error)
    if own is not None and not os.environ.get(TRACEBACK):
        return _fail(f"{own}; the whole traceback: {TRACEBACK}=1 vedette …")
    if own is None and isinstance(error, MemoryError):
        return _fail("there is not enough memory for that: give smaller images, batches or layers")
    if own is None and isinstance(error, OSError):  # a full disk, a folder that may not be written
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    raise error


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does: what it has open is closed, temporary files are removed."""
    sys.exit(TERMINATED)


def _fail(message: str) -> int:
    from vedette.data.findings import shown

    typer.echo(f"error: {shown(' '.join(message.split()), LONGEST_ERROR)}", err=True)
    return BAD_INPUT
