"""Pages of HTML from plain data, by the templates beside this file; a page needs nothing but the pictures it shows."""

from __future__ import annotations

from functools import cache
from math import floor, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


GENERATOR = '<meta name="generator" content="Vedette">'


def is_our_page(path: Path) -> bool:
    """Whether a page was rendered here, so that another may take its place."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(1000)


def render(template: str, **what: Any) -> str:
    """The page of that template, as "report.html"; what: its data by name, escaped where they are text.

    Raises jinja2.UndefinedError where the template asks for what is not given.
    """
    return _environment().get_template(template).render(what)


def number(value: float, digits: int = 3) -> str:
    """A fraction, a dash for NaN."""
    return "—" if isnan(value) else f"{value:.{digits}f}"


def as_score(value: float) -> str:
    """A score in three digits, rounded down: whoever asks for it gets all that are counted."""
    return f"{floor(value * 1000 + 1e-6) / 1000:.3f}" if value >= 0.001 else f"{value:.1e}" if value else "0"


def percent(value: float) -> str:
    """A fraction as a length in CSS, none for NaN."""
    return f"{0.0 if isnan(value) else 100 * value:.1f}%"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # late: who draws alone needs no templates

    templates = PackageLoader("vedette.pages")
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["generator"] = GENERATOR
    environment.filters |= {"number": number, "percent": percent, "shown": as_score}
    return environment
