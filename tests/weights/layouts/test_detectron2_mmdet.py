"""detectron2's and mmdet's checkpoints: torchvision's weights under their names come out as torchvision's do."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models import detection

from vedette.errors import InputError
from vedette.papers.retinanet import OCTAVES
from vedette.weights.layouts import detectron2, faster_rcnn_torchvision, mmdet, retinanet_torchvision
from vedette.weights.layouts.checkpoint import Checkpoint
from vedette.weights.layouts.known import LAYOUTS, read_foreign
from vedette.weights.layouts.pickled import read_state_dict
from vedette.zoo import build

CLASSES = 5  # torchvision's, with a background


@pytest.fixture(scope="module")
def faster_rcnn() -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES)
    return dict(model.state_dict())


@pytest.fixture(scope="module")
def retinanet() -> dict[str, Tensor]:
    """Its second version's p6 is made of c5, as theirs; the subnets of the first have no norm, as theirs."""
    torch.manual_seed(0)
    model = detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES)
    weights = dict(model.state_dict())
    weights["backbone.fpn.extra_blocks.p6.weight"] = torch.randn(256, 2048, 3, 3)
    return weights


def detectron2_name(name: str) -> str | None:
    """By its sources: modeling/backbone/{resnet,fpn}.py, proposal_generator, roi_heads, meta_arch/retinanet.py."""
    if body := re.fullmatch(r"backbone\.body\.(.*)", name):
        name = body[1].replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
        name = re.sub(r"bn(\d)\.", r"conv\1.norm.", name)
        name = re.sub(r"layer(\d)\.", lambda m: f"res{int(m[1]) + 1}.", name)
        return "backbone.bottom_up." + (name if name.startswith("res") else f"stem.{name}")
    return fpn_and_heads(
        name,
        {
            r"backbone\.fpn\.inner_blocks\.(\d)\.0\.": "backbone.fpn_lateral{level}.",
            r"backbone\.fpn\.layer_blocks\.(\d)\.0\.": "backbone.fpn_output{level}.",
            r"backbone\.fpn\.extra_blocks\.": "backbone.top_block.",
            r"rpn\.head\.conv\.0\.0\.": "proposal_generator.rpn_head.conv.",
            r"rpn\.head\.cls_logits\.": "proposal_generator.rpn_head.objectness_logits.",
            r"rpn\.head\.bbox_pred\.": "proposal_generator.rpn_head.anchor_deltas.",
            r"roi_heads\.box_head\.fc6\.": "roi_heads.box_head.fc1.",
            r"roi_heads\.box_head\.fc7\.": "roi_heads.box_head.fc2.",
            r"roi_heads\.box_predictor\.": "roi_heads.box_predictor.",
            r"head\.classification_head\.conv\.(\d)\.0\.": "head.cls_subnet.{twice}.",
            r"head\.regression_head\.conv\.(\d)\.0\.": "head.bbox_subnet.{twice}.",
            r"head\.classification_head\.cls_logits\.": "head.cls_score.",
            r"head\.regression_head\.bbox_reg\.": "head.bbox_pred.",
        },
    )


def mmdet_name(name: str) -> str | None:
    """By its sources: backbones/resnet.py, necks/fpn.py, dense_heads/{rpn,retina}_head.py, roi_heads/bbox_heads."""
    if body := re.fullmatch(r"backbone\.body\.(.*)", name):
        return f"backbone.{body[1]}"
    return fpn_and_heads(
        name,
        {
            r"backbone\.fpn\.inner_blocks\.(\d)\.0\.": "neck.lateral_convs.{number}.conv.",
            r"backbone\.fpn\.layer_blocks\.(\d)\.0\.": "neck.fpn_convs.{number}.conv.",
            r"backbone\.fpn\.extra_blocks\.p6\.": "neck.fpn_convs.3.conv.",
            r"backbone\.fpn\.extra_blocks\.p7\.": "neck.fpn_convs.4.conv.",
            r"rpn\.head\.conv\.0\.0\.": "rpn_head.rpn_conv.",
            r"rpn\.head\.cls_logits\.": "rpn_head.rpn_cls.",
            r"rpn\.head\.bbox_pred\.": "rpn_head.rpn_reg.",
            r"roi_heads\.box_head\.fc6\.": "roi_head.bbox_head.shared_fcs.0.",
            r"roi_heads\.box_head\.fc7\.": "roi_head.bbox_head.shared_fcs.1.",
            r"roi_heads\.box_predictor\.cls_score\.": "roi_head.bbox_head.fc_cls.",
            r"roi_heads\.box_predictor\.bbox_pred\.": "roi_head.bbox_head.fc_reg.",
            r"head\.classification_head\.conv\.(\d)\.0\.": "bbox_head.cls_convs.{number}.conv.",
            r"head\.regression_head\.conv\.(\d)\.0\.": "bbox_head.reg_convs.{number}.conv.",
            r"head\.classification_head\.cls_logits\.": "bbox_head.retina_cls.",
            r"head\.regression_head\.bbox_reg\.": "bbox_head.retina_reg.",
        },
    )


def fpn_and_heads(name: str, patterns: dict[str, str]) -> str | None:
    for pattern, new in patterns.items():
        if match := re.match(pattern, name):
            number = int(match[1]) if match.groups() else 0
            return new.format(number=number, level=number, twice=2 * number) + name[match.end() :]
    return None


def as_detectron2(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    finest = 2 if any(name.startswith("roi_heads") for name in weights) else 3
    buffers = ("pixel_mean", "proposal_generator.anchor_generator.cell_anchors.0")
    found = {name: torch.zeros(3) for name in buffers}
    for name, tensor in weights.items():
        new = detectron2_name(name)
        if new is None:
            continue
        new = re.sub(r"(fpn_lateral|fpn_output)(\d)", lambda m: f"{m[1]}{int(m[2]) + finest}", new)
        found[new] = their_order(new, tensor, ratio_first=False)
    return found


def as_mmdet(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {name: mmdet_name(name) for name in weights}
    found = {new: their_order(new, weights[name], ratio_first=True) for name, new in names.items() if new is not None}
    return found | {"backbone.bn1.num_batches_tracked": torch.tensor(7)}


def their_order(name: str, tensor: Tensor, ratio_first: bool) -> Tensor:
    """Background last in a softmax and not at all in a sigmoid; RetinaNet's anchors in their order."""
    if ("cls_score" in name and "roi" in name) or "fc_cls" in name:
        return torch.cat([tensor[1:], tensor[:1]])
    if "box_predictor.bbox_pred" in name or "fc_reg" in name:
        return tensor[4:]
    if "head.cls_score" in name or "retina_cls" in name:
        tensor = tensor.view(9, CLASSES, *tensor.shape[1:])[:, 1:].flatten(0, 1)
    if name.startswith(("head.cls_score", "head.bbox_pred")) and not ratio_first:
        anchors = tensor.view(3, 3, -1, *tensor.shape[1:])  # ratio, size
        return torch.cat([anchors[ratio, size] for size in range(3) for ratio in range(3)])
    return tensor


def same(checkpoint: Checkpoint, right: Checkpoint) -> None:
    assert checkpoint.faults == []
    assert checkpoint.num_classes == CLASSES - 1
    assert set(checkpoint.tensors) == set(right.tensors)
    for name, tensor in right.tensors.items():
        assert torch.equal(checkpoint.tensors[name], tensor), name


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["detectron2", "mmdet"])
def test_faster_rcnn(layout: str, faster_rcnn: dict[str, Tensor]) -> None:
    module, rename = (detectron2, as_detectron2) if layout == "detectron2" else (mmdet, as_mmdet)
    checkpoint = module.convert(rename(faster_rcnn))
    right = faster_rcnn_torchvision.convert(faster_rcnn)
    same(checkpoint, right)
    theirs = build("faster-rcnn-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config).eval()
    theirs.load_state_dict(checkpoint.tensors)
    images = torch.randn(1, 3, 96, 128)
    found = theirs.detect(theirs(images), score=0.0)[0]
    assert len(found) > 10
    ours, torchvisions = (
        build("faster-rcnn-resnet50-fpn", num_classes=CLASSES - 1, **right.config).eval() for _ in range(2)
    )
    ours.load_state_dict(checkpoint.tensors)
    torchvisions.load_state_dict(right.tensors)
    for a, b in zip(ours.detect(ours(images), 0.0), torchvisions.detect(torchvisions(images), 0.0), strict=True):
        assert torch.equal(a.boxes, b.boxes)
        assert torch.equal(a.scores, b.scores)


@pytest.mark.parametrize("layout", ["detectron2", "mmdet"])
def test_retinanet(layout: str, retinanet: dict[str, Tensor]) -> None:
    module, rename = (detectron2, as_detectron2) if layout == "detectron2" else (mmdet, as_mmdet)
    checkpoint = module.convert(rename(retinanet))
    same(checkpoint, retinanet_torchvision.convert(retinanet))
    model = build("retinanet-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config).eval()
    model.load_state_dict(checkpoint.tensors)
    assert model.pyramid.relu == (layout == "detectron2")
    predictions = model(torch.randn(1, 3, 64, 96))
    assert predictions.logits.isfinite().all()
    sides = (predictions.anchors[:9, 2:] - predictions.anchors[:9, :2]).prod(1).sqrt()
    torch.testing.assert_close(sides, 32 * torch.tensor(OCTAVES).repeat(3), rtol=1e-4, atol=0)
    assert predictions.anchors[:9].add(predictions.anchors[:9].roll(2, 1)).abs().max() < 1e-4  # around the corner 0, 0


def test_inputs() -> None:
    assert detectron2.INPUT["channels"] == "bgr"
    assert detectron2.INPUT["mean"] == (103.53, 116.28, 123.675)
    assert {"detectron2", "mmdet"} <= set(LAYOUTS)


def test_the_zoos_pickles_of_arrays(tmp_path: Path, faster_rcnn: dict[str, Tensor]) -> None:
    file = tmp_path / "model_final.pkl"
    arrays = {name: tensor.numpy() for name, tensor in as_detectron2(faster_rcnn).items()}
    file.write_bytes(pickle.dumps({"model": arrays, "__author__": "zoo", "matching_heuristics": True}, protocol=2))
    read = read_foreign(file, "detectron2")
    assert read.faults == []
    assert torch.equal(read.tensors["head.logits.bias"], faster_rcnn["roi_heads.box_predictor.cls_score.bias"])


class Harm:
    def __reduce__(self) -> Any:
        return print, ("code of the file was run",)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.pkl"
    file.write_bytes(pickle.dumps({"model": {"a": Harm()}}))
    with pytest.raises(InputError, match=r"needs builtins\.print to be read, and pickled code is not run here"):
        read_state_dict(file)
    assert capsys.readouterr().out == ""
    file.write_bytes(b"\x80\x04nonsense")
    with pytest.raises(InputError, match=r"bad\.pkl"):
        read_state_dict(file)
    file.write_bytes(pickle.dumps({"model": {"a": np.ones(1), "b.c": [1.0]}}))
    with pytest.raises(InputError, match=r"'b\.c' is a list, not a tensor"):
        read_state_dict(file)
    file.write_bytes(pickle.dumps({"model": {"a": np.ones(1), "b.c": Harm()}}))
    with pytest.raises(InputError, match=r"'b\.c' needs builtins\.print to be read, and pickled code is not run here"):
        read_state_dict(file)
    assert capsys.readouterr().out == ""
