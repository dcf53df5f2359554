"""A step shared by processes, or made of several batches, is the step of the whole batch."""

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing import spawn

from train.shares import DETECTORS, IMAGES, Learnt, a_detector, learn, learnt, share
from vedette.parts.losses import total_of
from vedette.train.together import WholeStep

pytestmark = pytest.mark.slow  # two processes of every detector
every_detector = pytest.mark.parametrize("name", DETECTORS)


@pytest.fixture(scope="module")
def whole() -> dict[str, Learnt]:
    """One process with the whole batch."""
    found = {}
    for name in DETECTORS:
        model = a_detector(name)
        found[name] = learnt(model, learn(model, range(IMAGES), None))
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Learnt]:
    """Two processes, each with every second image."""
    folder = tmp_path_factory.mktemp("shared")
    spawn(share, (2, str(folder)), nprocs=2)
    return {name: Learnt(*found) for name, found in torch.load(folder / "found.pt").items()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.dtype == torch.float64, name
        assert (found[name] - value).abs().max() <= 1e-9 * max(1.0, float(value.abs().max())), name


@every_detector
def test_two_processes_learn_what_one_does_with_twice_the_batch(
    name: str, whole: dict[str, Learnt], shared: dict[str, Learnt]
) -> None:
    expected, found = whole[name], shared[name]
    assert all(bool(value > 0) for value in expected.losses.values())
    assert_equal(found.losses, expected.losses)
    assert_equal(found.gradient, expected.gradient)
    assert_equal(found.statistics, expected.statistics)


@pytest.mark.parametrize("name", [name for name in DETECTORS if name not in ("R-CNN", "SPPNet")])
def test_two_batches_of_a_step_are_normalised_as_one(name: str) -> None:
    """R-CNN's windows are so many a batch, as Caffe's are."""
    one, several = a_detector(name), a_detector(name)
    for model in (one, several):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # its statistics are each batch's own
    expected = learnt(one, learn(one, range(IMAGES), None))
    parts, together = ([0, 2], [1, 3]), WholeStep(1, 2)
    together.count(parts, lambda rows: learn(several, rows, together, count=True))
    losses = [learn(several, rows, together) for rows in parts]
    found = learnt(several, {key: losses[0][key] + losses[1][key] for key in losses[0]}, parts=2)
    assert_equal(found.losses, expected.losses)
    assert_equal(found.gradient, expected.gradient)


def test_a_batch_by_itself_is_divided_by_its_own_number() -> None:
    assert total_of(torch.tensor(7)) == 7
    assert total_of(torch.tensor(0)) == 1
    together = WholeStep(1, 2)
    together.count([3, 0], lambda number: total_of(torch.tensor(number)))
    for _ in range(2):
        with together.learning():
            assert total_of(torch.tensor(99)) == 1.5  # three over two batches, and accelerate halves them again
    together.count([0, 0], lambda number: total_of(torch.tensor(number)))
    with together.learning():
        assert total_of(torch.tensor(0)) == 0.5
    assert total_of(torch.tensor(7)) == 7
