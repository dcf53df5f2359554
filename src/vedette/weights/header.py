"""What a file says of the detector in it: strings alone, which safetensors, ONNX, OpenVINO and torch.export carry."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vedette.structures import InputSpec, check_spec

THRESHOLDS = "thresholds"  # the key of what not every file has


@dataclass(frozen=True, kw_only=True)
class Header:
    """Enough to prepare pictures for a detector and to name what it finds."""

    name: str  # of the detector, as `build` knows it
    config: dict[str, Any]  # what `build` needs to build it again
    classes: tuple[str, ...] | None
    category_ids: tuple[int, ...] | None  # the data's own ids of the classes
    input_spec: InputSpec
    thresholds: tuple[float, ...] | None = None  # from which score on a detection of each class counts


def to_strings(header: Header) -> dict[str, str]:
    """The name, and the rest as JSON; `thresholds` where there are some."""
    strings = {
        "name": header.name,
        "config": json.dumps(header.config),
        "classes": _list(header.classes),
        "category_ids": _list(header.category_ids),
        "input_spec": json.dumps(asdict(header.input_spec)),
    }
    return strings if header.thresholds is None else strings | {THRESHOLDS: _list(header.thresholds)}


def of_strings(strings: Mapping[str, str]) -> Header:
    """The header that `to_strings` wrote; raises KeyError, TypeError or ValueError for what is none."""
    config, classes, category_ids, spec = (
        json.loads(strings[key]) for key in ("config", "classes", "category_ids", "input_spec")
    )
    config, thresholds = dict(config), json.loads(strings.get(THRESHOLDS, "null"))
    count = config.get("num_classes")
    _check_classes("classes", classes, str, count)
    _check_classes("category_ids", category_ids, int, count)
    _check_classes(THRESHOLDS, thresholds, float, count)
    return Header(
        name=strings["name"],
        config=config,
        classes=None if classes is None else tuple(classes),
        category_ids=None if category_ids is None else tuple(category_ids),
        input_spec=input_spec_of(spec),
        thresholds=None if thresholds is None else tuple(thresholds),
    )


def input_spec_of(fields: Any) -> InputSpec:
    """What JSON holds of one; raises ValueError or TypeError for what is none."""
    if not isinstance(fields, dict):
        raise ValueError("input_spec is no table")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return check_spec(InputSpec(**values))


def _list(values: Sequence[str] | Sequence[float] | None) -> str:
    return json.dumps(None if values is None else list(values))


def _check_classes(key: str, values: Any, kind: type, count: int | None) -> None:
    """Raises ValueError for anything but null or a list of `kind`, one for each class."""
    if values is None:
        return
    if not isinstance(values, list) or any(type(value) is not kind for value in values):
        raise ValueError(f"{key} is not a list of {kind.__name__}")
    if count is not None and len(values) != count:
        raise ValueError(f"{key} does not fit the number of classes")
