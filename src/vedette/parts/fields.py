"""What the fields of a config say of themselves: value, bounds, and the comment beside them, which is their source."""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, fields
from textwrap import dedent
from typing import Any, get_type_hints

from vedette.parts.config import describe


@dataclass(frozen=True)
class Field:
    """One field of a detector's config."""

    name: str
    value: Any
    usual: Any  # the paper's, which the name of a model may put another in the place of
    bounds: str  # what it may be, in words
    source: str  # where the usual one is from


def fields_of(config: Any) -> list[Field]:
    """The fields of a dataclass whose bounds stand in its annotations (config.py), in their order."""
    hints, sources = get_type_hints(type(config), include_extras=True), _comments(type(config))
    return [
        Field(one.name, getattr(config, one.name), one.default, describe(hints[one.name]), sources.get(one.name, ""))
        for one in fields(config)
    ]


def _comments(kind: type) -> dict[str, str]:
    """The comment beside each field, in the class that says last what it is."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        found |= dict(_comments_in(dedent(inspect.getsource(one))))
    return found


def _comments_in(text: str) -> Iterator[tuple[str, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    beside = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    (body,) = ast.parse(text).body
    for node in body.body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            words = [beside[line].strip("# ") for line in lines if line in beside]
            yield node.target.id, " ".join(words)
