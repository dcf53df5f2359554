"""The lists of a large JSON object, a record at a time.

Read whole, COCO's training set is gigabytes of Python objects, whose remains stay with the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from json import JSONDecodeError, JSONDecoder
from typing import Any

BLANK = re.compile(r"[ \t\n\r]*")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its keys and values; Python alone would keep the last of two values without a word."""
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f'"{next(key for key in keys if keys.count(key) > 1)[:60]}" is there twice in one object')
    return record


decode = JSONDecoder(object_pairs_hook=_once).raw_decode


def read_lists(text: str, takers: Mapping[str, Callable[[int, Any], None]]) -> set[str]:
    """Gives the place and the value of every record in the object's lists to the list's taker, in the text's order.

    Other keys are passed over. Gives the keys of the lists that were there.

    Raises JSONDecodeError for what is not a JSON object, and ValueError where an object has one key twice, after the
    records before the fault were given.
    """
    found: set[str] = set()
    keys: set[str] = set()
    at = _after(text, 0, "{")
    more = not _is_next(text, at, "}")
    while more:
        key, at = _key(text, _skip(text, at))
        if key in keys:
            raise ValueError(f'"{key[:60]}" is there twice')
        keys.add(key)
        at = _skip(text, _after(text, at, ":"))
        if key in takers and text.startswith("[", at):
            at = _read_list(text, at + 1, takers[key])
            found.add(key)
        else:
            _, at = decode(text, at)
        more = _is_next(text, at, ",")
        at = _after(text, at, ",") if more else at
    end = _skip(text, _after(text, at, "}"))
    if end != len(text):
        raise JSONDecodeError("Extra data", text, end)
    return found


def _key(text: str, at: int) -> tuple[str, int]:
    key, end = decode(text, at)
    if not isinstance(key, str):
        raise JSONDecodeError("Expecting a name in double quotes", text, at)
    return key, end


def _read_list(text: str, at: int, take: Callable[[int, Any], None]) -> int:
    """Gives away the records of the list that was opened before `at`; gives the place behind its end."""
    place = 0
    more = not _is_next(text, at, "]")
    while more:
        record, at = decode(text, _skip(text, at))
        take(place, record)
        place += 1
        more = _is_next(text, at, ",")
        at = _after(text, at, ",") if more else at
    return _after(text, at, "]")


def _skip(text: str, at: int) -> int:
    match = BLANK.match(text, at)
    return match.end() if match else at


def _is_next(text: str, at: int, sign: str) -> bool:
    return text.startswith(sign, _skip(text, at))


def _after(text: str, at: int, sign: str) -> int:
    """The place behind a sign that must come next."""
    at = _skip(text, at)
    if not text.startswith(sign, at):
        raise JSONDecodeError(f"Expecting '{sign}'", text, at)
    return at + 1
