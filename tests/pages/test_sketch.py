from xml.etree import ElementTree

import pytest

from vedette.pages.sketch import arrow, block, block_size, lines, picture, plate, rectangle, sketch, step, text

SVG = "{http://www.w3.org/2000/svg}"


def drawn(content: str) -> ElementTree.Element:
    return ElementTree.fromstring(sketch(content, 100, "a <network>"))


def test_all_parts_are_well_formed_and_nothing_has_an_id() -> None:
    parts = [
        text(1, 2, "a < b & c"),
        lines(1, 2, ["one", "two"]),
        plate(0, 0, 10, 10, "first", ["Name", "what <it> is"]),
        block(20, 20, (10, 8, 3), "second"),
        arrow((0, 0), (10, 0)),
        arrow((5, 5), (5, 5)),
        rectangle(0, 0, 1, 1, "bar"),
        picture(0, 0, 5, 5, "data:,"),
    ]
    root = drawn("".join(parts))
    assert root.get("aria-label") == "a <network>"
    assert root.get("viewBox") == "0 0 460 100"
    assert not [one for one in root.iter() if one.get("id")]


def test_a_step_can_be_focused_and_says_what_came_and_went() -> None:
    group = drawn(step("rpn refine", "The <first> move", 6375, 12, "<path/>")).find(f"{SVG}g")
    assert group is not None
    assert {name: group.get(name) for name in ("data-step", "data-in", "data-out", "tabindex", "role")} == {
        "data-step": "rpn refine",
        "data-in": "6375",
        "data-out": "12",
        "tabindex": "0",
        "role": "button",
    }
    assert group.get("aria-label") == group.findtext(f"{SVG}title") == "The <first> move: 6,375 in, 12 on"


def test_blocks_are_as_large_as_what_they_hold() -> None:
    wide, high, deep = block_size(40, 20, 256, 48, 40)
    assert wide == pytest.approx(48)
    assert high == pytest.approx(48 / 2**0.5)
    half, _, thin = block_size(10, 10, 64, 48, 40)
    assert half == pytest.approx(24)  # a quarter of the cells a side, in square roots
    assert thin < deep
    assert min(block_size(1, 1, 1, 48, 4000)[:2]) == 5  # still to be seen


def test_the_head_of_an_arrow_is_at_its_end() -> None:
    shaft, head = ElementTree.fromstring(f"<g>{arrow((0, 0), (0, 20), (30, 20))}</g>")
    assert shaft.get("d") == "M0.0 0.0L0.0 20.0L23.0 20.0"
    assert (head.get("d") or "").startswith("M30.0 20.0")


def test_colours_are_the_pages_own_where_it_has_some() -> None:
    style = drawn("").findtext(f"{SVG}style") or ""
    assert "--v-ink:var(--ink,#1d2329)" in style
    assert "prefers-color-scheme:dark" in style
    assert ":root" not in style  # the page's own are left alone
