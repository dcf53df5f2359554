"""On a GPU: its kernels agree with the CPU, and no detector makes the host wait. Skipped where there is none.

    python -m pytest tests/test_gpu.py -rP

prints times too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from test_no_waiting import DETECTORS, built, calls_of
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou
from vedette.ops.nms import nms, soft_nms
from vedette.papers.fpn import PyramidPool
from vedette.parts.anchors import KEPT_SIZES
from vedette.parts.matching import assign_bipartite, match

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode"),  # a prototype, it says
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),  # in a thread of the gradient
]
CROWDS = pytest.mark.parametrize(
    ("images", "count", "groups"), [(2, 1, 1), (3, 64, 1), (2, 700, 1), (4, 900, 20), (1, 3000, 5)]
)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Any wait that PyTorch knows of is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def milliseconds(call: Callable[[], Any], rounds: int = 20) -> float:
    """The median of the device's time."""
    times = []
    for _ in range(rounds + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times[3:])[rounds // 2]


def crowd(images: int, count: int, groups: int, side: float = 600.0) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores of which a tenth is padding, groups; on the CPU."""
    low = torch.rand(images, count, 2) * side
    boxes = torch.cat([low, low + 10 + 120 * torch.rand(images, count, 2)], -1)
    return boxes, torch.rand(images, count).clamp(min=0.1) - 0.1, torch.randint(groups, (images, count))


def greedy(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """One image, box by box, in float32."""
    hit = (iou(boxes, boxes) > threshold) & (groups[:, None] == groups)
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for i in scores.argsort(descending=True, stable=True).tolist():
        keep[i] = bool(scores[i] > 0) and not bool((hit[i] & keep).any())
    return keep


def to_gpu(*tensors: Tensor) -> list[Tensor]:
    return [tensor.cuda() for tensor in tensors]


@CROWDS
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_hard_nms_is_greedy_in_float32(images: int, count: int, groups: int, threshold: float) -> None:
    inputs = crowd(images, count, groups)
    inputs[0][:, ::2] = inputs[0][:, ::2].round()  # overlaps and scores that are equal
    inputs[1][:, ::3] = (inputs[1][:, ::3] * 16).round() / 16
    kept = nms(*to_gpu(*inputs), threshold).cpu()
    for image in range(images):
        assert torch.equal(kept[image], greedy(*(t[image] for t in inputs), threshold))


def test_hard_nms_of_the_first_so_many_does_not_wait() -> None:
    inputs = crowd(8, 5000, 20)
    device = to_gpu(*inputs)
    full, some = nms(*inputs, 0.5), nms(*device, 0.5, enough=100)
    with without_waiting():
        nms(*device, 0.5, enough=100)
    for image in range(8):
        best, found = (torch.where(mask[image].cpu(), inputs[1][image], 0).topk(100).values for mask in (full, some))
        assert (best == found).float().mean() > 0.98  # the CPU compares in float64


def in_runs(images: int, runs: int, length: int) -> list[Tensor]:
    """A crowd on the GPU, run by run, each from its best down."""
    boxes, scores, _ = crowd(images, runs * length, 1)
    best_first = scores.view(images, runs, length).sort(-1, descending=True).values.flatten(1)
    return to_gpu(boxes, best_first, torch.arange(runs).repeat_interleave(length).repeat(images, 1))


@pytest.mark.parametrize(("images", "runs", "length"), [(2, 3, 1), (3, 20, 130), (2, 1, 3000)])
def test_hard_nms_of_runs_is_that_of_any_order(images: int, runs: int, length: int) -> None:
    inputs = in_runs(images, runs, length)
    inputs[1] *= torch.rand_like(inputs[1]) < 0.9  # padding in the midst
    kept = nms(*inputs, 0.5)
    assert torch.equal(nms(*inputs, 0.5, runs=runs), kept)
    with without_waiting():
        nms(*inputs, 0.5, runs=runs)
    for image in range(images):
        assert torch.equal(kept[image].cpu(), greedy(*(t[image].cpu() for t in inputs), 0.5))


def test_nms_is_fast_enough_for_ssd_and_faster_rcnn() -> None:
    cases: dict[str, partial[Tensor]] = {
        "8 × 5000 of 20": partial(nms, *to_gpu(*crowd(8, 5000, 20)), 0.5),
        "8 × 400 of 20": partial(nms, *to_gpu(*crowd(8, 400, 20)), 0.5),
        "2 × 12000 of 1, all": partial(nms, *to_gpu(*crowd(2, 12000, 1)), 0.5),
        "2 × 12000 of 1, 2000 wanted": partial(nms, *to_gpu(*crowd(2, 12000, 1)), 0.5, enough=2000),
        "2 × a run of 12000, 2000 wanted": partial(nms, *in_runs(2, 1, 12000), 0.7, enough=2000, runs=1),
        "8 × 20 runs of 400, 200 wanted": partial(nms, *in_runs(8, 20, 400), 0.45, enough=200, runs=20),
    }
    for name, call in cases.items():
        print(f"nms, {name}: {milliseconds(call):.3f} ms")


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize(("images", "count", "groups"), [(2, 1, 1), (3, 300, 1), (4, 2000, 20), (1, 1500, 1)])
def test_soft_nms_is_the_cpus(method: Any, images: int, count: int, groups: int) -> None:
    boxes, scores, kinds = crowd(images, count, groups)
    exact = boxes.double(), scores.double(), kinds
    found = soft_nms(*to_gpu(*exact), method=method).cpu()
    torch.testing.assert_close(found, soft_nms(*exact, method=method), rtol=1e-9, atol=1e-12)
    device = to_gpu(boxes, scores, kinds)
    soft_nms(*device, method=method)
    with without_waiting():
        found = soft_nms(*device, method=method)
    close = torch.isclose(found.cpu(), soft_nms(boxes, scores, kinds, method=method), rtol=1e-4, atol=1e-5)
    assert close.float().mean() > 0.98  # in float32 nearly equal scores may change places


def test_soft_nms_is_fast_enough_for_m2det() -> None:
    for images in (1, 4):
        boxes, scores, groups = in_runs(images, 20, 200)
        scores[:, 3] = torch.nan  # padding in the midst
        of_runs, of_any = (soft_nms(boxes, scores, groups, runs=runs) for runs in (20, 0))
        torch.testing.assert_close(of_runs, of_any, equal_nan=True)
        for runs in (0, 20):
            took = milliseconds(partial(soft_nms, boxes, scores, groups, runs=runs))
            print(f"linear, {images} × 20 × 200{', in runs' if runs else ''}: {took:.3f} ms")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 4), (5, 17, 300), (64, 50, 6375), (2, 300, 40)])
@pytest.mark.parametrize("ties", [False, True])
def test_bipartite_is_the_cpus(shape: tuple[int, int, int], ties: bool) -> None:
    overlap = torch.rand(shape)
    overlap = (overlap * 8).round() / 8 if ties else overlap * (torch.rand(shape) < 0.1)
    overlap[:, -1] = 0 if shape[1] > 1 else 0.5
    anchor, taken = assign_bipartite(overlap.cuda())
    wanted_anchor, wanted = assign_bipartite(overlap)
    assert torch.equal(taken.cpu(), wanted)
    assert torch.equal(anchor.cpu() * wanted, wanted_anchor * wanted)


def test_bipartite_takes_less_than_a_millisecond() -> None:
    model = built("refinedet320-lite0")
    anchors = model.anchors.cuda()
    low = torch.rand(64, 50, 2, device="cuda") * 280
    boxes = torch.cat([low, low + 8 + 60 * torch.rand(64, 50, 2, device="cuda") ** 2], -1)
    flags = torch.ones(64, 50, dtype=torch.bool, device="cuda")
    overlap = iou(boxes, anchors)
    took = milliseconds(partial(assign_bipartite, overlap))
    print(f"assign_bipartite of {tuple(overlap.shape)}: {took:.3f} ms")
    print(f"match of the same: {milliseconds(partial(match, anchors, boxes, flags, ~flags)):.3f} ms")
    with without_waiting():
        match(anchors, boxes, flags, ~flags)
    assert took < 1


@pytest.mark.parametrize("half_cell", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_regions_of_a_pyramid_are_pooled_as_on_the_cpu(samples: int, half_cell: bool) -> None:
    features = [torch.randn(2, 8, 512 // stride, 512 // stride) for stride in (4, 8, 16, 32)]
    center, half = torch.rand(2, 200, 2) * 512, 400 * 2 ** (-7 * torch.rand(2, 200, 1))
    boxes = torch.cat([center - half, center + half], -1).clamp(0, 512)
    boxes[:, 0], boxes[:, 1], boxes[:, 2] = 512.0, 0.0, torch.tensor([511.5, 511.5, 512.0, 512.0])
    pool = PyramidPool((4, 8, 16, 32), 7, samples, half_cell)
    results = []
    for device in ("cpu", "cuda"):
        maps = [feature.to(device).requires_grad_() for feature in features]
        pooled = pool(maps, boxes.to(device))
        gradients = torch.autograd.grad(pooled.square().sum(), maps)
        results.append([pooled.detach().cpu(), *(gradient.cpu() for gradient in gradients)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", DETECTORS)
def test_no_detector_waits(name: str) -> None:
    model = built(name).cuda()
    calls = calls_of(model, Tensor.cuda)
    calls.find(calls.forward())  # the anchors of this size are known, kernels compiled
    with without_waiting():
        predictions = calls.forward()
        torch.stack(list(calls.loss(predictions).values())).sum().backward()
        calls.find(predictions)
    with torch.no_grad():
        parts = {part: milliseconds(partial(getattr(calls, part), predictions)) for part in ("loss", "find")}
    print(name, {"forward": milliseconds(torch.no_grad()(calls.forward)), **parts})


@pytest.mark.parametrize("name", [name for name in DETECTORS if "rcnn" not in name])
@torch.no_grad()
def test_losses_and_detections_are_the_cpus(name: str) -> None:
    model = built(name)
    calls = calls_of(model, lambda tensor: tensor)
    predictions = tree_map(noise_for, calls.forward())
    losses, found = calls.loss(predictions), model.detect(predictions)
    model.cuda()
    moved = tree_map(lambda x: x.cuda() if isinstance(x, Tensor) else x, predictions)
    for key, loss in calls_of(model, Tensor.cuda).loss(moved).items():
        torch.testing.assert_close(loss.cpu(), losses[key], rtol=1e-4, atol=1e-5)
    for one, other in zip(model.detect(moved), found, strict=True):
        assert abs(len(one) - len(other)) <= 1
        both = min(len(one), len(other))
        assert torch.isclose(one.scores.cpu()[:both], other.scores[:both], rtol=1e-3).float().mean() > 0.98
        assert (one.source.cpu()[:both] == other.source[:both]).float().mean() > 0.9  # nearly equal scores swap


def noise_for(value: Any) -> Any:
    """Noise for what a network says of every anchor, as an untrained one says the same of many; all else as it is."""
    return torch.randn_like(value) if isinstance(value, Tensor) and value.ndim == 3 else value


@pytest.mark.parametrize("name", ["ssd300-lite0", "m2det320-lite0, linear", "retinanet-lite0-fpn"])
@torch.no_grad()
def test_what_does_not_wait_can_be_captured_as_a_graph(name: str) -> None:
    model = built(name).cuda()
    calls = calls_of(model, Tensor.cuda)
    predictions = calls.forward()
    wanted = calls.find(predictions)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = calls.find(predictions)
    graph.replay()
    torch.cuda.synchronize()
    for one, other in zip(tree_leaves(captured), tree_leaves(wanted), strict=True):
        assert torch.equal(one, other)


def test_a_recorded_graph_reads_its_anchors_though_the_model_forgot_them() -> None:
    detector = Detector(built("ssd300-lite0"), device="cuda", graphs=True)
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    first = detector.detect(picture, score=0.0)
    for side in range(320, 320 + 32 * KEPT_SIZES, 32):  # of each size the model keeps anchors, until it forgets
        detector.model(torch.randn(1, 3, side, side, device="cuda"))
    again = detector.detect(picture, score=0.0)
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.source, again.source)
