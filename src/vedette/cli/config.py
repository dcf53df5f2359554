"""vedette config: the numbers that a detector is made of, which --set changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer


def show_config(
    model: Annotated[str, typer.Argument(help="A name from `vedette models`, or one like refinedet320-timm/<name>.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the fields of a detector's config; `vedette train --set FIELD=VALUE` changes them.

    Example: vedette config refinedet320-lite0
    """
    import json

    import torch

    from vedette.zoo import build

    with torch.device("meta"):  # nothing but the numbers is wanted
        detector: Any = build(model)
    fields = asdict(detector.config)
    if as_json:
        typer.echo(json.dumps({"model": model, "config": fields}, indent=1))
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:{width}}  {json.dumps(value)}")
