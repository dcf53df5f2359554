from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

import vedette
from vedette.backbones.resnet import FrozenNorm
from vedette.infer.detector import Detector
from vedette.infer.folded import without_norms
from vedette.parts.layers import BatchNorm
from vedette.structures import Detections, InputSpec


def learnt(model: nn.Module) -> nn.Module:
    """With statistics and weights of norms that change something."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d | FrozenNorm):
            norm.running_mean.normal_(std=0.2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            for values in (norm.weight, norm.bias):
                nn.init.normal_(values, 1, 0.3)  # type: ignore[arg-type]
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d | FrozenNorm) for module in model.modules())


def test_a_norm_by_hand() -> None:
    """y = (2 x + 1 - 3) 4 / √(0.75 + 0.25) + 5 = 8 x - 3."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.25))
    for values, value in zip((*model[0].parameters(), *model[1].parameters()), (2.0, 1.0, 4.0, 5.0), strict=True):
        nn.init.constant_(values, value)
    model[1].running_mean.fill_(3.0)
    model[1].running_var.fill_(0.75)
    twin = without_norms(model.eval())
    assert (twin[0].weight.item(), twin[0].bias.item()) == (8.0, -3.0)  # type: ignore[index]
    assert norms(twin) == 0
    assert twin(torch.full((1, 1, 1, 1), 2.0)).item() == 13.0


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), BatchNorm(8), nn.ReLU(), nn.Conv2d(8, 4, 1), FrozenNorm(4)),
        nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), Bottleneck(8, 2, norm_layer=BatchNorm)),
        nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, stride=2), nn.BatchNorm2d(6)),
    ],
)
def test_the_twin_is_the_same_function(model: nn.Module) -> None:
    torch.manual_seed(0)
    model, x = learnt(model), torch.randn(2, 3, 9, 9)
    twin = without_norms(model)
    assert norms(twin) == 0
    assert torch.allclose(twin(x), model(x), atol=1e-5, rtol=1e-5)


def test_the_model_stays_as_it_is_and_gives_the_twin_its_other_tensors() -> None:
    model = learnt(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    twin = without_norms(model.train())
    assert model.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert norms(model) == 1
    assert twin[2].weight is model[2].weight  # type: ignore[index]
    assert twin[0].weight is not model[0].weight  # type: ignore[index]


def test_norms_that_stand_elsewhere_stay() -> None:
    """Before a convolution, behind something else, in a module that may call its children in any order."""

    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.norm(x))  # type: ignore[no-any-return]

    model = learnt(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3), Unknown()))
    twin, x = without_norms(model), torch.randn(1, 3, 4, 4)
    assert norms(twin) == 3
    assert torch.equal(twin(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"), [("retinanet-resnet50-fpn", 128), ("refinedet320-lite0", 128), ("m2det320-lite0", 288)]
)
def test_detectors_without_norms(name: str, side: int) -> None:
    torch.manual_seed(0)
    model = learnt(vedette.build(name, num_classes=3, weights_backbone=None))
    twin, x = without_norms(model), torch.randn(1, 3, side, side)
    assert norms(model) > 0
    assert norms(twin) == 0
    with torch.inference_mode():
        for own, other in zip(tensors(model(x)), tensors(twin(x)), strict=True):
            assert torch.allclose(own, other, atol=1e-4 * float(own.abs().max()) + 1e-5)


def tensors(predictions: object) -> list[Tensor]:
    """Of a named tuple, those of tuples in it too."""
    if isinstance(predictions, Tensor):
        return [predictions]
    return [tensor for part in predictions for tensor in tensors(part)] if isinstance(predictions, tuple | list) else []


class Norms(nn.Module):
    """Finds a box whose score is its first pixel's red behind a convolution and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Tensor:
        return self.layers(images)  # type: ignore[no-any-return]

    def detect(self, predictions: Tensor, score: float = 0.05) -> list[Detections]:
        one, zero = torch.tensor([[0.0, 0.0, 9.0, 9.0]]), torch.zeros(1, dtype=torch.int64)
        return [Detections(one, each[0, 0, :1].float(), zero, zero) for each in predictions]


def test_a_detector_looks_with_the_twin_and_shows_the_model() -> None:
    model, spec, white = learnt(Norms()), InputSpec(size=16), Image.new("RGB", (16, 16), "white")
    plain, folded = (Detector(model, spec, device="cpu", folded=wanted) for wanted in (False, True))
    assert torch.allclose(plain.detect(white).scores, folded.detect(white).scores, atol=1e-5)
    assert norms(folded.look_in(spec)) == 0  # type: ignore[arg-type]
    assert folded.model is model
    assert folded.model_look(spec).model is model
    assert plain.model_look(spec) is plain.look_in(spec)


def test_a_file_is_loaded_folded(tmp_path: Path) -> None:
    detector = vedette.load("refinedet320-lite0", device="cpu", folded=True)
    photo = Path(vedette.__file__).parent / "assets" / "demo" / "chelsea.jpg"
    own, other = (one.detect(photo) for one in (detector, vedette.load("refinedet320-lite0", device="cpu")))
    assert norms(detector.model) > norms(detector.look_in(detector.input_spec))  # type: ignore[arg-type]
    assert torch.allclose(own.boxes, other.boxes, atol=1e-2)
    assert torch.allclose(own.scores, other.scores, atol=1e-4)
