"""Formulas in TeX's simplest notation as MathML, which browsers draw and read aloud.

    mathml(r"x = x_a + \\frac{t_x}{w_a}")

Letters in a row are one name, a space ends it; `_` and `^` set what follows below and above, braces hold together;
\\frac{}{} and \\sqrt{} are known. Everything else stands for itself, Greek letters and signs in Unicode among it.
"""

import re
from html import escape
from typing import NamedTuple

TOKEN = re.compile(r"\\frac|\\sqrt|[^\W\d_]+|\d+(?:\.\d+)?|[^\s]")
WORDS = ("drop", "if")  # of a sentence, not a name
PAIRS = {"{": "}", "(": ")", "[": "]", "⌊": "⌋", "⌈": "⌉"}


class Parsed(NamedTuple):
    """MathML of some tokens, and where the rest begins."""

    markup: str
    end: int


def mathml(formula: str) -> str:
    """A formula as one `<math>` element; raises ValueError where a brace or an argument is missing."""
    tokens = TOKEN.findall(formula)
    row = _row(tokens, 0, "")
    return f'<math display="block">{row.markup}</math>'


def _row(tokens: list[str], start: int, closing: str) -> Parsed:
    """Everything up to the closing sign, which is left in place, or to the end."""
    parts, at = [], start
    while at < len(tokens) and tokens[at] != closing:
        part = _scripted(tokens, at)
        parts.append(part.markup)
        at = part.end
    if closing and at == len(tokens):
        raise ValueError(f"no {closing!r} in {' '.join(tokens)!r}")
    return Parsed(parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>", at)


def _scripted(tokens: list[str], at: int) -> Parsed:
    """One thing with what stands below and above it."""
    base, at = _single(tokens, at)
    scripts = dict[str, str]()
    while at < len(tokens) and tokens[at] in "_^":
        sign = tokens[at]
        scripts[sign], at = _single(tokens, at + 1)
    if len(scripts) == 2:
        return Parsed(f"<msubsup>{base}{scripts['_']}{scripts['^']}</msubsup>", at)
    for sign, tag in (("_", "msub"), ("^", "msup")):
        if sign in scripts:
            return Parsed(f"<{tag}>{base}{scripts[sign]}</{tag}>", at)
    return Parsed(base, at)


def _single(tokens: list[str], at: int) -> Parsed:
    """A name, a number, a sign, or what braces and brackets hold together."""
    if at >= len(tokens):
        raise ValueError(f"something is missing at the end of {' '.join(tokens)!r}")
    token = tokens[at]
    if token == r"\frac":
        above = _single(tokens, at + 1)
        below = _single(tokens, above.end)
        return Parsed(f"<mfrac>{above.markup}{below.markup}</mfrac>", below.end)
    if token == r"\sqrt":
        inner = _single(tokens, at + 1)
        return Parsed(f"<msqrt>{inner.markup}</msqrt>", inner.end)
    if token in PAIRS:
        inner = _row(tokens, at + 1, PAIRS[token])
        held = inner.markup if token == "{" else _fenced(token, inner.markup)
        return Parsed(held, inner.end + 1)
    if token in WORDS:
        return Parsed(f"<mtext>\N{NO-BREAK SPACE}{token}\N{NO-BREAK SPACE}</mtext>", at + 1)
    tag = "mn" if token[0].isdigit() else "mi" if token[0].isalpha() else "mo"
    return Parsed(f"<{tag}>{escape(token)}</{tag}>", at + 1)


def _fenced(opening: str, inner: str) -> str:
    return f"<mrow><mo>{opening}</mo>{inner}<mo>{PAIRS[opening]}</mo></mrow>"
