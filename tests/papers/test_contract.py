"""What every detector keeps, whatever its paper; what is a paper's own is tested beside this file."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from papers import tiny
from papers.shared import TinyBackbone, TinyRegions, an_image, overlap, target
from vedette.ops.boxes import iou
from vedette.ops.nms import nms
from vedette.ops.suppressors import suppressors
from vedette.parts.detection import Found, unpad
from vedette.structures import Detections, Target
from vedette.zoo import build

FLOOR = 0.005  # below RetinaNet's prior
CLASSES = 3


class Kept(NamedTuple):
    """A detector that keeps the contract, and how long it takes to learn an image."""

    make: Callable[..., Any]
    losses: set[str]
    learner: Callable[[], Any]
    rate: float
    updates: int
    score: float = 0.5
    twice: bool = False  # it may find an object more than once after so short a training
    overlap: float = 0.7
    left: float = 0.3  # of the loss


def on_timm(name: str, **config: Any) -> Callable[[], Any]:
    return partial(build, f"{name}-timm/resnet10t", **({"num_classes": CLASSES, "image_size": 64} | config))


ONE_STAGE, TWO_STAGES = {"class", "box"}, {"rpn_class", "rpn_box", "class", "box"}
SLIM_SSD = {"extra_channels": ((32, 32),) * 3, "anchor_sizes": (12, 20, 32, 44, 52, 58, 64)}
SLIM_REFINEDET = {"tcb_channels": 32, "extra_channels": (32, 32)}
DETECTORS = {
    "R-CNN": Kept(tiny.rcnn, {"class"}, tiny.rcnn, 1e-3, 80),
    "SPPNet": Kept(tiny.sppnet, {"class"}, tiny.sppnet, 1e-2, 60),
    "Fast R-CNN": Kept(tiny.fast_rcnn, ONE_STAGE, tiny.fast_rcnn, 3e-3, 150, overlap=0.8),
    "Faster R-CNN": Kept(tiny.faster_rcnn, TWO_STAGES, tiny.faster_rcnn, 5e-4, 700),
    "FPN": Kept(tiny.fpn, TWO_STAGES, tiny.fpn, 3e-4, 40, twice=True, overlap=0.6),
    "RetinaNet": Kept(tiny.retinanet, ONE_STAGE, tiny.retinanet, 2e-3, 120, score=0.4),
    "SSD": Kept(tiny.ssd, ONE_STAGE, on_timm("ssd300", **SLIM_SSD), 2e-3, 60, left=0.4),
    "RefineDet": Kept(
        tiny.refinedet,
        {"arm_class", "arm_box", "odm_class", "odm_box"},
        on_timm("refinedet320", **SLIM_REFINEDET),
        2e-3,
        60,
    ),
    "M2Det": Kept(tiny.m2det, ONE_STAGE, on_timm("m2det320", **tiny.M2DET), 2e-3, 80, twice=True),
}
NEED_PROPOSALS = ("R-CNN", "SPPNet", "Fast R-CNN")
every_detector = pytest.mark.parametrize("name", DETECTORS)
needing_proposals = pytest.mark.parametrize("name", NEED_PROPOSALS)


def some_proposals(images: int, count: int = 12) -> list[Tensor]:
    corner, side = 44 * torch.rand(images, count, 2), 4 + 30 * torch.rand(images, count, 2)
    return list(torch.cat([corner, corner + side], 2).clamp(max=64))


class Scene(NamedTuple):
    """A detector in eval and what it predicts of two images."""

    model: Any
    images: Tensor
    given: dict[str, Any]  # the proposals, where it needs them
    predictions: Any

    def targets(self) -> list[Target]:
        return [target((3.0, 5.0, 40.0, 42.0, 1), (4.0, 5.0, 41.0, 43.0, 2)), target()]


def scene_of(model: Any) -> Scene:
    torch.manual_seed(1)
    images, given = torch.randn(2, 3, 64, 64), {}
    if getattr(model, "needs_proposals", False):
        given = {"proposals": some_proposals(2)}
    with torch.no_grad():
        return Scene(model.eval(), images, given, model.eval()(images, **given))


@pytest.fixture(scope="module", params=DETECTORS)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Nothing in a test changes it."""
    torch.manual_seed(0)
    return scene_of(DETECTORS[request.param].make())


def tensors_of(record: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(record) if isinstance(leaf, Tensor))


def in_order(found: Detections) -> Detections:
    """By anchor and class: scores that are nearly equal may have changed places."""
    return found[(CLASSES * found.source + found.labels).argsort()]


# Calls


def test_every_detector_is_called_the_same(scene: Scene) -> None:
    parameters = inspect.signature(scene.model.forward).parameters
    assert list(parameters) == ["images", "sizes", "proposals"]
    assert [parameters[name].default for name in ("sizes", "proposals")] == [None, None]
    proposals = scene.given.get("proposals") or some_proposals(2)  # others do not look at them
    with torch.no_grad():
        again = scene.model(scene.images, torch.tensor([[64, 64]] * 2), proposals)
    assert type(again) is type(scene.predictions)
    for one, other in zip(tensors_of(again), tensors_of(scene.predictions), strict=True):
        torch.testing.assert_close(one, other)


@needing_proposals
def test_a_call_without_proposals_is_refused(name: str) -> None:
    model, images, none = DETECTORS[name].make(), torch.zeros(2, 3, 64, 64), torch.zeros(0, 4)
    with pytest.raises(ValueError, match=r"this model takes proposals: model\(images, proposals="):
        model(images)
    with pytest.raises(ValueError, match="proposals of 1 images, but there are 2"):
        model(images, proposals=[none])
    with pytest.raises(ValueError, match=r"proposals\[1\] has shape \(4,\): give \(N, 4\)"):
        model(images, proposals=[none, torch.zeros(4)])
    with pytest.raises(ValueError, match=r"sizes has shape \(2,\)"):
        model(images, torch.tensor([64, 64]), [none, none])


@every_detector
def test_a_batch_of_two_is_two_batches_of_one(name: str) -> None:
    # Proposals cut to the same box tie, and NMS would keep either.
    settings = {"nms_iou": 1.0, "keep": 1000} if DETECTORS[name].losses == TWO_STAGES else {}
    model, images, given, _ = scene_of(DETECTORS[name].make(**settings))
    given = {"sizes": torch.tensor([[64, 64], [50, 40]]), **given}
    with torch.no_grad():
        both = model(images, **given)
    for row in range(2):
        with torch.no_grad():
            one = model(images[row : row + 1], **{key: value[row : row + 1] for key, value in given.items()})
        for pair, single in zip(tensors_of(both), tensors_of(one), strict=True):
            torch.testing.assert_close(pair[row : row + 1] if len(pair) == 2 else pair, single, atol=1e-4, rtol=1e-4)
        together, alone = (in_order(found) for found in (model.detect(both, FLOOR)[row], model.detect(one, FLOOR)[0]))
        assert len(together) > 5
        assert torch.equal(together.source, alone.source)
        assert torch.equal(together.labels, alone.labels)
        torch.testing.assert_close(together.boxes, alone.boxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(together.scores, alone.scores, atol=1e-5, rtol=1e-4)


# Losses


@pytest.mark.parametrize(
    "targets",
    [
        [target(), target()],
        [target((0.0, 0.0, 64.0, 64.0, 0)), target((30.0, 30.0, 32.0, 32.0, 2), (3.0, 3.0, 4.0, 4.0, 0))],
        [target(*[(i % 60.0, i % 50.0, i % 60.0 + 4, i % 50.0 + 3, i % 3) for i in range(300)]), target()],
        [target((5.0, 5.0, 30.0, 30.0, 1), ignore=(True,)), target()],
        [],
    ],
    ids=["no objects", "whole image, two pixels and one", "300 objects", "ignored alone", "no images"],
)
@every_detector
def test_losses_and_gradients_are_finite(name: str, targets: list[Target]) -> None:
    model = DETECTORS[name].make()
    batch = len(targets)
    model.train(batch > 0)  # batch norm has nothing to learn from no image
    given = {"proposals": some_proposals(batch)} if name in NEED_PROPOSALS else {}
    predictions = model(torch.randn(batch, 3, 64, 64), **given)
    losses = model.loss(predictions, targets)
    assert set(losses) == DETECTORS[name].losses
    assert all(loss.isfinite() for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(m.running_var.isfinite().all() for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert len(model.detect(predictions, 0.0)) == batch
    if not batch:
        assert all(loss == 0 for loss in losses.values())


@pytest.mark.parametrize(("batch", "height", "width"), [(3, 64, 64), (1, 64, 128)])
@every_detector
def test_other_sizes_and_batches(name: str, batch: int, height: int, width: int) -> None:
    model = DETECTORS[name].make().eval()
    given = {"proposals": some_proposals(batch)} if name in NEED_PROPOSALS else {}
    predictions = model(torch.randn(batch, 3, height, width), **given)
    targets = [target((0.0, 0.0, width, height, 1), (3.0, 3.0, 4.0, 4.0, 0))] * batch
    assert all(loss.isfinite() for loss in model.loss(predictions, targets).values())
    assert len(model.detect(predictions, FLOOR)) == batch


@pytest.mark.parametrize("boxes", [[], [[1.0, 1.0, 9.0, 9.0]], [[4.0, 4.0, 5.0, 5.0]], [[4.0, 4.0, 4.0, 4.0]]])
@needing_proposals
def test_few_proposals_none_or_one_without_area_are_ordinary(name: str, boxes: list[list[float]]) -> None:
    model = DETECTORS[name].make().eval()
    given = [torch.tensor(boxes).reshape(-1, 4), torch.zeros(0, 4)]
    for truth in (target(), target((4.0, 4.0, 5.0, 5.0, 0)), target((4.0, 4.0, 5.0, 5.0, 0), ignore=(True,))):
        predictions = model(torch.rand(2, 3, 32, 32), proposals=given)
        losses = model.loss(predictions, [truth, target()])
        torch.stack(list(losses.values())).sum().backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        first, second = model.detect(predictions, 0.0)
        assert (first.boxes[:, 2:] > first.boxes[:, :2]).all()
        assert len(second) == 0  # the padding is never found


def test_targets_that_do_not_fit_are_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="1 targets for 2 images"):
        scene.model.loss(scene.predictions, [target()])
    with pytest.raises(ValueError, match=r"targets\[1\] has label 3; the model has 0\.\.2"):
        scene.model.loss(scene.predictions, [target(), target((1.0, 1.0, 9.0, 9.0, 3))])


# Detections


def test_detections_are_in_range(scene: Scene) -> None:
    of = scene.predictions
    sources = len(of.anchors) if hasattr(of, "anchors") else of.proposals.shape[1]
    for image, found in enumerate(scene.model.detect(of, FLOOR)):
        assert len(found) > 5
        assert found.boxes.isfinite().all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
        assert (found.scores > FLOOR).all()
        assert (found.scores <= 1).all()
        assert (found.scores.diff() <= 0).all()
        assert set(found.labels.tolist()) <= set(range(CLASSES))
        assert 0 <= found.source.min() <= found.source.max() < sources
        if hasattr(of, "source"):  # of the anchors, those that were proposed
            assert set(found.source.tolist()) <= set(of.source[image].tolist())


@pytest.mark.parametrize("score", [float("nan"), -0.1, 2.0])
def test_a_score_that_cannot_be_is_refused(scene: Scene, score: float) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 1"):
        scene.model.detect(scene.predictions, score=score)


@every_detector
def test_find_says_what_it_kept_and_what_suppressed_the_rest(name: str) -> None:
    model, _, _, predictions = scene_of(DETECTORS[name].make(nms="hard", nms_iou=0.3, keep=5000))
    with torch.no_grad():
        found: Found = model.find(predictions, FLOOR)
    candidates, kept, places, _ = found
    boxes, scores, labels, _ = candidates
    dropped_by = suppressors(boxes, scores, labels, nms(boxes, scores, labels, 0.3), 0.3)
    for image, own in enumerate(unpad(kept)):
        at = places[image, : len(own)]
        assert torch.equal(candidates.boxes[image, at], own.boxes)
        assert torch.equal(candidates.labels[image, at], own.labels)
        assert torch.equal(candidates.source[image, at], own.source)
        by, there = dropped_by[image], candidates.scores[image] > 0
        assert (by[~there] == -1).all()
        assert set(at.tolist()) == set((by == torch.arange(len(by))).nonzero().flatten().tolist())
        dropped = there.nonzero().flatten()
        dropped = dropped[by[dropped] != dropped]
        assert len(dropped) > 0
        assert torch.equal(candidates.labels[image, dropped], candidates.labels[image, by[dropped]])
        assert (candidates.scores[image, dropped] <= candidates.scores[image, by[dropped]]).all()
        boxes = candidates.boxes[image]
        assert (iou(boxes[dropped], boxes[by[dropped]]).diagonal() > 0.3).all()


@pytest.mark.slow
@torch.no_grad()
def test_loss_and_find_compile_as_one_graph(scene: Scene) -> None:
    def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
        torch.compiler.reset()
        torch.manual_seed(1)  # the same sample of anchors and regions
        return torch.compile(function, fullgraph=True, backend="aot_eager")(*arguments)

    model, predictions = scene.model, scene.predictions
    losses = compiled(model.loss, predictions, scene.targets())
    torch.manual_seed(1)
    for key, loss in model.loss(predictions, scene.targets()).items():
        torch.testing.assert_close(losses[key], loss)
    found: Found = compiled(model.find, predictions, FLOOR)
    assert found.search is None
    for one, other in zip(found[:3], model.find(predictions, FLOOR)[:3], strict=True):
        torch.testing.assert_close(one, other)


# Layers


def test_a_state_dict_holds_all_that_detections_depend_on(scene: Scene, request: pytest.FixtureRequest) -> None:
    torch.manual_seed(2)
    other = DETECTORS[request.node.callspec.params["scene"]].make().eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
        other.load_state_dict(scene.model.state_dict())
        found = other.detect(other(scene.images, **scene.given), FLOOR)
    for one, own in zip(found, scene.model.detect(scene.predictions, FLOOR), strict=True):
        for column in ("boxes", "scores", "labels", "source"):
            assert torch.equal(getattr(one, column), getattr(own, column))


@every_detector
def test_class_layers_hold_all_that_depends_on_the_classes(name: str) -> None:
    few, many = (DETECTORS[name].make(num_classes=classes) for classes in (2, 5))
    state, wider = few.state_dict(), many.state_dict()
    different = {key for key, value in state.items() if value.shape != wider[key].shape}
    assert different == {key for key, value in state.items() if key.startswith(few.class_layers) and value.ndim}


def test_distinct_layers_are_distinct(scene: Scene) -> None:
    parameters = list(scene.model.parameters())
    assert len({p.data_ptr() for p in parameters}) == len(parameters)
    random = [p.detach() for p in parameters if p.ndim > 1 and p.std() > 0]
    assert len(random) > 2
    assert len({p.numpy().tobytes() for p in random}) == len(random)


@pytest.mark.slow
@every_detector
def test_it_learns_an_image(name: str) -> None:
    torch.manual_seed(1)
    kept = DETECTORS[name]
    model, (image, truth) = kept.learner().train(), an_image()
    given = {}
    if name in NEED_PROPOSALS:
        near = truth.boxes + torch.tensor([2.0, -2.0, 3.0, 1.0])
        given = {"proposals": [torch.cat([near, *some_proposals(1, 4)])]}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], kept.rate)
    totals = []
    for _ in range(kept.updates):
        total = torch.stack(list(model.loss(model(image, **given), [truth]).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert sum(totals[-8:]) / 8 < kept.left * totals[0]  # some draw other regions each time
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    if isinstance(getattr(model, "backbone", None), TinyBackbone | TinyRegions):
        assert all(p.grad.any() for p in model.parameters())  # timm's last norms begin at 0, and what is below waits
    found = model.eval().detect(model(image, **given), kept.score)[0]
    labels = found.labels.tolist()
    assert sorted(set(labels) if kept.twice else labels) == [0, 2]
    for box, label in zip(truth.boxes.tolist(), truth.labels, strict=True):
        best, *more = (overlap(own, box) for own in found.boxes[found.labels == label].tolist())
        assert best > kept.overlap
        assert all(other > 0.5 for other in more)
