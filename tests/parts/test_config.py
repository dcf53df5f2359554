"""What a config refuses, and that it says why."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pytest

from vedette.papers.m2det import M2DetConfig
from vedette.papers.refinedet import RefineDetConfig
from vedette.papers.ssd import SSDConfig
from vedette.parts.config import check


@dataclass(frozen=True, kw_only=True)
class Config:
    count: int = 1
    share: float = 0.5
    switch: bool = False
    kind: Literal["soft", "hard"] = "soft"
    clip: bool | Literal["size"] = False
    sides: tuple[float, ...] = (1.0,)
    pair: tuple[int, int] = (1, 2)
    nested: tuple[tuple[int, int], ...] = ()


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"share": 1},
        {"clip": "size"},
        {"sides": ()},
        {"sides": (1, 2.5)},
        {"nested": ((1, 2), (3, 4))},
    ],
)
def test_what_fits(right: dict[str, Any]) -> None:
    check(Config(**right))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("count", 1.5, "count is 1.5: give a whole number"),
        ("count", True, "count is True: give a whole number"),
        ("share", "a", "share is 'a': give a number"),
        ("share", float("nan"), "share is nan: give a number"),
        ("share", float("inf"), "share is inf: give a number"),
        ("switch", "false", "switch is 'false': give true or false"),
        ("switch", 0, "switch is 0: give true or false"),
        ("kind", "warm", "kind is 'warm': give one of soft, hard"),
        ("clip", "centre", "clip is 'centre': give true or false or one of size"),
        ("sides", 3.0, r"sides is 3.0: give a list \(a number each\)"),
        ("sides", ("a",), r"sides is \('a',\): give a list \(a number each\)"),
        ("pair", (1, 2, 3), r"pair is \(1, 2, 3\): give a list \(a whole number each, 2\)"),
        ("nested", ((1,),), r"nested is \(\(1,\),\): give a list"),
    ],
)
def test_what_does_not(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        check(Config(**{field: value}))


@pytest.mark.parametrize("config", [SSDConfig, RefineDetConfig, M2DetConfig])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("match_iou", 0.0),
        ("match_iou", 1.1),
        ("negatives_per_positive", -1.0),
        ("min_negatives", -1),
        ("box_std", (0.1, 0.1, 0.2, 0.0)),
        ("box_std", (0.1, 0.1, 0.2)),
        ("nms_iou", 1.5),
        ("nms", "warm"),
        ("candidates", 0),
        ("keep", 0),
        ("train_norm", "false"),
    ],
)
def test_every_detector_refuses_numbers_that_cannot_be(config: Any, field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} is "):
        config(**{field: value})


def test_numbers_of_numpys_become_pythons() -> None:
    config = Config(count=np.int64(3), share=np.float32(0.25), switch=np.bool_(True), pair=(np.int32(1), 2))  # type: ignore[arg-type]
    check(config)
    assert json.loads(json.dumps(asdict(config)))["share"] == 0.25
    assert [type(value) for value in (config.count, config.share, config.switch, config.pair[0])] == [
        int,
        float,
        bool,
        int,
    ]
    with pytest.raises(ValueError, match=r"count is .*0\.5"):
        check(Config(count=np.float64(0.5)))  # type: ignore[arg-type]
