"""Every name of a detector on a photograph: a step down the gradient, a file, the same detections."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from papers.tiny import M2DET
from vedette import Target, zoo
from vedette.data.decode import decode_image
from vedette.infer.detector import Detector
from vedette.ops.images import Normalize, sizes_of, stack_padded, to_input
from vedette.weights.files import save_weights

PHOTO = Path(zoo.__file__).parent / "assets" / "demo" / "astronaut.jpg"
PERSON = (0.02, 0.02, 0.98, 0.98)  # of the photograph's sides: she fills it
PLACES = torch.tensor([PERSON, (0.1, 0.0, 0.9, 0.9), (0.3, 0.0, 0.6, 0.5), (0.6, 0.6, 1.0, 1.0), (0.0, 0.0, 0.2, 0.2)])
SMALL: dict[str, dict[str, Any]] = {
    "rcnn": {"proposals": 8},
    "sppnet": {"proposals": 8, "scales": (96, 160), "window": 64},
    "fast-rcnn": {"proposals": 8, "image_size": 160, "max_side": 224},
    "faster-rcnn": {"image_size": 160, "max_side": 224, "proposals": (64, 16)},
    "retinanet": {"image_size": 160, "max_side": 224},
    "refinedet": {"image_size": 128},
    "m2det": M2DET,
    "ssd": {},
}
NAMES = [*zoo.names(), "ssd300-timm/resnet10t", "ssd512-timm/resnet10t", "m2det320-timm/resnet10t"]


def test_the_two_stage_line_is_whole() -> None:
    assert {name for name in NAMES if "rcnn" in name or name.startswith(("sppnet", "retinanet"))} == {
        *("rcnn-alexnet", "rcnn-vgg16", "rcnn-lite0", "sppnet-zf5", "sppnet-lite0", "fast-rcnn-vgg16"),
        *("fast-rcnn-lite0", "faster-rcnn-vgg16", "faster-rcnn-resnet50", "faster-rcnn-lite0"),
        *("faster-rcnn-resnet50-fpn", "faster-rcnn-resnet101-fpn", "faster-rcnn-lite0-fpn"),
        *("retinanet-resnet50-fpn", "retinanet-resnet101-fpn", "retinanet-lite0-fpn"),
    }


@pytest.mark.parametrize("name", zoo.names())
def test_the_stored_number_of_parameters_is_that_of_the_model(name: str) -> None:
    row = next(row for row in vedette.models() if row["name"] == name)
    with torch.device("meta"):
        assert row["parameters"] == sum(parameter.numel() for parameter in vedette.build(name).parameters())


def marked(name: str) -> Any:
    """The large networks take three minutes together; lite0 stands for them at every commit."""
    large = any(backbone in name for backbone in ("vgg16", "alexnet", "zf5", "resnet50", "resnet101"))
    return pytest.param(name, marks=pytest.mark.slow) if large else name


@pytest.mark.parametrize("name", [marked(name) for name in NAMES])
def test_a_step_lowers_the_loss_and_a_saved_model_detects_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    settings = next(small for kind, small in SMALL.items() if name.startswith(kind))
    model: Any = vedette.build(name, num_classes=2, **settings)
    given = getattr(model, "needs_proposals", False)
    if given:
        pytest.importorskip("cv2")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before, after = losses_around_a_step(model)
    assert after < before

    file = tmp_path / "weights.safetensors"
    save_weights(file, model, name=name, classes=("person", "flag"), input_spec=model.input_spec)
    own = Detector(model, model.input_spec, ("person", "flag"), "cpu").detect(PHOTO, score=0.0)
    loaded = vedette.load(file, device="cpu")
    stored = loaded.detect(PHOTO, score=0.0)
    assert len(own) > 0 or "m2det" in name  # a random ResNet-101 leaves none with a score
    for one, other in zip(loaded.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert loaded.model.config == model.config
    for field in ("boxes", "scores", "labels", "source"):
        assert torch.equal(getattr(own, field), getattr(stored, field))


def losses_around_a_step(model: Any) -> tuple[float, float]:
    """The sum of the losses on the photograph, before and after a step down its gradient; the same sample in both."""
    picture = to_input(decode_image(PHOTO), model.input_spec)
    images = stack_padded([Normalize(model.input_spec)(picture)], model.input_spec.divisor)
    sides = torch.tensor([picture.shape[2], picture.shape[1]]).repeat(2)
    truth = [Target(torch.tensor([PERSON]) * sides, torch.tensor([0]))]
    sizes = sizes_of([picture])

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        found = model.eval()(images, sizes, [PLACES * sides])
        return torch.stack(list(model.loss(found, truth).values())).sum()

    before = loss()
    before.backward()
    learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
    length = torch.stack([parameter.grad.norm() for parameter in learning]).norm()
    with torch.no_grad():
        for parameter in learning:
            parameter.sub_(1e-2 * parameter.grad / length)
        return float(before), float(loss())
