"""No detector makes a GPU's host wait in forward, loss or find, and none launches more kernels than it has to.

    python tests/test_no_waiting.py

prints detector × (forward, loss, find): kernels launched, or where the host would wait.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import vedette
from guard import FakeGPU, WaitsError, watched
from vedette.parts.targets import TargetBatch
from vedette.structures import Target

pytest.importorskip("triton")
IMAGES, SIDE = 2, 320
PARTS = ("forward", "loss", "find")
NAMES = {  # and the settings that are not the detector's own
    "ssd300-lite0": {},
    "refinedet320-lite0": {},
    "m2det320-lite0": {"nms": "hard"},
    "m2det320-lite0 linear": {"nms": "linear"},
    "fast-rcnn-lite0": {},
    "faster-rcnn-lite0": {},
    "faster-rcnn-lite0-fpn": {},
    "retinanet-lite0-fpn": {},
}


def built(name: str) -> Any:
    """A detector on the CPU, for which `image_size` is not too large."""
    torch.manual_seed(0)
    settings = dict(NAMES[name])
    if "rcnn" in name or "retinanet" in name:
        settings |= {"image_size": SIDE, "max_side": SIDE}
    return vedette.build(name.split()[0], num_classes=3, **settings).eval()


def some_targets() -> TargetBatch:
    """Of two images, the second with an ignored box beside its object."""
    one = Target(torch.tensor([[30.0, 40, 200, 220], [10, 10, 50, 60], [0, 0, 300, 300]]), torch.tensor([0, 2, 1]))
    two = Target(torch.tensor([[60.0, 20, 90, 200], [5, 5, 40, 40]]), torch.tensor([1, 1]), torch.tensor([False, True]))
    return TargetBatch.of([one, two])


class Calls(NamedTuple):
    """What is watched; each of loss and find is given what forward predicted."""

    forward: Callable[[], Any]
    loss: Callable[[Any], Any]
    find: Callable[[Any], Any]


def calls_of(model: Any, place: Callable[[Tensor], Tensor]) -> Calls:
    """The detector's calls on a batch; place: where its tensors go."""
    images = place(torch.randn(IMAGES, 3, model.input_spec.size, model.input_spec.size))
    more: dict[str, Any] = {}
    if model.input_spec.resize == "short side":
        more["sizes"] = place(torch.tensor([[SIDE, SIDE], [SIDE, SIDE - 60]]))
    if getattr(model, "needs_proposals", False):
        low = torch.rand(IMAGES, 30, 2) * 200
        more["proposals"] = list(place(torch.cat([low, low + 20 + torch.rand(IMAGES, 30, 2) * 90], -1)))
    targets = TargetBatch(*(place(t) for t in some_targets()))
    return Calls(partial(model, images, **more), lambda found: model.loss(found, targets), torch.no_grad()(model.find))


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


if __name__ == "__main__":
    print("| detector | forward | loss | find |\n|---|---|---|---|")
    for detector in NAMES:
        print("|", " | ".join([detector, *(str(value) for value in kernels(detector).values())]), "|", flush=True)
