"""Class layers for other classes: each class keeps what is known of it, whatever its place."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from vedette.weights.classes import take_classes
from vedette.weights.files import save_weights
from vedette.zoo import restore

OLD, NEW = ("cat", "dog", "bird"), ("bird", "horse", "cat", "dog")
SMALL: dict[str, dict[str, Any]] = {
    "ssd300-timm/lcnet_050": {},
    "refinedet320-timm/lcnet_050": {"image_size": 64},
    "retinanet-timm/lcnet_050-fpn": {"width": 16, "subnet_layers": 1},
    "fast-rcnn-timm/lcnet_050": {},
    "faster-rcnn-timm/lcnet_050": {"rpn_channels": 8},
    "rcnn-timm/lcnet_050": {},
}


def scores_of(model: Any, images: torch.Tensor) -> torch.Tensor:
    more = (
        {"proposals": [torch.tensor([[4.0, 4, 50, 60], [20, 8, 60, 40]])]} if hasattr(model, "needs_proposals") else {}
    )
    with torch.no_grad():
        found = model(images, **more)
        if hasattr(model, "look_at") and hasattr(found, "proposals"):  # a head that detect runs
            logits, deltas = model.look_at(found.features, found.proposals)
            return torch.cat([logits.softmax(-1)[..., 1:, None], deltas], -1)  # (B, R, C, 5)
        if hasattr(found, "margins"):
            softmax = found.logits.softmax(-1)[..., 1:]
            return torch.cat([softmax[..., None], found.margins[..., None], found.deltas], -1)
        return model.scores(found)[..., None]


@pytest.mark.parametrize("name", SMALL)
def test_a_class_keeps_its_scores_and_deltas_wherever_it_stands(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    model: Any = vedette.build(name, len(OLD), **SMALL[name]).eval()
    for key, parameter in model.named_parameters():
        if key.startswith(model.class_layers):
            torch.nn.init.normal_(parameter)  # some begin at 0
    path = tmp_path / "a.safetensors"
    save_weights(path, model, name=name, classes=OLD, input_spec=model.input_spec)
    other: Any = restore(path, name, NEW, num_classes=len(NEW))[0].eval()
    images = torch.rand(1, 3, 64, 64)
    before, after = scores_of(model, images), scores_of(other, images)
    assert after.shape[2] == len(NEW)
    places = [NEW.index(one) for one in OLD]
    if name.startswith("retinanet"):  # no softmax: a new class changes nothing for the others
        torch.testing.assert_close(after[:, :, places], before)
    shares = after[:, :, places, :1] / after[:, :, places, :1].sum(2, keepdim=True)  # among the known, softmax or not
    torch.testing.assert_close(shares, before[..., :1] / before[..., :1].sum(2, keepdim=True))
    torch.testing.assert_close(after[:, :, places, 1:], before[..., 1:])


@pytest.mark.parametrize("name", SMALL)
def test_reversed_classes_find_the_same(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    model: Any = vedette.build(name, len(OLD), **SMALL[name]).eval()
    path = tmp_path / "a.safetensors"
    save_weights(path, model, name=name, classes=OLD, input_spec=model.input_spec)
    other: Any = restore(path, name, OLD[::-1])[0].eval()
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(scores_of(other, images), scores_of(model, images).flip(2))


def test_without_a_class_in_common_all_stays_new() -> None:
    model: Any = vedette.build("ssd300-timm/lcnet_050", 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    take_classes(model, {}, ("a", "b", "c"), ("d", "e"))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_statistics_of_all_classes_need_no_new_measure() -> None:
    model: Any = vedette.build("fast-rcnn-timm/lcnet_050", 2)
    model.coder.measured.fill_(True)
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for classes, measured in ((("b", "a"), True), (("b", "c"), False)):
        other: Any = vedette.build("fast-rcnn-timm/lcnet_050", 2)
        take_classes(other, given, ("a", "b"), classes)
        assert bool(other.coder.measured) is measured
