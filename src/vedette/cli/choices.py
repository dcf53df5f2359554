"""Options that `detect` and `evaluate` share: which device a trained detector is on, and how it looks at pictures."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import typer

from vedette.errors import InputError

Given = Mapping[str, Any]  # the options on the command line, by their parameters' names
MOST_AT_ONCE, MOST_WORKERS = 65536, 512  # images of a batch, processes: beyond them memory and machine end

Device = Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Run the network in bfloat16: faster, nearly the same.")]
Trust = Annotated[bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")]
BatchSize = Annotated[int, typer.Option(min=1, max=MOST_AT_ONCE, help="Images at once.")]
Nms = Annotated[
    Literal["hard", "linear", "gaussian"] | None,
    typer.Option("--nms", help="Drop what overlaps better boxes, or weaken it (Soft-NMS); default: the model's own."),
]
Scales = Annotated[
    str | None,
    typer.Option("--scales", metavar="SIZES", help="Look in several sizes, such as 320,512, and merge what is found."),
]
Flip = Annotated[bool, typer.Option("--flip", help="Look at the mirrored picture too, and merge what is found.")]
Vote = Annotated[bool, typer.Option("--vote", help="Move each merged box to the mean of the boxes that agree with it.")]


def read_scales(text: str | None) -> list[int] | None:
    """`320,512` as numbers; raises InputError for anything else."""
    if text is None:
        return None
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise InputError(f"--scales {text!r}: write sizes in pixels with commas between them: 320,512") from None


def chosen(**config: Any) -> dict[str, Any]:
    """The fields that were given on the command line."""
    return {field: value for field, value in config.items() if value is not None}


def given_options(context: typer.Context) -> Given:
    """What stands on the command line, by the names of the parameters."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def written(parameter: str, arguments: Collection[str] = ()) -> str:
    """A parameter as a person writes it: one of the arguments in capitals, an option with its dashes."""
    if parameter in arguments:
        return parameter.upper()
    return f"--{parameter.strip('_').replace('_', '-')}"
