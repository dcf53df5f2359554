"""The report's HTML: a page that needs nothing but the pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isnan
from urllib.parse import quote

from vedette.pages.marks import COLOURS

STYLE = """
:root { --ink: #1d2329; --soft: #667080; --line: #e3e7ec; --paper: #fff; --ground: #f5f7f9; --blue: #2563c9; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 44px 0 4px; }
h3 { font-size: 14px; margin: 0 0 4px; display: flex; justify-content: space-between; gap: 8px; }
p { margin: 4px 0 12px; max-width: 78ch; } .soft { color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.card, figure, .curve, table { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.card { padding: 12px 18px; min-width: 112px; } .card b { display: block; font-size: 26px; line-height: 1.25; }
.card.main { border-color: var(--blue); } .card.main b { color: var(--blue); }
table { border-spacing: 0; width: 100%; overflow: hidden; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; border-top: 1px solid var(--line); }
th { border: 0; color: var(--soft); font-weight: 600; } th:first-child, td:first-child { text-align: left; }
td.bar { width: 30%; } td.bar i { display: block; height: 9px; border-radius: 5px; background: var(--blue); }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 12px; }
.curve { padding: 10px 12px; } .curve svg { width: 100%; display: block; }
.grid path { stroke: var(--line); fill: none; } .grid text { font-size: 9.5px; fill: var(--soft); }
.area { fill: var(--blue); opacity: .15; } .line { fill: none; stroke: var(--blue); stroke-width: 1.6; }
.dot { fill: #e5383b; stroke: #fff; stroke-width: 1.2; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 14px; }
figure { margin: 0; overflow: hidden; } figure img { width: 100%; display: block; max-height: 300px;
  object-fit: contain; background: #202328; }
figcaption { padding: 8px 12px 10px; font-size: 13.5px; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 0 0 14px; font-size: 13.5px; }
.legend i { display: inline-block; width: 22px; height: 14px; margin-right: 7px; border: 3px solid;
  vertical-align: -2px; }
.legend i.dashed { border: 2px dashed; background: #3b4149; outline: 3px solid #3b4149; margin: 0 10px 0 3px; }
ul.conventions { margin: 6px 0; padding-left: 20px; }
"""

LEGEND: tuple[tuple[str, str, str], ...] = (
    (COLOURS["hit"], "", "detection: hit"),
    (COLOURS["false"], "", "detection: false positive"),
    (COLOURS["missed"], "dashed", "annotated: missed"),
    (COLOURS["annotated"], "dashed", "annotated: found"),
    (COLOURS["ignored"], "dashed", "annotated: difficult or a crowd (a detection of it, solid, is not judged)"),
)


def page(title: str, body: str) -> str:
    """The whole document around a body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def cards(numbers: Sequence[tuple[str, str]]) -> str:
    """(name, value) in large print, the first one marked."""
    kinds = ["card main", *["card"] * (len(numbers) - 1)]
    rows = zip(kinds, numbers, strict=True)
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="{kind}"><b>{escape(value)}</b><span class="soft">{escape(name)}</span></div>'
            for kind, (name, value) in rows
        )
        + "</div>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], bars: Sequence[float]) -> str:
    """Rows of text, each with a bar of length 0..1 (none for NaN)."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = []
    for row, bar in zip(rows, bars, strict=True):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        width = 0.0 if isnan(bar) else 100 * bar
        lines.append(f'<tr>{cells}<td class="bar"><i style="width:{width:.1f}%"></i></td></tr>')
    return f"<table><tr>{titles}<th></th></tr>{''.join(lines)}</table>"


def curves(items: Sequence[tuple[str, str, str]]) -> str:
    """(class, its number, SVG) of each class."""
    boxes = "".join(
        f'<div class="curve"><h3><span>{escape(name)}</span><span class="soft">{escape(value)}</span></h3>{svg}</div>'
        for name, value, svg in items
    )
    return f'<div class="curves">{boxes}</div>'


def pictures(items: Sequence[tuple[str, str, str]]) -> str:
    """(picture's file beside the page, name, what to say of it)."""
    if not items:
        return '<p class="soft">None.</p>'
    figures = "".join(
        f'<figure><a href="{quote(file)}"><img src="{quote(file)}" alt="{escape(name)}" loading="lazy"></a>'
        f'<figcaption>{escape(text)}<br><span class="soft">{escape(name)}</span></figcaption></figure>'
        for file, name, text in items
    )
    return f'<div class="pictures">{figures}</div>'


def legend() -> str:
    """What the boxes in the pictures mean."""
    items = "".join(
        f'<span><i class="{kind}" style="border-color:{colour}"></i>{escape(text)}</span>'
        for colour, kind, text in LEGEND
    )
    return f'<div class="legend">{items}</div>'


def number(value: float, digits: int = 3) -> str:
    """A fraction, a dash for NaN."""
    return "—" if isnan(value) else f"{value:.{digits}f}"
