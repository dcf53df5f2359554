"""No detector makes a GPU's host wait in forward, loss or find, and none launches more kernels than it has to.

    python tests/test_no_waiting.py

prints detector × (forward, loss, find): kernels launched, or where the host would wait.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

import vedette
from guard import FakeGPU, NeverWaits, WaitsError, watched
from vedette.ops.images import Normalize
from vedette.structures import Target, TargetBatch

pytest.importorskip("triton")
IMAGES, SIDE = 2, 320
ON_SIDE = {"image_size": SIDE, "max_side": SIDE}
PARTS = ("forward", "loss", "find")
DETECTORS: dict[str, dict[str, Any]] = {  # and the settings that are not the detector's own
    "ssd300-lite0": {},
    "refinedet320-lite0": {},
    "m2det320-lite0": {"nms": "hard"},
    "m2det320-lite0, linear": {"nms": "linear"},
    "fast-rcnn-lite0": ON_SIDE,
    "faster-rcnn-lite0": ON_SIDE,
    "faster-rcnn-lite0-fpn": ON_SIDE,
    "retinanet-lite0-fpn": ON_SIDE,
}
BUDGETS = {  # kernels of forward, loss and find: what there are, rounded up
    "ssd300-lite0": (192, 100, 36),
    "refinedet320-lite0": (240, 218, 56),
    "m2det320-lite0": (420, 100, 36),
    "m2det320-lite0, linear": (420, 100, 36),
    "fast-rcnn-lite0": (104, 140, 56),
    "faster-rcnn-lite0": (168, 268, 58),
    "faster-rcnn-lite0-fpn": (240, 286, 88),
    "retinanet-lite0-fpn": (256, 102, 52),
}


def built(name: str) -> Any:
    """A detector of three classes on the CPU."""
    torch.manual_seed(0)
    return vedette.build(name.split(",")[0], num_classes=3, **DETECTORS[name]).eval()


def some_targets() -> TargetBatch:
    """Of two images, the second with an ignored box beside its object."""
    one = Target(torch.tensor([[30.0, 40, 200, 220], [10, 10, 50, 60], [0, 0, 300, 300]]), torch.tensor([0, 2, 1]))
    two = Target(torch.tensor([[60.0, 20, 90, 200], [5, 5, 40, 40]]), torch.tensor([1, 1]), torch.tensor([False, True]))
    return TargetBatch.of([one, two])


class Calls(NamedTuple):
    """What is watched; each of loss and find is given what forward predicted."""

    forward: Callable[[], Any]
    loss: Callable[[Any], dict[str, Tensor]]
    find: Callable[[Any], Any]


def calls_of(model: Any, place: Callable[[Tensor], Tensor]) -> Calls:
    """The detector's calls on a batch; place: where its tensors go."""
    images = place(torch.randn(IMAGES, 3, model.input_spec.size, model.input_spec.size))
    more: dict[str, Any] = {}
    if getattr(model, "needs_proposals", False):
        low = torch.rand(IMAGES, 30, 2) * 200
        more["proposals"] = list(place(torch.cat([low, low + 20 + torch.rand(IMAGES, 30, 2) * 90], -1)))
    targets = TargetBatch(*(place(t) for t in some_targets()))
    return Calls(partial(model, images, **more), lambda found: model.loss(found, targets), torch.no_grad()(model.find))


@cache
def kernels(name: str) -> dict[str, int | str]:
    """Of each part the kernels it launches, or where it waits."""
    gpu, model = FakeGPU(), built(name)
    calls = calls_of(gpu.model(model), gpu.tensor)
    with gpu.mode:
        predictions = calls.forward()  # and the anchors of this size are known
        table: dict[str, int | str] = {}
        for part in PARTS:
            call = calls.forward if part == "forward" else partial(getattr(calls, part), predictions)
            try:
                table[part] = watched(call)[1]
            except WaitsError as error:
                table[part] = str(error)
    return table


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("part", PARTS)
def test_a_gpu_never_waits_and_is_not_given_more_kernels_than_before(name: str, part: str) -> None:
    launched, budget = kernels(name)[part], BUDGETS[name][PARTS.index(part)]
    assert isinstance(launched, int), f"{name}: the host waits in {part}: {launched}"
    assert launched <= budget, f"{name}: {part} launches {launched} kernels, more than {budget}"


@pytest.mark.parametrize("name", ["refinedet320-lite0", "m2det320-lite0, linear", "faster-rcnn-lite0-fpn"])
def test_a_gpu_does_not_wait_for_a_floor_of_each_class(name: str) -> None:
    gpu, model = FakeGPU(), built(name)
    calls, floor = calls_of(gpu.model(model), gpu.tensor), gpu.tensor(torch.tensor([0.01, 0.02, 2.0]))
    with gpu.mode:
        predictions = calls.forward()
        calls.find(predictions)  # and what is kept for this size is there
        assert 0 < watched(lambda: torch.no_grad()(model.find)(predictions, floor))[1] <= BUDGETS[name][2] + 4


@pytest.mark.parametrize("name", DETECTORS)
def test_a_gpu_does_not_wait_in_training_mode_either(name: str) -> None:
    gpu, model = FakeGPU(), built(name).train()
    calls = calls_of(gpu.model(model), gpu.tensor)
    with gpu.mode:
        calls.forward()  # and the anchors of this size are known
        predictions, launched = watched(calls.forward)
        assert launched + watched(lambda: calls.loss(predictions))[1] > 100


@pytest.mark.parametrize("name", DETECTORS)
def test_nothing_in_the_gradient_waits(name: str) -> None:
    """On a CPU, as the autograd engine asks for a real device; a shape that the data decide would be seen here too."""
    model = built(name)
    calls = calls_of(model, lambda tensor: tensor)
    total = torch.stack(list(calls.loss(calls.forward()).values())).sum()
    with NeverWaits() as mode:
        total.backward()
    assert mode.launches > 80
    assert sum(parameter.grad is not None for parameter in model.parameters()) > 40


@pytest.mark.parametrize("spec", [vedette.InputSpec(size=9), vedette.InputSpec(size=9, resize="short side")])
def test_pictures_are_normalised_without_waiting(spec: vedette.InputSpec) -> None:
    gpu = FakeGPU()
    normalize = gpu.model(Normalize(spec))
    images, sizes = gpu.tensor(torch.zeros(2, 3, 9, 9, dtype=torch.uint8)), gpu.tensor(torch.zeros(2, 2).long())
    with gpu.mode:
        assert watched(lambda: normalize(images, sizes))[1] <= 12


WAITING: dict[str, Callable[[Tensor], Any]] = {
    "reads a value back": lambda x: x.sum().item(),
    "reads a value back ": lambda x: bool((x > 0).any()),
    "has a shape that the data decide": lambda x: x.nonzero(),
    "has a shape that the data decide ": lambda x: nms(x, x[:, 0], 0.5),
    "has an index of booleans": lambda x: x[x[:, 0] > 0],
    "has an index of booleans ": lambda x: x.index_put_((x[:, 0] > 0,), x[0, 0]),
    "copies between the host and the device": lambda x: x.new_tensor([1.0, 2.0]),
    "copies between the host and the device ": lambda x: torch.tensor([1, 2], device=x.device),
    "copies between the host and the device  ": lambda x: x.cpu(),
    "copies between the host and the device   ": lambda x: x.copy_(torch.zeros(4)),
    "takes a tensor of the host": lambda x: x[torch.tensor([0, 1])],
    "takes a tensor of the host ": lambda x: x.index_add_(0, torch.tensor([0, 1]), x[:2]),
    "reads a value back  ": lambda x: x.abs().multinomial(2),
}


@pytest.mark.parametrize("reason", WAITING)
def test_the_guard_sees_what_waits(reason: str) -> None:
    gpu = FakeGPU()
    x = gpu.tensor(torch.zeros(5, 4))
    with gpu.mode, pytest.raises(WaitsError, match=reason.strip()):
        watched(lambda: WAITING[reason](x))


def test_the_guard_counts_kernels_and_lets_the_rest_pass() -> None:
    gpu = FakeGPU()
    x = gpu.tensor(torch.zeros(5, 4))

    def some() -> Tensor:
        y = torch.where(x.view(4, 5) > 0, x.t(), 0.0) * 3 + 1  # gt, a number on the device, where, mul, add
        return torch.stack([y, torch.empty_like(y)])[0, :, 1:]  # stack

    with gpu.mode:
        assert watched(some)[1] == 6


if __name__ == "__main__":
    print("| detector | forward | loss | find |\n|---|---|---|---|")
    for detector in DETECTORS:
        print("|", " | ".join([detector, *(str(value) for value in kernels(detector).values())]), "|", flush=True)
