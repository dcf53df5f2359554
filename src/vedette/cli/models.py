"""vedette models: the detectors there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vedette.cli.tables import table_lines


def show_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the detectors: name, input size, parameters, paper, bundled weights, results.

    Example: vedette models --json
    """
    import json

    from vedette.zoo import models

    rows = models()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = [_cells(row) for row in rows]
    for line, row in zip(table_lines([("name", "input", "parameters"), *shown]), [None, *rows], strict=True):
        typer.echo(f"{line}  {'paper' if row is None else row['paper']}")
        if row is not None and row["weights"]:
            typer.echo(f"{'':4}weights: {row['weights']}; {_brief(row['results'])}")


def _cells(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["name"], str(row["input"]), f"{row['parameters'] / 1e6:.1f} M"


def _brief(results: Any) -> str:
    """The numbers of a model card in a line; tables inside it are left to the card."""
    if not isinstance(results, dict):
        return "no results" if results is None else str(results)
    return ", ".join(f"{key} {value}" for key, value in results.items() if isinstance(value, str | int | float))
