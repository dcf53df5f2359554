"""From pictures to what is on them: the model's input, the batches, and the way back to the pictures' own pixels."""

from collections.abc import Sequence
from typing import overload

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import pad

from vedette.errors import InputError
from vedette.infer.pictures import ImageLike, as_picture
from vedette.ops.boxes import clip
from vedette.ops.images import normalize, to_input
from vedette.parts.detection import check_score
from vedette.structures import Detections, InputSpec


class Detector:
    """A model with all that it needs to look at a photograph.

    The model goes to `device` (a GPU where there is one, unless given) and into evaluation mode. `category_ids` are
    the ids that the classes have in the data that the weights were trained on.

    Raises InputError for a device that does not exist.
    """

    def __init__(
        self,
        model: nn.Module,
        input_spec: InputSpec,
        classes: tuple[str, ...] | None,
        device: torch.device | str | None = None,
        category_ids: tuple[int, ...] | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)  # a CPU's convolutions are faster so
        self.input_spec = input_spec
        self.classes = classes
        self.category_ids = category_ids

    @overload
    def detect(  # type: ignore[overload-overlap]  # a str is an image here, though also a sequence of str
        self, images: ImageLike, score: float = 0.5, batch_size: int = 8, bf16: bool = False
    ) -> Detections: ...

    @overload
    def detect(
        self, images: Sequence[ImageLike], score: float = 0.5, batch_size: int = 8, bf16: bool = False
    ) -> list[Detections]: ...

    def detect(
        self, images: ImageLike | Sequence[ImageLike], score: float = 0.5, batch_size: int = 8, bf16: bool = False
    ) -> Detections | list[Detections]:
        """What is found on one image, or on each of a list (or tuple) of images, with at least this score.

        An image is a path, a PIL image, a uint8 array (H, W), (H, W, 3) or (H, W, 4), or a uint8 tensor (3, H, W).
        Boxes are in the pixels of the image as given, after EXIF rotation, and inside it. Everything is on the CPU.
        Each result keeps its picture. bf16: the network runs in bfloat16.

        Raises InputError for what is not an image, and for a score or a batch size that cannot be.
        """
        check_score(score)
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}: give 1 or more")
        if not isinstance(images, list | tuple):
            return self._detect_batch([as_picture(images)], score, bf16)[0]  # type: ignore[arg-type]
        found: list[Detections] = []
        for start in range(0, len(images), batch_size):
            pictures = [as_picture(image) for image in images[start : start + batch_size]]
            found += self._detect_batch(pictures, score, bf16)
        return found

    def _detect_batch(self, pictures: Sequence[Image.Image], score: float, bf16: bool) -> list[Detections]:
        inputs = [to_input(picture, self.input_spec) for picture in pictures]
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            predictions = self.model(self._batch(inputs))
            found: list[Detections] = self.model.detect(predictions, score=score)  # type: ignore[operator]
        return [self._in_picture(*row) for row in zip(found, inputs, pictures, strict=True)]

    def _batch(self, inputs: Sequence[Tensor]) -> Tensor:
        """(B, 3, H, W), normalised; inputs of different sizes are padded with the mean colour, right and below."""
        divisor = self.input_spec.divisor
        height, width = (-(-max(x.shape[side] for x in inputs) // divisor) * divisor for side in (1, 2))
        images = [normalize(x.to(self.device), self.input_spec) for x in inputs]
        batch = torch.stack([pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in images])
        layout = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
        return batch.contiguous(memory_format=layout)

    def _in_picture(self, found: Detections, given: Tensor, picture: Image.Image) -> Detections:
        """Detections in pixels of the input, in those of the picture; what lies outside of it is left out."""
        width, height = picture.size
        scale = torch.tensor([width / given.shape[2], height / given.shape[1]]).repeat(2)
        boxes = clip(found.boxes.cpu().float() * scale, width, height)
        visible = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return Detections(
            boxes=boxes[visible],
            scores=found.scores.cpu().float()[visible],
            labels=found.labels.cpu()[visible],
            source=found.source.cpu()[visible],
            classes=self.classes,
            image=picture,
        )


def choose_device(device: torch.device | str | None = None) -> torch.device:
    """The device of that name; without one a GPU where there is one, else the CPU.

    Raises InputError for a device that does not exist here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device {device}: {str(error).splitlines()[0]}") from None
