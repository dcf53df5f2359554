"""Reading a JSON's lists one record at a time gives what reading it whole gives."""

import json
from json import JSONDecodeError
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vedette.data.json_lists import read_lists

TEXT = st.text('ab"\\[]{},: é', max_size=5)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def lists(text: str, *keys: str) -> dict[str, list[Any]]:
    taken: dict[str, list[Any]] = {key: [] for key in keys}

    def taker(key: str) -> Any:
        def take(place: int, record: Any) -> None:
            assert place == len(taken[key])
            taken[key].append(record)

        return take

    found = read_lists(text, {key: taker(key) for key in keys})
    return {key: taken[key] for key in keys if key in found}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), ANYTHING), st.sampled_from([None, 0, 2]))
def test_it_gives_what_json_gives(content: dict[str, Any], indent: int | None) -> None:
    expected = {key: content[key] for key in "abc" if isinstance(content.get(key), list)}
    assert lists(json.dumps(content, indent=indent), "a", "b", "c") == expected


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("[1]", 1, 1),
        ('{"a": [1, 2', 1, 12),
        ('{\n"a": [1,\n 2 3]}', 3, 4),
        ('{"a": [1,]}', 1, 10),
        ('{"a": 1,}', 1, 9),
        ('{"a" 1}', 1, 6),
        ('{"a": 1} x', 1, 10),
        ('{"b": [1}', 1, 9),
    ],
)
def test_a_fault_is_placed(text: str, line: int, column: int) -> None:
    with pytest.raises(JSONDecodeError) as raised:
        lists(text, "a")
    assert (raised.value.lineno, raised.value.colno) == (line, column)


def test_records_before_a_fault_are_given() -> None:
    records: list[int] = []
    with pytest.raises(JSONDecodeError):
        read_lists('{"a": [1, 2, ?', {"a": lambda place, record: records.append(record)})
    assert records == [1, 2]


@pytest.mark.parametrize("key", ["[]", "7", "{}", "null"])
def test_a_key_must_be_a_name(key: str) -> None:
    with pytest.raises(JSONDecodeError, match="Expecting a name"):
        read_lists(f"{{{key}: []}}", {})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": [1], "b": [], "a": [2]}', "a"),
        ('{"a": [{"bbox": [1], "id": 1, "bbox": [2]}]}', "bbox"),
        ('{"a": [], "info": {"x": {"y": 1, "y": 1}}}', "y"),
    ],
)
def test_a_key_that_is_there_twice_is_told(text: str, key: str) -> None:
    with pytest.raises(ValueError, match=f'^"{key}" is there twice'):
        lists(text, "a")
