"""Which operations stay in float32, with what each costs worked by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from vedette import InputError
from vedette.export.quantise import leave_out, parted

NAMES = [f"conv{number}" for number in range(16)]  # eight groups of two
COSTS = dict.fromkeys(NAMES, 0.0) | {"conv2": 0.10, "conv7": 0.03, "conv14": 0.01}


class Costly:
    """Quantises nothing, and remembers what was left out; AP is 0.8 less what the rest costs."""

    def __init__(self) -> None:
        self.left: Sequence[str] = ()
        self.tries = 0

    def quantise(self, left: Sequence[str], out: Path) -> None:
        self.left, self.tries = left, self.tries + 1

    def measure(self, out: Path) -> float:
        return 0.8 - sum(cost for name, cost in COSTS.items() if name not in self.left)

    def run(self, most: float) -> tuple[float, tuple[str, ...]]:
        result = leave_out(NAMES, self.quantise, self.measure, 0.8, most, Path("x.onnx"), lambda line: None)
        assert tuple(self.left) == result.left_out  # what was written last
        return round(result.after, 6), result.left_out


def test_the_groups_that_bring_most_are_left_out_until_it_is_enough() -> None:
    assert Costly().run(0.2) == (0.66, ())
    assert Costly().run(0.05) == (0.76, ("conv2", "conv3"))
    assert Costly().run(0.015) == (0.79, ("conv2", "conv3", "conv6", "conv7"))


def test_where_nothing_helps_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Costly, "measure", lambda self, out: 0.5)
    with pytest.raises(InputError, match=r"INT8 costs 0\.3000 whatever is left out"):
        Costly().run(0.1)


def test_parts() -> None:
    assert [list(part) for part in parted(NAMES[:5], 2)] == [NAMES[:3], NAMES[3:5]]
    assert len(list(parted(NAMES[:3], 8))) == 3
