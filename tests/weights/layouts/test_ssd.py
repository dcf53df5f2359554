"""SSD's checkpoints of torchvision, ssd.pytorch and lufficc: the same outputs on the same weights; names, shapes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import ssd300_vgg16 as torchvision_ssd

from vedette.cli.main import run
from vedette.infer.load import load
from vedette.papers.ssd import COCO_SIZES, SSD, VOC_SIZES
from vedette.weights.layouts.checkpoint import Checkpoint, check_fit
from vedette.weights.layouts.known import read_foreign
from vedette.weights.layouts.ssd_ports import convert_lufficc, convert_ssd_pytorch
from vedette.weights.layouts.ssd_torchvision import convert
from vedette.zoo import build

VGG = {  # number of the layer → output and input channels, kernel
    0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3), 10: (256, 128, 3), 12: (256, 256, 3),
    14: (256, 256, 3), 17: (512, 256, 3), 19: (512, 512, 3), 21: (512, 512, 3), 24: (512, 512, 3), 26: (512, 512, 3),
    28: (512, 512, 3), 31: (1024, 512, 3), 33: (1024, 1024, 1),
}  # fmt: skip
EXTRAS = {
    300: ((256, 1024, 1), (512, 256, 3), (128, 512, 1), (256, 128, 3), *((128, 256, 1), (256, 128, 3)) * 2),
    512: (
        *((256, 1024, 1), (512, 256, 3), (128, 512, 1), (256, 128, 3), *((128, 256, 1), (256, 128, 3)) * 2),
        *((128, 256, 1), (256, 128, 4)),
    ),
}
MAPS = {300: (512, 1024, 512, 256, 256, 256), 512: (512, 1024, 512, 256, 256, 256, 256)}
PER_CELL = {300: (4, 6, 6, 6, 4, 4), 512: (4, 6, 6, 6, 6, 4, 4)}
NAMES = {
    "ssd.pytorch": ("vgg", "extras", "L2Norm", "conf", "loc"),
    "lufficc": (
        "backbone.vgg",
        "backbone.extras",
        "backbone.l2_norm",
        "box_head.predictor.cls_headers",
        "box_head.predictor.reg_headers",
    ),
}


def shapes_of_port(layout: str, size: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes of a port's state dict, background counted."""
    vgg, extras, norm, logits, deltas = NAMES[layout]
    yield f"{norm}.weight", (512,)
    layers = {f"{vgg}.{number}": shape for number, shape in VGG.items()}
    layers |= {f"{extras}.{number}": shape for number, shape in enumerate(EXTRAS[size])}
    for level, (channels, cells) in enumerate(zip(MAPS[size], PER_CELL[size], strict=True)):
        layers |= {f"{logits}.{level}": (cells * outputs, channels, 3), f"{deltas}.{level}": (cells * 4, channels, 3)}
    for name, (outgoing, incoming, kernel) in layers.items():
        yield from ((f"{name}.weight", (outgoing, incoming, kernel, kernel)), (f"{name}.bias", (outgoing,)))


def state_dict(layout: str, size: int = 300, outputs: int = 21) -> dict[str, Tensor]:
    """A port's state dict without the memory: every tensor is one number, repeated."""
    shapes = shapes_of_port(layout, size, outputs)
    return {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes)}


def check(checkpoint: Checkpoint, model: str) -> None:
    with torch.device("meta"):
        expected = build(model, checkpoint.num_classes, **checkpoint.config).state_dict()
    assert checkpoint.tensors.keys() == expected.keys()
    check_fit(checkpoint, expected, "a.pth", model)


# ---------------------------------------------------------------------------------------------- torchvision


@pytest.fixture(scope="module")
def theirs() -> Any:
    """torchvision's model with random weights, mild ones in its heads: no box is moved out of the picture."""
    torch.manual_seed(0)
    model = torchvision_ssd(weights=None, weights_backbone=None, num_classes=8).eval()
    for name, parameter in model.head.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3 if name.endswith("bias") else 0.005)
    return model


@pytest.fixture(scope="module")
def ours(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same weights by way of the command line."""
    folder = tmp_path_factory.mktemp("import")
    torch.save(theirs.state_dict(), folder / "theirs.pth")
    out = folder / "ours.safetensors"
    assert run(["weights", "import", str(folder / "theirs.pth"), "--from", "torchvision", "--out", str(out)]) == 0
    return load(out, device="cpu")


def test_raw_outputs_and_anchors_are_torchvisions(theirs: Any, ours: Any) -> None:
    images = torch.rand(1, 3, 300, 300)
    with torch.no_grad():
        inside, _ = theirs.transform([images[0]])
        features = list(theirs.backbone(inside.tensors).values())
        head, (anchors,) = theirs.head(features), theirs.anchor_generator(inside, features)
        mean, std = (torch.tensor(x)[:, None, None] for x in (ours.input_spec.mean, ours.input_spec.std))
        predictions = ours.model((images - mean) / std)
    torch.testing.assert_close(predictions.anchors, anchors, rtol=0, atol=1e-3)
    torch.testing.assert_close(predictions.logits, head["cls_logits"], rtol=0, atol=1e-4)
    torch.testing.assert_close(predictions.deltas, head["bbox_regression"], rtol=0, atol=1e-4)


def test_detections_are_torchvisions(theirs: Any, ours: Any) -> None:
    picture = torch.randint(256, (3, 300, 300), dtype=torch.uint8)
    with torch.no_grad():
        (wanted,) = theirs([picture / 255])
    found = ours.detect(picture, score=0.01)
    assert len(found) == len(wanted["scores"]) == 200
    torch.testing.assert_close(found.scores, wanted["scores"], rtol=0, atol=1e-4)
    near = (found.boxes[:, None] - wanted["boxes"]).abs().amax(2) < 1e-2
    same = near & (found.labels[:, None] + 1 == wanted["labels"])
    assert same.any(0).all()
    assert same.any(1).all()


def test_a_picture_of_another_size_is_resized_as_torchvision_does(theirs: Any, ours: Any) -> None:
    """Without antialiasing; but ours is rounded to 8 bits on the way, so the scores differ a little."""
    picture = torch.randint(256, (3, 333, 471), dtype=torch.uint8)
    with torch.no_grad():
        (wanted,) = theirs([picture / 255])
    torch.testing.assert_close(ours.detect(picture, score=0.01).scores, wanted["scores"], rtol=0, atol=0.01)


def test_torchvisions_91_outputs_are_90_classes_with_cocos_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        shapes = {
            name: t.shape for name, t in torchvision_ssd(weights=None, weights_backbone=None).state_dict().items()
        }
    weights = {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}
    check(convert(weights), "ssd300-vgg16")
    torch.save(weights, tmp_path / "coco.pth")
    saved: dict[str, Any] = {}
    monkeypatch.setattr("vedette.weights.files.save_weights", lambda _, model, **given: saved.update(given, m=model))
    arguments = [str(tmp_path / "coco.pth"), "--from", "torchvision", "--out", str(tmp_path / "a.safetensors")]
    assert run(["weights", "import", *arguments]) == 0
    assert saved["name"] == "ssd300-vgg16"
    assert saved["m"].config.num_classes == len(saved["classes"]) == 90
    assert saved["category_ids"] == tuple(range(1, 91))
    assert saved["m"].config.anchor_sizes == COCO_SIZES[300]
    assert saved["input_spec"].std == (1 / 255,) * 3
    assert saved["input_spec"].antialias is False


# ---------------------------------------------------------------------------------------------- the two ports


@pytest.mark.parametrize(
    ("layout", "size", "outputs", "sizes"),
    [
        ("ssd.pytorch", 300, 21, VOC_SIZES[300]),
        ("ssd.pytorch", 300, 201, COCO_SIZES[300]),
        ("lufficc", 300, 21, VOC_SIZES[300]),
        ("lufficc", 300, 81, COCO_SIZES[300]),
        ("lufficc", 512, 21, (*VOC_SIZES[512][:-1], 537.65)),
        ("lufficc", 512, 81, COCO_SIZES[512]),
    ],
)
def test_names_and_shapes_of_the_ports(
    layout: str, size: int, outputs: int, sizes: tuple[float, ...], tmp_path: Path
) -> None:
    torch.save({"model": state_dict(layout, size, outputs), "iteration": 3}, tmp_path / "a.pth")
    checkpoint = read_foreign(tmp_path / "a.pth", layout)
    assert checkpoint.models == (f"ssd{size}-vgg16",)
    assert checkpoint.num_classes == outputs - 1
    assert checkpoint.config == {"anchor_sizes": sizes, "clip_anchors": True}
    check(checkpoint, f"ssd{size}-vgg16")


@pytest.mark.parametrize(("layout", "size"), [("ssd.pytorch", 300), ("lufficc", 512)])
def test_every_tensor_comes_to_its_place(layout: str, size: int) -> None:
    weights = state_dict(layout, size)
    converter = {"ssd.pytorch": convert_ssd_pytorch, "lufficc": convert_lufficc}[layout]
    tensors = {name: float(tensor.flatten()[0]) for name, tensor in converter(weights).tensors.items()}
    order = list(weights)
    vgg, extras, norm, logits, deltas = NAMES[layout]
    places = {
        "l2_norms.0.scale": f"{norm}.weight",
        "backbone.stages.0.2.bias": f"{vgg}.2.bias",
        "backbone.stages.3.4.weight": f"{vgg}.21.weight",
        "backbone.stages.4.0.weight": f"{vgg}.24.weight",
        "backbone.fc6.weight": f"{vgg}.31.weight",
        "backbone.fc7.bias": f"{vgg}.33.bias",
        "extras.0.squeeze.weight": f"{extras}.0.weight",
        "extras.3.shrink.bias": f"{extras}.7.bias",
        "head.logits.5.weight": f"{logits}.5.weight",
        "head.deltas.5.bias": f"{deltas}.5.bias",
    }
    for ours, theirs in places.items():
        assert tensors[ours] == order.index(theirs)
    assert len(set(tensors.values())) == len(order)  # nothing twice, nothing left out


def test_ports_outputs_written_out() -> None:
    """The network of both ports, an operation at a time, on the tensors of the state dict."""
    torch.manual_seed(0)
    shapes = dict(shapes_of_port("ssd.pytorch", 300, 4))
    weights = {
        name: torch.randn(shape) * (2 / max(1, Tensor(shape[1:]).prod().item())) ** 0.5
        for name, shape in shapes.items()
    }
    checkpoint = convert_ssd_pytorch(weights)
    model = build("ssd300-vgg16", checkpoint.num_classes, **checkpoint.config).eval()
    assert isinstance(model, SSD)
    model.load_state_dict(checkpoint.tensors)
    image = torch.randn(1, 3, 300, 300)

    def conv(name: str, x: Tensor, **how: int) -> Tensor:
        return torch.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)

    with torch.no_grad():
        x, maps = image, []
        for number in range(35):
            if number in VGG:
                how = {31: {"padding": 6, "dilation": 6}, 33: {}}.get(number, {"padding": 1})
                x = conv(f"vgg.{number}", x, **how).relu()
            elif number in (4, 9, 16, 23):
                x = torch.max_pool2d(x, 2, ceil_mode=number == 16)
            elif number == 30:
                x = torch.max_pool2d(x, 3, 1, 1)
            if number == 22:
                maps.append(x / x.square().sum(1, keepdim=True).sqrt() * weights["L2Norm.weight"][:, None, None])
        maps.append(x)
        for number in range(8):
            x = conv(f"extras.{number}", x, **({"stride": 2, "padding": 1} if number in (1, 3) else {})).relu()
            maps += [x] if number % 2 else []
        heads = {}
        for kind, outputs in (("conf", 4), ("loc", 4)):
            rows = [conv(f"{kind}.{level}", m, padding=1).movedim(1, 3) for level, m in enumerate(maps)]
            heads[kind] = torch.cat([row.reshape(1, -1, outputs) for row in rows], 1)
        predictions = model(image)
    torch.testing.assert_close(predictions.logits, heads["conf"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(predictions.deltas, heads["loc"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "other", "first"),
    [("ssd.pytorch", "lufficc", "backbone.l2_norm.weight"), ("lufficc", "ssd.pytorch", "L2Norm.weight")],
)
def test_of_another_layout_the_right_one_is_said(
    layout: str, other: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state_dict(other), tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), "--from", layout, "--out", str(tmp_path / "a.safetensors")]
    assert run(["weights", "import", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"a.pth: holds {first}, " in line
    assert line.endswith(f"which is not --from {layout}; it looks like --from {other}")
    assert not (tmp_path / "a.safetensors").exists()


def test_what_does_not_fit_is_refused_in_one_line(
    theirs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {name: one for name, one in theirs.state_dict().items() if "head.regression" not in name}
    torch.save(weights, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), "--from", "torchvision", "--out", str(tmp_path / "a.safetensors")]
    assert run(["weights", "import", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.pth does not fit ssd300-vgg16: missing " in line
    assert line.count("missing") == 3
    assert not (tmp_path / "a.safetensors").exists()


def test_a_tensor_of_another_shape_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = state_dict("lufficc", 512) | {"backbone.extras.9.weight": torch.zeros(256, 128, 3, 3)}
    torch.save({"model": weights}, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), "--from", "lufficc", "--out", str(tmp_path / "a.safetensors")]
    assert run(["weights", "import", *arguments]) == 2
    error = capsys.readouterr().err
    assert "backbone.extras.9.weight has shape (256, 128, 3, 3), not (256, 128, 4, 4)" in error


def test_quantized_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As whole numbers they would pass for floats a hundred times as large."""
    weights = state_dict("lufficc", 512)
    weights["backbone.extras.9.weight"] = torch.zeros(256, 128, 4, 4, dtype=torch.int8)
    torch.save({"model": weights}, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), "--from", "lufficc", "--out", str(tmp_path / "a.safetensors")]
    assert run(["weights", "import", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "does not fit ssd512-vgg16: backbone.extras.9.weight is int8, as of a quantized network; save float weights"
    )
    assert not (tmp_path / "a.safetensors").exists()
