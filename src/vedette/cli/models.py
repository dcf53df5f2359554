"""vedette models: the detectors there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

IN_A_FILE = 200  # columns: a line a model, for grep and awk


def show_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the detectors: name, paper, input size, parameters, bundled weights, results.

    Example: vedette models --json
    """
    import json

    from vedette.zoo import models

    rows = models()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("paper")
    for title in ("input", "parameters"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    table.add_column("results")
    for row in rows:
        millions = f"{row['parameters'] / 1e6:.1f} M"
        table.add_row(
            row["name"], row["paper"], str(row["input"]), millions, row["weights"] or "-", _brief(row["results"])
        )
    console = Console()
    (console if console.is_terminal else Console(width=max(console.width, IN_A_FILE))).print(table)


def _brief(results: Any) -> str:
    """The numbers of a model card in one cell; tables inside it are left to the card."""
    if not isinstance(results, dict):
        return "-" if results is None else str(results)
    return ", ".join(f"{key} {value}" for key, value in results.items() if isinstance(value, str | int | float))
