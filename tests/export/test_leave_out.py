"""Which layers stay in float32, on losses worked by hand."""

from collections.abc import Sequence

import pytest

from vedette import InputError
from vedette.export.leave_out import leave_out, parted

LAYERS = [f"conv{number}" for number in range(16)]


class Costs:
    """AP of 0.8, less what each layer in INT8 costs."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs, self.asked = costs, list[list[str]]()

    def __call__(self, left_out: Sequence[str]) -> float:
        self.asked.append(list(left_out))
        return 0.8 - sum(cost for layer, cost in self.costs.items() if layer not in left_out)


def quiet(line: str) -> None:
    pass


def test_nothing_is_left_out_that_may_stay() -> None:
    costs = Costs({"conv3": 0.004})
    assert leave_out(LAYERS, costs, 0.8, 0.005, quiet) == ([], pytest.approx(0.796))
    assert costs.asked == [[]]


def test_the_groups_that_cost_most_are_left_out_together() -> None:
    """0.05 + 0.02 + 0.001 lost: without conv8 and conv9 0.021, without conv2 and conv3 too 0.001."""
    costs, said = Costs({"conv9": 0.05, "conv2": 0.02, "conv15": 0.001}), list[str]()
    left, after = leave_out(LAYERS, costs, 0.8, 0.005, said.append)
    assert left == ["conv8", "conv9", "conv2", "conv3"]
    assert after == pytest.approx(0.799)
    assert costs.asked[-1] == left  # what was made last is what is kept
    assert len(costs.asked) == 1 + 8 + 2
    assert said[0] == "all layers in INT8: AP 0.7290, 0.8000 in float32"
    assert said[1] == "that is 0.0710 lost, 0.005 allowed: up to 15 measurements more"
    assert said[-1] == "without conv8 and 3 more: AP 0.7990"


def test_a_loss_that_stays_is_told() -> None:
    costs = Costs(dict.fromkeys(LAYERS, 0.01))
    with pytest.raises(InputError, match=r"--max-drop 0.005: INT8 loses 0.0200 of AP whatever is left out"):
        leave_out(LAYERS, costs, 0.8, 0.005, quiet)
    assert len(costs.asked) == 1 + 8 + 7


def test_parts_are_in_order_and_of_nearly_equal_length() -> None:
    assert [len(part) for part in parted(LAYERS[:10], 8)] == [1, 1, 1, 2, 1, 1, 1, 2]
    assert [layer for part in parted(LAYERS, 8) for layer in part] == LAYERS
    assert [list(part) for part in parted(LAYERS[:2], 8)] == [["conv0"], ["conv1"]]
