"""torchvision's Faster R-CNN and RetinaNet: the same weights find the same boxes, in both versions; old names."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection

from vedette.errors import InputError
from vedette.weights.layouts import faster_rcnn_torchvision, retinanet_torchvision
from vedette.weights.layouts.checkpoint import check_fit
from vedette.weights.layouts.known import read_foreign
from vedette.weights.layouts.torchvision_names import renamed
from vedette.zoo import build

CLASSES = 5  # theirs, with a background


def randomize(model: nn.Module) -> None:
    """Statistics that an untrained batch norm does not have, so that an exchanged tensor shows."""
    for module in model.modules():
        if hasattr(module, "running_var"):
            module.running_var.uniform_(0.5, 2.0)
            module.running_mean.normal_(0, 0.1)
            module.weight.data.uniform_(0.5, 1.2)


def their_faster_rcnn(version: str) -> Any:
    build = getattr(detection, f"fasterrcnn_resnet50_fpn{version}")
    torch.manual_seed(0)
    model = build(weights=None, weights_backbone=None, num_classes=CLASSES, min_size=160, max_size=200).eval()
    randomize(model)
    for layer, std in (
        (model.roi_heads.box_predictor.cls_score, 0.1),
        (model.roi_heads.box_predictor.bbox_pred, 0.02),
        (model.rpn.head.cls_logits, 0.05),
        (model.rpn.head.bbox_pred, 0.02),
    ):
        nn.init.normal_(layer.weight, std=std)
    return model


def their_retinanet(version: str) -> Any:
    build = getattr(detection, f"retinanet_resnet50_fpn{version}")
    torch.manual_seed(0)
    model = build(weights=None, weights_backbone=None, num_classes=CLASSES, min_size=160, max_size=200).eval()
    randomize(model)
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.03 if version else 0.1)
    bias = model.head.classification_head.cls_logits.bias.data.view(-1, CLASSES)
    bias.fill_(-3.0)
    bias[:, 0] = -100.0  # theirs finds "background" too
    return model


def check_same(theirs: Any, ours: nn.Module) -> None:
    """The same detections of two images of different sizes, to 1e-3 in score and 0.1 pixel."""
    images = [torch.rand(3, 160, 192), torch.rand(3, 200, 170)]
    with torch.inference_mode():
        wanted = theirs(images)
        batch, _ = theirs.transform(images)
        found = ours.eval().detect(ours(batch.tensors, torch.tensor(batch.image_sizes)), 0.05)  # type: ignore[operator]
    for right, got, image, size in zip(wanted, found, images, batch.image_sizes, strict=True):
        scale = torch.tensor([image.shape[2] / size[1], image.shape[1] / size[0]]).repeat(2)
        assert len(got) > 20
        assert len(got) == len(right["scores"])
        boxes = right["boxes"]
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1)  # torchvision's RetinaNet keeps boxes of the padding, without area
        first = got[: int(seen.sum())]  # ours has others in their place, behind
        theirs_seen = (boxes[seen], right["scores"][seen], right["labels"][seen])
        assert len(first) > 20
        assert same_set(first.boxes * scale, first.scores, first.labels + 1, *theirs_seen)


def same_set(boxes: Tensor, scores: Tensor, labels: Tensor, *right: Tensor) -> bool:
    """Whether each has its like on the other side: neighbours of the same score may change places."""
    near = (boxes[:, None] - right[0]).abs().amax(2) < 0.1
    near &= ((scores[:, None] - right[1]).abs() < 1e-3) & (labels[:, None] == right[2])
    return bool(near.any(0).all() and near.any(1).all())


@pytest.mark.slow
@pytest.mark.parametrize("version", ["", "_v2"])
def test_faster_rcnn_finds_the_same(version: str) -> None:
    theirs = their_faster_rcnn(version)
    checkpoint = faster_rcnn_torchvision.convert(theirs.state_dict())
    assert checkpoint.faults == []
    assert checkpoint.num_classes == CLASSES - 1
    ours = build("faster-rcnn-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config)
    ours.load_state_dict(checkpoint.tensors)
    check_same(theirs, ours)


@pytest.mark.parametrize("version", ["", "_v2"])
def test_retinanet_finds_the_same(version: str) -> None:
    theirs = their_retinanet(version)
    checkpoint = retinanet_torchvision.convert(theirs.state_dict())
    assert checkpoint.faults == []
    assert checkpoint.num_classes == CLASSES - 1
    ours = build("retinanet-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config)
    ours.load_state_dict(checkpoint.tensors)
    check_same(theirs, ours)


def test_rpn_scores_and_proposals_are_the_same() -> None:
    theirs = their_faster_rcnn("")
    checkpoint = faster_rcnn_torchvision.convert(theirs.state_dict())
    ours = build("faster-rcnn-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config).eval()
    ours.load_state_dict(checkpoint.tensors)
    with torch.inference_mode():
        batch, _ = theirs.transform([torch.rand(3, 160, 192)])
        features = theirs.backbone(batch.tensors)
        wanted, _ = theirs.rpn(batch, features)
        scores, _ = theirs.rpn.head(list(features.values()))
        predictions = ours(batch.tensors, torch.tensor(batch.image_sizes))
    flat = torch.cat([x.permute(0, 2, 3, 1).reshape(1, -1) for x in scores], 1)
    torch.testing.assert_close(predictions.rpn.logits.diff(dim=-1)[..., 0], flat, atol=1e-4, rtol=0)
    count = int((predictions.scores > 0).sum())
    assert count == len(wanted[0])
    near = (predictions.proposals[0, :count, None] - wanted[0]).abs().amax(2) < 0.1
    assert bool(near.any(0).all() and near.any(1).all())  # neighbours of the same score may change places


def old_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """As files from before torchvision 0.13 have them."""
    found = {}
    for name, tensor in weights.items():
        old = re.sub(r"(inner|layer)_blocks\.(\d)\.0\.", r"\1_blocks.\2.", name).replace(
            "rpn.head.conv.0.0.", "rpn.head.conv."
        )
        found[re.sub(r"_head\.conv\.(\d)\.0\.", lambda m: f"_head.conv.{2 * int(m[1])}.", old)] = tensor
    return found


@pytest.mark.parametrize("kind", ["faster", "retina"])
def test_old_names_are_read_and_mean_an_epsilon_of_zero(kind: str) -> None:
    theirs = their_faster_rcnn("") if kind == "faster" else their_retinanet("")
    new = theirs.state_dict()
    old = old_names(new)
    assert set(old) != set(new)
    assert renamed(new) == (dict(new), False)
    assert set(renamed(old)[0]) == set(new)
    convert = faster_rcnn_torchvision.convert if kind == "faster" else retinanet_torchvision.convert
    assert convert(old).faults == []
    prefix = "backbone.body" if kind == "faster" else "backbone"
    variance = [convert(weights).tensors[f"{prefix}.layer1.0.bn1.running_var"] for weights in (new, old)]
    torch.testing.assert_close(variance[0] - variance[1], torch.full((64,), 1e-5), atol=1e-7, rtol=0)


def test_what_does_not_fit_is_named() -> None:
    weights = dict(their_retinanet("").state_dict())
    del weights["backbone.fpn.inner_blocks.1.0.weight"]
    weights["head.regression_head.bbox_reg.weight"] = torch.zeros(4, 256, 3, 3)
    weights["nonsense"] = torch.zeros(1)
    checkpoint = retinanet_torchvision.convert(weights)
    with torch.device("meta"):
        expected = build("retinanet-resnet50-fpn", num_classes=CLASSES - 1, **checkpoint.config).state_dict()
    with pytest.raises(InputError) as raised:
        check_fit(checkpoint, expected, Path("x.pth"), "retinanet-resnet50-fpn")
    assert "missing backbone.fpn.inner_blocks.1.0.weight; unexpected nonsense; " in str(raised.value)
    assert "bbox_reg.weight has shape (4, 256, 3, 3), not (36, 256, 3, 3)" in str(raised.value)


def test_another_model_of_torchvisions_is_none_that_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "resnet18.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(
        InputError, match=r"resnet18.pth: holds conv1.weight, which is not --from torchvision; the layouts: "
    ):
        read_foreign(file, "torchvision")
