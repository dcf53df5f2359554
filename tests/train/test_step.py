"""A training step: what the model is given, and that no image, however odd, gives a loss that is not finite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vedette.data.loader import train_loader
from vedette.ops.images import Normalize
from vedette.structures import InputSpec, Target
from vedette.train.step import TrainStep
from vedette.zoo import build


class Remembers(nn.Module):
    """Keeps what it is given; no loss to speak of."""

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Tensor:
        self.images, self.sizes, self.proposals = images, sizes, proposals
        return images

    def loss(self, predictions: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        return {"mean": predictions.mean()}


PADDED = InputSpec(size=2, resize="short side", divisor=4, mean=(10.0, 10.0, 10.0), std=(2.0, 2.0, 2.0))
SHAPES = torch.tensor([[2, 4], [3, 2]])


def test_the_padding_of_a_batch_is_0_once_it_is_normalised() -> None:
    model, images = Remembers(), torch.full((2, 3, 4, 4), 20, dtype=torch.uint8)
    losses = TrainStep(model, PADDED)(images, [], SHAPES)
    wide, high = [[5, 5, 5, 5]] * 2 + [[0] * 4] * 2, [[5, 5, 0, 0]] * 3 + [[0] * 4]
    assert model.images[:, 1].tolist() == [wide, high]
    assert model.proposals is None
    assert model.sizes.tolist() == [[2, 4], [3, 2]]
    assert losses["mean"].item() == pytest.approx(5 * 14 / 32)


def test_without_shapes_all_of_the_batch_is_image() -> None:
    model = Remembers()
    TrainStep(model, PADDED)(torch.full((2, 3, 4, 8), 20, dtype=torch.uint8), [])
    assert model.images.unique().tolist() == [5]
    assert model.sizes.tolist() == [[4, 8]] * 2


def test_one_stage_models_are_given_images_alone() -> None:
    model, spec = Remembers(), InputSpec(size=8, range=1.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
    images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    TrainStep(model, spec)(images, [], torch.tensor([[8, 8], [8, 8]]))
    assert model.sizes is model.proposals is None
    assert torch.equal(model.images, Normalize(spec)(images))


def test_sizes_and_proposals_go_to_the_model() -> None:
    proposals = [torch.tensor([[0.0, 0, 2, 2]]), torch.zeros(0, 4)]
    model = Remembers()
    TrainStep(model, PADDED)(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [], SHAPES, proposals)
    assert model.proposals is proposals
    assert model.sizes.tolist() == SHAPES.tolist()


class Draws(Remembers):
    """Looks at the first proposal of each image alone."""

    def draw_windows(self, proposals: list[Tensor], targets: list[Target]) -> list[Tensor]:
        self.given = targets
        return [boxes[:1] for boxes in proposals]


def test_a_model_that_draws_windows_is_given_these_alone() -> None:
    model = Draws()
    targets = [Target(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([0]))] * 2
    proposals = [torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]]), torch.zeros(0, 4)]
    TrainStep(model, PADDED)(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), targets, SHAPES, proposals)
    assert [boxes.tolist() for boxes in model.proposals] == [[[0, 0, 2, 2]], []]
    assert model.given is targets


class Odd:
    """Very small, very large and very long images: with nothing on them, one pixel, or one box over all."""

    sizes = ((32, 32), (4000, 3000), (4000, 10), (10, 4000), (1, 1), (33, 4000))

    def __len__(self) -> int:
        return 3 * len(self.sizes)

    def file(self, index: int) -> Path:
        return Path(f"{index}.png")

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index // 3]

    def boxes(self, index: int) -> Tensor:
        width, height = self.size(index)
        return torch.tensor([[0.0, 0, width, height], [width - 1, height - 1, width, height]])[: index % 3]

    def labels(self, index: int) -> Tensor:
        return torch.arange(index % 3)

    def difficult(self, index: int) -> Tensor:
        return torch.zeros(index % 3, dtype=torch.bool)

    crowd = difficult

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", self.size(index), (index, 90, 200))

    def proposals(self, index: int) -> Tensor:
        """None for each third, else the whole, one pixel, and one outside of the image."""
        width, height = self.size(index)
        rows = [[0.0, 0, width, height], [0, 0, 1, 1], [width + 1, 0, width + 9, 9]]
        return torch.tensor(rows)[: 3 * (index % 3 > 0)]


SMALL = {"image_size": 64, "max_side": 128, "num_classes": 2}
MODELS: dict[str, Callable[[], Any]] = {
    "retinanet": lambda: build("retinanet-timm/resnet10t-fpn", **SMALL),
    "faster r-cnn": lambda: build("faster-rcnn-timm/resnet10t", regions=16, before_nms=(200, 100), **SMALL),
    "faster r-cnn, fpn": lambda: build("faster-rcnn-timm/resnet10t-fpn", regions=16, before_nms=(200, 100), **SMALL),
    "fast r-cnn": lambda: build("fast-rcnn-timm/resnet10t", **SMALL),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_losses_are_finite_on_every_image(name: str) -> None:
    model, data, seen = MODELS[name](), Odd(), set()
    step = TrainStep(model, model.input_spec).train()
    for batch in train_loader(data, model.input_spec, batch_size=3, workers=0, proposals=data.proposals):
        assert batch.images.shape[2] % 32 == batch.images.shape[3] % 32 == 0
        assert max(batch.images.shape) <= 128
        losses = step(batch.images, batch.targets, batch.shapes, batch.proposals)
        total = torch.stack(list(losses.values())).sum()
        assert total.isfinite(), (batch.files, losses)
        model.zero_grad()
        total.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients), batch.files
        seen |= set(batch.indices)
    assert len(seen) == 18


def test_boxes_and_proposals_reach_the_model_in_one_frame() -> None:
    """A proposal that is an object is a positive, whatever the image was resized by and whether it is mirrored."""
    model, data = MODELS["fast r-cnn"](), Odd()
    data.proposals = data.boxes  # type: ignore[method-assign]
    for batch in train_loader(data, model.input_spec, batch_size=3, workers=0, proposals=data.boxes):
        for target, proposals in zip(batch.targets, batch.proposals or [], strict=True):
            torch.testing.assert_close(target.boxes, proposals)
