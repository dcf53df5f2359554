"""vedette config: the numbers that a detector is made of, which --set changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.complete import complete_model

if TYPE_CHECKING:
    from vedette.parts.fields import Field


def show_config(
    model: Annotated[
        str,
        typer.Argument(
            help="A name from `vedette models`, or one like refinedet320-timm/<name>.", autocompletion=complete_model
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the fields of a detector's config, what they may be and where they are from; `vedette train --set
    FIELD=VALUE` changes them.

    Example: vedette config refinedet320-lite0
    """
    import json

    from vedette.zoo import known

    known(model)  # before torch is imported, which takes seconds
    import torch

    from vedette.parts.fields import fields_of
    from vedette.zoo import build

    with torch.device("meta"):  # nothing but the numbers is wanted
        detector: Any = build(model)
    fields = fields_of(detector.config)
    if as_json:
        numbers = {field.name: field.value for field in fields}
        about = {field.name: {**asdict(field), "name": model} for field in fields}
        typer.echo(json.dumps({"model": model, "config": numbers, "fields": about}, indent=1))
    else:
        _show(fields)


def _show(fields: list[Field]) -> None:
    """A field a paragraph: its value, then what it may be and its source."""
    import json

    width = max(len(field.name) for field in fields)
    for field in fields:
        source = field.source
        if field.value != field.usual:
            source = f"this name's own; the paper's is {json.dumps(field.usual)}" + f" ({source})" * bool(source)
        typer.echo(f"{field.name:{width}}  {json.dumps(field.value)}")
        typer.echo(f"{'':{width}}    {field.bounds}" + f"; {source}" * bool(source))
