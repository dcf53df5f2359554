"""Loading with other settings than those stored."""

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import vedette
from vedette.errors import InputError
from vedette.zoo import restore, weight_file

BUNDLED = "refinedet320-lite0"


def test_what_no_weight_depends_on_may_be_chosen() -> None:
    stored = vedette.load(BUNDLED, device="cpu").model
    chosen = vedette.load(BUNDLED, device="cpu", nms="linear", nms_iou=0.3, keep=50, candidates=100).model
    config = chosen.config
    assert (config.nms, config.nms_iou, config.keep, config.candidates) == ("linear", 0.3, 50, 100)
    assert (stored.config.nms, stored.config.keep) == ("hard", 200)
    assert config.tcb_channels == stored.config.tcb_channels
    for one, other in zip(stored.state_dict().values(), chosen.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_every_nms_finds_something_else() -> None:
    photo = str(files("vedette") / "assets" / "demo" / "astronaut.jpg")
    hard, linear, gaussian = (
        vedette.load(BUNDLED, device="cpu", nms=nms).detect(photo, score=0.02) for nms in ("hard", "linear", "gaussian")
    )
    assert len(linear) > len(hard)  # what overlaps a little more than hard NMS allows is weakened, not dropped
    assert len(gaussian) != len(linear)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nms": "lineal"}, "nms is 'lineal': give one of hard, linear, gaussian"),
        ({"keep": 0}, "keep"),
        ({"tcb": False}, "tcb cannot be chosen for trained weights: what can is candidates, candidates_of, keep, nms"),
        ({"image_size": 512}, "image_size cannot be chosen"),
        ({"nmss": "hard"}, "nmss cannot be chosen"),
    ],
)
def test_what_cannot_be_chosen_is_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        vedette.load(BUNDLED, **config)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vedette.build(None), "^the name of a model is None: give a text, one of ssd300"),  # type: ignore[arg-type]
        (lambda: vedette.load(None), "^None is no model: give a weight file or a name"),  # type: ignore[arg-type]
        (lambda: vedette.load(BUNDLED).detect([], score="a"), "^score is 'a': give a number"),  # type: ignore[call-overload]
    ],
)
def test_what_is_no_name_and_no_number_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_weights_of_another_paper_start_nothing() -> None:
    with pytest.raises(InputError, match=r"holds a refinedet320-lite0, and ssd300-lite0 has other layers") as raised:
        restore(weight_file(BUNDLED), "ssd300-lite0")
    assert "\n" not in str(raised.value)


def test_the_rcnns_have_names_and_imagenets_weights() -> None:
    rows = {row["name"]: row for row in vedette.models() if row["name"].startswith("rcnn-")}
    assert [(name, row["input"]) for name, row in rows.items()] == [
        ("rcnn-alexnet", 227),
        ("rcnn-vgg16", 224),
        ("rcnn-lite0", 224),
    ]
    given = vedette.build("rcnn-lite0", weights_backbone="imagenet").backbone.pyramid.body
    wanted = vedette.build("refinedet320-lite0", weights_backbone="imagenet").backbone.body
    for ours, theirs in zip(given.parameters(), wanted.parameters(), strict=False):
        assert torch.equal(ours, theirs)
    assert vedette.build("rcnn-timm/resnet10t", num_classes=3).head.weight.shape == (4, 512)


def test_sppnet_has_names() -> None:
    rows = {row["name"]: row for row in vedette.models() if row["paper"].startswith("SPPNet")}
    assert [(name, row["input"]) for name, row in rows.items()] == [("sppnet-zf5", 1200), ("sppnet-lite0", 480)]
    assert vedette.build("sppnet-timm/resnet10t", num_classes=3).config.hidden == 1024
    with pytest.raises(InputError, match="sppnet-timm/<name>"):
        vedette.build("spatial-pyramid")


def test_numbers_of_numpys_are_numbers_of_classes() -> None:
    assert vedette.build("ssd300-lite0", num_classes=np.int64(3)).config.num_classes == 3  # type: ignore[union-attr]
    for wrong in (0, -1, 2.5, "3"):
        with pytest.raises(InputError, match="give a whole number from 1 on"):
            vedette.build("ssd300-lite0", num_classes=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["./mine:build", "mine:", ":build", "mine:part.build", "my module:build"])
def test_how_ones_own_is_written_is_told(name: str) -> None:
    with pytest.raises(
        InputError, match=f"no model '{re.escape(name)}'; one of your own is MODULE:FUNCTION, as my_module:build;"
    ):
        vedette.build(name)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("runs/mine/best.safetensors", "no such file; check the path"),
        ("model.ONNX", "no such file; check the path"),
        ("/weights", "no such file; check the path"),
        ("folder", "a folder without best.safetensors; give a weight file, or a training's folder"),
        ("refinedet320-lite", "neither a weight file nor a model's name; did you mean refinedet320-lite0"),
    ],
)
def test_what_is_no_weight_file_is_told(
    source: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as told:
        weight_file(source)
    assert str(told.value).startswith(f"{source}: {line}")
