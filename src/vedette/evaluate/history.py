"""The curves of the training that a weight file comes from, where its run's log lies beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vedette.evaluate.measure import CLASS
from vedette.pages.lines import lines_svg

LOG = "log.jsonl"
MEASURES = ("mAP", "AP", "AP50", "AP75")
OTHERS = ("epoch", "lr", "images_per_second")


def read_history(weights: Path) -> list[dict[str, float]]:
    """The numbers of each epoch of the run whose folder the weight file is in; none where it is in no such folder."""
    log = weights.parent / LOG
    if not weights.is_file() or not log.is_file():
        return []
    rows = [_numbers(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [row for row in rows if "epoch" in row]


def training_curves(rows: list[dict[str, float]]) -> dict[str, Any]:
    """What the page draws: losses, the rate and AP over epochs, and each class's AP; nothing without epochs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    classes = [name for name in names if name.startswith(CLASS)]
    losses = [name for name in names if name not in (*MEASURES, *OTHERS, *classes)]
    groups = {"losses": losses, "learning rate": ["lr"], "average precision": [n for n in names if n in MEASURES]}
    large = [
        _curve(rows, title, own, (0.0, 1.0) if own[:1] in (["mAP"], ["AP"]) else None) for title, own in groups.items()
    ]
    small = [_curve(rows, name.removeprefix(CLASS), [name], (0.0, 1.0)) for name in classes]
    return {"epochs": len(rows), "curves": [one for one in large if one], "classes": [one for one in small if one]}


def _curve(
    rows: list[dict[str, float]], title: str, names: list[str], y: tuple[float, float] | None
) -> dict[str, Any] | None:
    """One picture of several numbers; None where no epoch has any of them."""
    lines = {name: [(row["epoch"], row.get(name)) for row in rows if name in row] for name in names}
    known = {name: points for name, points in lines.items() if points}
    if not known:
        return None
    last = next(iter(known.values()))[-1][1]
    svg = lines_svg(list(known.values()), f"{title} by epoch", "epoch", y=y, whole=True)
    return {"name": title, "lines": list(known), "last": last, "svg": svg}


def _numbers(line: str) -> dict[str, float]:
    """A line of the log; nothing of one that is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    items = row.items() if isinstance(row, dict) else ()
    return {name: value for name, value in items if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300  # false of NaN
