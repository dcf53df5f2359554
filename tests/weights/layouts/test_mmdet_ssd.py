"""mmdetection's SSD: names and shapes of both generations, classes' and anchors' order, what its meta tells."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vedette.cli.main import run
from vedette.errors import InputError
from vedette.papers.ssd import SSD
from vedette.weights.layouts.known import read_foreign
from vedette.weights.layouts.mmdet_ssd import anchor_sizes, with_background_first
from vedette.weights.layouts.ssd_ports import convert_ssd_pytorch
from vedette.zoo import build
from weights.layouts.test_ssd import EXTRAS, MAPS, PER_CELL, VGG, check, shapes_of_port

NEW, OLD = True, False
GOLDEN = Path(__file__).parents[2] / "golden" / "mmdet_ssd_anchors.json"


def shapes(size: int, outputs: int, new: bool) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a state dict: with a neck (2.12 on), or with all layers in the backbone."""
    layers = {f"backbone.features.{number}": shape for number, shape in VGG.items()}
    for number, shape in enumerate(EXTRAS[size]):
        place = f"neck.extra_layers.{number // 2}.{number % 2}.conv" if new else f"backbone.extra.{number}"
        layers[place] = shape
    for level, (channels, cells) in enumerate(zip(MAPS[size], PER_CELL[size], strict=True)):
        end = f"{level}.0" if new else f"{level}"
        layers[f"bbox_head.cls_convs.{end}"] = (cells * outputs, channels, 3)
        layers[f"bbox_head.reg_convs.{end}"] = (cells * 4, channels, 3)
    found: dict[str, tuple[int, ...]] = {f"{'neck' if new else 'backbone'}.l2_norm.weight": (512,)}
    for name, (outgoing, incoming, kernel) in layers.items():
        found |= {f"{name}.weight": (outgoing, incoming, kernel, kernel), f"{name}.bias": (outgoing,)}
    return found


def state_dict(size: int = 300, outputs: int = 81, new: bool = NEW) -> dict[str, Tensor]:
    """Without the memory: every tensor is one number, repeated."""
    named = enumerate(shapes(size, outputs, new).items())
    return {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in named}


def saved(path: Path, weights: dict[str, Tensor], **meta: Any) -> Path:
    torch.save({"meta": meta, "state_dict": weights}, path)
    return path


@pytest.mark.parametrize(
    ("size", "outputs", "new", "sizes"),
    [
        (300, 81, NEW, (21.0, 45.0, 99.0, 153.0, 207.0, 261.0, 315.0)),
        (300, 21, OLD, (30.0, 60.0, 111.0, 162.0, 213.0, 264.0, 315.0)),
        (512, 81, NEW, (20.0, 51.0, 133.0, 215.0, 296.0, 378.0, 460.0, 542.0)),
        (512, 21, OLD, (35.0, 76.0, 153.0, 230.0, 307.0, 384.0, 460.0, 537.0)),
    ],
)
def test_names_and_shapes(size: int, outputs: int, new: bool, sizes: tuple[float, ...], tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", state_dict(size, outputs, new), mmdet_version="2.11.0")
    checkpoint = read_foreign(path)
    assert checkpoint.layout == "mmdet"
    assert checkpoint.faults == []
    assert checkpoint.models == (f"ssd{size}-vgg16",)
    assert checkpoint.num_classes == outputs - 1
    assert checkpoint.config == {"anchor_sizes": sizes, "clip_boxes": True}
    check(checkpoint, f"ssd{size}-vgg16")


@pytest.mark.parametrize("new", [NEW, OLD])
def test_every_tensor_comes_to_its_place(new: bool, tmp_path: Path) -> None:
    weights = state_dict(512, 21, new)
    checkpoint = read_foreign(saved(tmp_path / "a.pth", weights, mmdet_version="2.3.0"))
    tensors = {name: float(tensor.flatten()[0]) for name, tensor in checkpoint.tensors.items()}
    neck, end = ("neck.extra_layers.{}.{}.conv.{}", ".0") if new else ("backbone.extra.{}.{}", "")
    places = {
        "l2_norms.0.scale": "neck.l2_norm.weight" if new else "backbone.l2_norm.weight",
        "backbone.stages.3.4.weight": "backbone.features.21.weight",
        "backbone.fc6.weight": "backbone.features.31.weight",
        "backbone.fc7.bias": "backbone.features.33.bias",
        "extras.1.squeeze.bias": neck.format(1, 0, "bias") if new else neck.format(2, "bias"),
        "extras.4.shrink.weight": neck.format(4, 1, "weight") if new else neck.format(9, "weight"),
        "head.logits.6.bias": f"bbox_head.cls_convs.6{end}.bias",
        "head.deltas.0.weight": f"bbox_head.reg_convs.0{end}.weight",
    }
    order = list(weights)
    for ours, theirs in places.items():
        assert tensors[ours] == order.index(theirs)
    assert len(set(tensors.values())) == len(order)


@pytest.mark.parametrize("new", [NEW, OLD])
def test_the_network_is_that_of_ssd_pytorch_by_other_names(new: bool, tmp_path: Path) -> None:
    """Whose outputs are written out in test_ssd.py: here each tensor of it by mmdet's name, background last."""
    torch.manual_seed(0)
    port = {name: torch.rand(shape[:1]) for name, shape in shapes_of_port("ssd.pytorch", 300, 4)}  # rows are enough
    weights = {}
    for name, tensor in port.items():
        part, _, rest = name.partition(".")
        number, _, end = rest.partition(".")
        if part == "extras":
            place = (
                f"neck.extra_layers.{int(number) // 2}.{int(number) % 2}.conv" if new else f"backbone.extra.{number}"
            )
            weights[f"{place}.{end}"] = tensor
        elif part in ("conf", "loc"):
            head = f"bbox_head.{'cls' if part == 'conf' else 'reg'}_convs.{number}{'.0' if new else ''}.{end}"
            weights[head] = tensor.view(-1, 4).roll(-1, 1).flatten() if part == "conf" else tensor
        else:
            own = {"vgg": "backbone.features", "L2Norm": f"{'neck' if new else 'backbone'}.l2_norm"}[part]
            weights[f"{own}.{rest}"] = tensor
    found = read_foreign(saved(tmp_path / "a.pth", weights, mmdet_version="2.0.0")).tensors
    right = convert_ssd_pytorch(port).tensors
    assert found.keys() == right.keys()
    assert all(torch.equal(found[name], right[name]) for name in right)


def test_the_last_score_of_each_anchor_is_the_backgrounds() -> None:
    """Two anchors of three classes: 1 2 3 and the background 9, then 4 5 6 and 8."""
    scores = torch.tensor([1.0, 2, 3, 9, 4, 5, 6, 8])
    assert with_background_first(scores, 4).tolist() == [9, 1, 2, 3, 8, 4, 5, 6]
    rows = scores[:, None, None, None].expand(8, 2, 3, 3)
    assert torch.equal(with_background_first(rows, 4)[:, 1, 2, 0], with_background_first(scores, 4))


@pytest.mark.parametrize(
    ("version", "layout", "background"),
    [
        ("2.3.0", "auto", "last"),
        ("1.2.0+0f33c08", "auto", "first"),
        (None, "mmdet1", "first"),
        (None, "mmdet2", "last"),
    ],
)
def test_the_version_says_where_the_background_is(
    version: str | None, layout: str, background: str, tmp_path: Path
) -> None:
    weights = state_dict(300, 4, OLD) | {"bbox_head.cls_convs.0.bias": torch.arange(16.0)}
    meta = {} if version is None else {"mmdet_version": version}
    bias = read_foreign(saved(tmp_path / "a.pth", weights, **meta), layout).tensors["head.logits.0.bias"]
    assert bias[:5].tolist() == ([0, 1, 2, 3, 4] if background == "first" else [3, 0, 1, 2, 7])


def test_a_file_that_does_not_say_its_version_is_asked_about(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", state_dict(300, 21, OLD))
    with pytest.raises(InputError, match=r"a\.pth: does not say .* give --from mmdet1 or --from mmdet2"):
        read_foreign(path)
    assert read_foreign(saved(path, state_dict(300, 21, NEW))).faults == []  # these names came later


def test_copies_beside_an_average_are_left_out(tmp_path: Path) -> None:
    weights = state_dict(300, 21) | {"ema_backbone_features_0_weight": torch.ones(2)}
    assert read_foreign(saved(tmp_path / "a.pth", weights)).faults == []


def test_sizes_are_those_of_the_config_in_the_file() -> None:
    config = {"config": "bbox_head=dict(anchor_generator=dict(basesize_ratio_range=(0.2, 0.9), strides=[8]))"}
    assert anchor_sizes(300, 7, config)[0] == 30
    assert anchor_sizes(300, 7, {})[0] == 21
    assert anchor_sizes(512, 7, {"config": "basesize_ratio_range=(0.15, 0.9)"})[0] == 35


def test_class_names_come_from_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = {"dataset_meta": {"classes": ("cat", "dog", "cow"), "palette": [(1, 2, 3)]}, "mmengine_version": "0.10"}
    path, out = saved(tmp_path / "a.pth", state_dict(300, 4), **data), tmp_path / "a.safetensors"
    assert read_foreign(path).classes == ("cat", "dog", "cow")
    assert read_foreign(saved(path, state_dict(300, 4), CLASSES=("cat", "cat", "cow"))).classes is None
    saved(path, state_dict(300, 4), **data)
    assert run(["weights", "import", str(path), "--from", "mmdet", "--out", str(out)]) == 0
    assert "ssd300-vgg16, 3 classes (cat, dog, cow)" in capsys.readouterr().out


def test_anchors_are_its_generators(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    for row in golden:
        checkpoint = read_foreign(saved(tmp_path / "a.pth", state_dict(row["size"], row["outputs"])))
        with torch.device("meta"):
            model = build(checkpoint.models[0], checkpoint.num_classes, **checkpoint.config)
        assert isinstance(model, SSD)
        anchors = model.build_anchors(row["size"], row["size"], model.own_grids)
        assert len(anchors.boxes) == row["count"]
        for index, box in row["boxes"].items():
            torch.testing.assert_close(anchors.boxes[int(index)], torch.tensor(box), rtol=0, atol=1e-3)


def test_a_planted_box_of_a_planted_class_comes_out(tmp_path: Path) -> None:
    """Of each cell of conv4_3 the last anchor, moved right by half its width, is of class 2; all weights are 0."""
    weights = {name: torch.zeros(shape) for name, shape in shapes(300, 4, NEW).items()}
    scores, deltas = torch.tensor([0.0, 0, 0, 20]).repeat(4, 1), torch.zeros(4, 4)  # the background's is the last
    scores[3], deltas[3] = torch.tensor([0.0, 0, 30, 0]), torch.tensor([5.0, 0, 0, 0])  # × 0.1
    for level, cells in enumerate(PER_CELL[300]):
        weights[f"bbox_head.cls_convs.{level}.0.bias"] = torch.tensor([0.0, 0, 0, 20]).repeat(cells)
    weights |= {"bbox_head.cls_convs.0.0.bias": scores.flatten(), "bbox_head.reg_convs.0.0.bias": deltas.flatten()}
    checkpoint = read_foreign(saved(tmp_path / "a.pth", weights))
    model = build("ssd300-vgg16", 3, **checkpoint.config).eval()
    model.load_state_dict(checkpoint.tensors)
    (found,) = model.detect(model(torch.zeros(1, 3, 300, 300)), score=0.5)
    assert found.labels.unique().tolist() == [2]
    inside = found.boxes[(found.boxes[:, :2] > 1).all(1) & (found.boxes[:, 2:] < 299).all(1)]
    assert len(inside) > 20
    center, side = (inside[:, :2] + inside[:, 2:]) / 2, inside[:, 2:] - inside[:, :2]
    right = torch.tensor([21 / 2**0.5, 21 * 2**0.5])  # the high one of ratio 2
    torch.testing.assert_close(side, right.expand_as(side), rtol=0, atol=1e-3)
    cell = (center - torch.tensor([4 + right[0] / 2, 4.0])) / 8
    torch.testing.assert_close(cell, cell.round(), rtol=0, atol=1e-3)
