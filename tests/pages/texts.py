"""The texts of a page at every place that a visitor comes to, and what in a text cannot be right."""

import re
from collections.abc import Iterator
from typing import Any

NOUNS = (
    "anchors|boxes|cells|classes|detections|images|levels|looks|matches|objects|others|pairs|pictures|proposals|regions"
)
ONE = re.compile(
    rf"(?<![\d.,])(?<!× )\b(1|[Oo]ne) ({NOUNS})\b|(?<![\d.,])\d*[02-9] (anchor|box|object|pair|region|proposal)\b"
)
NO_NUMBER = re.compile(r"NaN|undefined|\bnull\b|Infinity|\[object|[-−]0(\.0+)?(?![\d.])|\bTrue\b|\bFalse\b")
LESS = re.compile(r"(\d+\.\d+)(?:, less than the |, below |, and )(\d+(?:\.\d+)?)")
MORE = re.compile(r"(\d+\.\d+)(?: with ours)?(?: sure that nothing is here)?, more than (?:the |θ = )?(\d+(?:\.\d+)?)")
WHOLE = """() => document.body.innerText + "\\n" +
    [...document.querySelectorAll("svg text")].map((one) => one.textContent).join("\\n")"""


def contradictions(text: str) -> Iterator[str]:
    """The places of a text that cannot be right."""
    yield from (found[0] for found in ONE.finditer(text))
    yield from (found[0] for found in NO_NUMBER.finditer(text))
    yield from (found[0] for found in LESS.finditer(text) if not float(found[1]) < float(found[2]))
    yield from (found[0] for found in MORE.finditer(text) if not float(found[1]) > float(found[2]))


def texts_of(tab: Any) -> Iterator[str]:
    """What stands on the page at every place that a visitor comes to."""

    def everything() -> str:
        return str(tab.evaluate(WHOLE))

    tab.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    yield everything()
    for part in ("found", "near"):
        items = tab.locator(f"[data-part={part}] .item")
        for number in range(min(4, items.count())):
            items.nth(number).click()
            for moment in tab.locator("[data-part=moments] button").all():
                moment.click()
                yield str(tab.locator("[data-panel=follow]").inner_text())
    place = tab.locator("[data-part=stage]").bounding_box()
    for across, down in ((0.1, 0.1), (0.5, 0.5), (0.8, 0.6)):
        tab.mouse.click(place["x"] + across * place["width"], place["y"] + down * place["height"])
        yield everything()
    tab.click("[data-tab=network]")
    names = dict.fromkeys(one.get_attribute("data-step") for one in tab.locator("[data-part=figure] [data-step]").all())
    for name in names:
        tab.locator(f"[data-part=figure] [data-step='{name}']").last.click()
        yield everything()
    if tab.locator("[data-tab=truth]").count():
        tab.click("[data-tab=truth]")
        yield everything()
    for number in range(tab.locator("[data-part=truth] ul").first.locator(".item").count()):
        tab.locator("[data-part=truth] ul").first.locator(".item").nth(number).click()
        yield everything()
    tab.click("[data-part=begin-tour]")
    while tab.locator("#tour").is_visible():
        yield everything()
        tab.click("[data-tour=next]")
