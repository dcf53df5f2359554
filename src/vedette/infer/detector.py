"""From pictures to what is on them: the model's input, the batches, and the way back to the pictures' own pixels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor, nn

from vedette.data.selective_search import cached_proposals
from vedette.errors import InputError
from vedette.infer.multiscale import Passes, merge, plan_passes
from vedette.infer.pictures import ImageLike, as_picture
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import normalize, sizes_of, stack_padded, to_input
from vedette.parts.calls import predict
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
        self,
        images: ImageLike,
        score: float = 0.5,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
    ) -> Detections: ...

    @overload
    def detect(
        self,
        images: Sequence[ImageLike],
        score: float = 0.5,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
    ) -> list[Detections]: ...

    def detect(
        self,
        images: ImageLike | Sequence[ImageLike],
        score: float = 0.5,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
    ) -> Detections | list[Detections]:
        """What is found on one image, or on each of a list (or tuple) of images, with at least this score.

        An image is a path, a PIL image, a uint8 array (H, W), (H, W, 3) or (H, W, 4), or a uint8 tensor (3, H, W).
        Boxes are in the pixels of the image as given, after EXIF rotation, and inside it. Everything is on the CPU.
        Each result keeps its picture. bf16: the network runs in bfloat16.

        scales: input sizes to look in, multiples of the spec's divisor; flip: look at the mirrored picture too. What
        several passes find is merged per class, with source -1; vote: each kept box becomes the mean of those that
        agree with it (`infer.multiscale`).

        Raises InputError for what is not an image, and for a score, a batch size or scales that cannot be.
        """
        check_score(score)
        passes = plan_passes(self.input_spec, scales, flip, vote, batch_size)
        if not isinstance(images, list | tuple):
            return self.look([as_picture(images)], passes, score, bf16)[0]  # type: ignore[arg-type]
        found: list[Detections] = []
        for start in range(0, len(images), passes.batch_size):
            pictures = [as_picture(image) for image in images[start : start + passes.batch_size]]
            found += self.look(pictures, passes, score, bf16)
        return found

    def look(self, pictures: Sequence[Image.Image], passes: Passes, score: float, bf16: bool) -> list[Detections]:
        """`detect` for one batch of RGB pictures, of one or more, and passes planned from this detector's spec."""
        found = []
        for spec in passes.specs:
            inputs = [to_input(picture, spec) for picture in pictures]
            found += [self._pass(pictures, inputs, flip, score, bf16) for flip in passes.flips]
        return merge(found, self.model, score, passes.vote)

    def _pass(
        self, pictures: Sequence[Image.Image], inputs: Sequence[Tensor], flip: bool, score: float, bf16: bool
    ) -> list[Detections]:
        """One pass over the inputs, mirrored or not; boxes in pixels of the pictures as they are."""
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            images = self._batch([x.flip(-1) for x in inputs] if flip else inputs)
            proposals = self._propose(pictures, inputs, flip) if getattr(self.model, "needs_proposals", False) else None
            predictions = predict(self.model, images, self.input_spec, sizes_of(inputs), proposals)
            found: list[Detections] = self.model.detect(predictions, score=score)  # type: ignore[operator]
        if flip:
            found = [replace(one, boxes=mirror(one.boxes, x.shape[2])) for one, x in zip(found, inputs, strict=True)]
        return [self._in_picture(*row) for row in zip(found, inputs, pictures, strict=True)]

    def _propose(self, pictures: Sequence[Image.Image], inputs: Sequence[Tensor], flip: bool) -> list[Tensor]:
        """(N, 4) of each picture in pixels of its input: selective search's, as many as the model's config says."""
        config: Any = self.model.config
        found = []
        for picture, x in zip(pictures, inputs, strict=True):
            scale = torch.tensor([x.shape[2] / picture.width, x.shape[1] / picture.height]).repeat(2)
            boxes = cached_proposals(picture, config.search, config.proposals) * scale
            found.append(mirror(boxes, x.shape[2]) if flip else boxes)
        return found

    def _batch(self, inputs: Sequence[Tensor]) -> Tensor:
        """(B, 3, H, W), normalised; inputs of different sizes are padded with the mean colour, right and below."""
        images = [normalize(x.to(self.device), self.input_spec) for x in inputs]
        batch = stack_padded(images, self.input_spec.divisor)
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
