"""From pictures to what is on them: the model's input, the batches, and the way back to the pictures' own pixels."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from PIL import Image
from torch import Tensor, nn

from vedette.data.selective_search import cached_proposals
from vedette.errors import InputError
from vedette.infer.backends.session import Session, SessionLook
from vedette.infer.decoded import DECODERS, look_ahead, size_of
from vedette.infer.folded import without_norms
from vedette.infer.look import Inputs, Look
from vedette.infer.multiscale import Passes, merge, plan_passes
from vedette.infer.pictures import ImageLike, as_picture
from vedette.infer.scores import Least, least_scores
from vedette.infer.tiles import look_in_tiles, plan_tiles
from vedette.ops.boxes import clip
from vedette.ops.images import sizes_of, stack_padded, to_input
from vedette.structures import Detections, InputSpec, check_spec

if TYPE_CHECKING:
    from vedette.infer.watch import Watch

DRAFT = 2  # times the input's side: what a picture keeps where it is decoded at a fraction of its size


class Detector:
    """A model with all that it needs to look at a photograph.

    The model goes to `device` (a GPU where there is one, unless given) and into evaluation mode. `input_spec` is the
    model's own unless given; `category_ids` are the ids that the classes have in the data that the weights were trained
    on. graphs: on a GPU, network and post-processing are recorded as one CUDA graph for each size of input.
    name: of the model, as `build` knows it. thresholds: the score from which on a detection of each class counts, where
    nobody gives another. folded: it looks with a twin of the model as it is now, whose batch norms are part of the
    convolutions (`infer.folded`): faster, the same to rounding, and blind to later changes. Where an exported file's
    session stands for the model, `model` is None. The attribute `bf16`, set to True: it looks in bfloat16, whether
    `detect` is asked to or not.

    Raises InputError for a device that does not exist, ValueError for an input that cannot be.
    """

    def __init__(
        self,
        model: nn.Module | Session,
        input_spec: InputSpec | None = None,
        classes: tuple[str, ...] | None = None,
        device: torch.device | str | None = None,
        category_ids: tuple[int, ...] | None = None,
        graphs: bool = False,
        name: str | None = None,
        thresholds: tuple[float, ...] | None = None,
        folded: bool = False,
    ) -> None:
        self.device = model.device if isinstance(model, Session) else choose_device(device)
        if graphs and self.device.type != "cuda":
            raise InputError(f"graphs: CUDA graphs need a GPU, and the device is {self.device}; leave graphs out")
        self.network = model if isinstance(model, Session) else model.to(self.device).eval()
        self.input_spec = check_spec(input_spec or model.input_spec)  # type: ignore[arg-type]
        self.classes = classes
        self.category_ids, self.name, self.thresholds = category_ids, name, thresholds
        self.graphs = graphs
        self.bf16 = False
        self.looking = without_norms(self.network) if folded and isinstance(self.network, nn.Module) else self.network
        self.looks: dict[tuple[InputSpec, bool], Look | SessionLook] = {}

    @property
    def model(self) -> Any:
        """The nn.Module behind it; None for an exported file, which holds none."""
        return None if isinstance(self.network, Session) else self.network

    @overload
    def detect(  # type: ignore[overload-overlap]  # a str is an image here, though also a sequence of str
        self,
        images: ImageLike,
        score: float | None = None,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
        keep_image: bool = True,
        draft: bool = False,
        classes: Sequence[str | int] | None = None,
        tiles: int | None = None,
        overlap: float | None = None,
    ) -> Detections: ...

    @overload
    def detect(
        self,
        images: Sequence[ImageLike],
        score: float | None = None,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
        keep_image: bool = True,
        draft: bool = False,
        classes: Sequence[str | int] | None = None,
        tiles: int | None = None,
        overlap: float | None = None,
    ) -> list[Detections]: ...

    def detect(
        self,
        images: ImageLike | Sequence[ImageLike],
        score: float | None = None,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        scales: Sequence[int] | None = None,
        flip: bool = False,
        vote: bool = False,
        keep_image: bool = True,
        draft: bool = False,
        classes: Sequence[str | int] | None = None,
        tiles: int | None = None,
        overlap: float | None = None,
    ) -> Detections | list[Detections]:
        """What is found on one image, or on each of a list (or tuple) of images, with at least this score: by default
        that which the weights say for each class, else 0.5.

        An image is a path, a PIL image, a uint8 array (H, W), (H, W, 3) or (H, W, 4), or a uint8 tensor (3, H, W).
        Boxes are in the pixels of the image as given, after EXIF rotation, and inside it. Everything is on the CPU.
        bf16: the network runs in bfloat16. keep_image: each result keeps its picture, for `found.draw()`; without, a
        long list needs no more memory than a few batches, which hold fewer pictures where they are large (MOST_PIXELS).
        draft: without `keep_image`, JPEG files much larger than the input are decoded at a fraction of their size,
        several times as fast; boxes and scores change a little (docs/detecting.md).

        scales: input sizes to look in, multiples of the spec's divisor; flip: look at the mirrored picture too. What
        several passes find is merged per class, with source -1; vote: each kept box becomes the mean of those that
        agree with it (`infer.multiscale`). classes: names or ids of those that are looked for, all by default. tiles:
        larger pictures are looked at in squares of so many pixels too, neighbours having a share of `overlap` (0.2) in
        common, and what is found is merged, with source -1 (`infer.tiles`).

        Raises InputError for what is not an image, and for a score, a batch size, scales, classes or tiles that cannot
        be.
        """
        least = least_scores(self, score, classes)
        passes = plan_passes(self.input_spec, scales, flip, vote, batch_size)
        passes = replace(passes, tiles=plan_tiles(tiles, overlap))
        side = self._least_side(passes, keep_image) if draft else None

        def look(pictures: list[Image.Image]) -> list[Detections]:
            seen = self.look(pictures, passes, least, bf16)
            return seen if keep_image or draft else [replace(one, image=None) for one in seen]

        if not isinstance(images, list | tuple):
            image: Any = images  # a str is a sequence too
            seen = look([as_picture(image, side)])[0]
            return _undrafted(seen, image) if draft else seen
        threads = 1 if self.device.type == "cpu" else DECODERS  # a CPU's cores belong to the network
        decode = partial(as_picture, least=side)
        found: list[Any] = [one for some in look_ahead(images, decode, look, passes, threads) for one in some]
        return [_undrafted(one, image) for one, image in zip(found, images, strict=True)] if draft else found

    def _least_side(self, passes: Passes, keep_image: bool) -> int:
        """The pixels that a picture keeps at least; raises InputError where a draft of it would not do."""
        if keep_image:
            raise InputError("draft: a result that keeps its picture needs all of it; give keep_image=False too")
        if getattr(self.network, "needs_proposals", False):
            raise InputError("draft: selective search looks at the whole picture; leave draft out")
        if passes.tiles is not None:
            raise InputError("draft: tiles are cut from the whole picture; leave draft out")
        return DRAFT * max(spec.size for spec in passes.specs)

    def frames(
        self,
        source: str | Path | int,
        score: float | None = None,
        batch_size: int = 8,
        bf16: bool = False,
        *,
        every: int = 1,
        track: bool = False,
    ) -> "Watch":
        """What is found in each frame of a video: its path, a camera's number (0), or a stream's address.

        Iterate over it once: each `Seen` has the `frame` (number, time in seconds, picture), what was `found`, and with
        `track` the `tracks` that the detections belong to. score: as in `detect`. every: only every so many frames are
        looked at; the others have what was found last. No more than two batches of frames are in memory. A live source
        waits for nobody: while the detector works, older frames are dropped, and counted in `dropped`. Needs the extra
        `video`.

        Raises InputError for what is no video or cannot be reached, and for numbers that cannot be.
        """
        from vedette.infer.watch import watch

        return watch(self, source, score, batch_size, bf16, every=every, track=track)

    def look(self, pictures: Sequence[Image.Image], passes: Passes, score: Least, bf16: bool) -> list[Detections]:
        """`detect` for one batch of RGB pictures, of one or more, and passes planned from this detector's spec."""
        if passes.tiles is None:
            found = self._see(pictures, passes, score, bf16)
        else:
            see = partial(self._see, passes=passes, score=score, bf16=bf16)
            found = look_in_tiles(see, pictures, passes.tiles, passes.batch_size, self.network, score)
        return [
            replace(one, classes=self.classes, image=picture, category_ids=self.category_ids)
            for one, picture in zip(found, pictures, strict=True)
        ]

    def _see(self, pictures: Sequence[Image.Image], passes: Passes, score: Least, bf16: bool) -> list[Detections]:
        """What all passes find in pictures, each looked at as a whole."""
        found = []
        for spec in passes.specs:
            inputs, look = self.prepare(pictures, spec), self.look_in(spec, bf16)
            found += [look.find(inputs, score, mirrored) for mirrored in passes.flips]
        return merge(found, self.network, score, passes.vote)

    def look_in(self, spec: InputSpec, bf16: bool = False) -> Look | SessionLook:
        """The model's way to look at inputs of that spec."""
        if (spec, bf16) not in self.looks:
            self.looks[spec, bf16] = look_with(self.looking, spec, bf16 or self.bf16, self.device, self.graphs)
        return self.looks[spec, bf16]

    def model_look(self, spec: InputSpec, bf16: bool = False) -> Look:
        """The same through the model itself, where it is to be explained; raises InputError for an exported file, which
        has no predictions to show.
        """
        folded = self.looking is not self.network
        look = look_with(self.network, spec, bf16, self.device) if folded else self.look_in(spec, bf16)
        if not isinstance(look, Look):
            raise InputError(f"{look.session.path}: an exported file shows no steps; give the weights it was made from")
        return look

    def prepare(self, pictures: Sequence[Image.Image], spec: InputSpec) -> Inputs:
        """RGB pictures as a batch, with selective search's proposals where the model is given any."""
        images = [to_input(picture, spec, self.device) for picture in pictures]
        frames = torch.tensor([picture.size for picture in pictures])
        proposals = None
        if getattr(self.network, "needs_proposals", False):
            proposals = [self._propose(picture, x) for picture, x in zip(pictures, images, strict=True)]
        return Inputs(stack_padded(images, spec.divisor), sizes_of(images), frames, proposals)

    def _propose(self, picture: Image.Image, x: Tensor) -> Tensor:
        """(N, 4) in pixels of the input: selective search's, as many as the model's config says."""
        config: Any = self.network.config
        scale = torch.tensor([x.shape[2] / picture.width, x.shape[1] / picture.height]).repeat(2)
        return cached_proposals(picture, config.search, config.proposals) * scale


def _undrafted(found: Detections, image: ImageLike) -> Detections:
    """What was found in a draft, which it keeps, in the pixels of the image that the draft was made of."""
    (width, height), draft = size_of(image), found.image
    times = 1 if draft is None else round(width / draft.width)
    if times <= 1:
        return replace(found, image=None)
    boxes = clip(found.boxes * times, width, height)  # the last cells of a draft reach beyond the image
    return replace(found, boxes=boxes, image=None)[(boxes[:, 2:] > boxes[:, :2]).all(1)]


def look_with(
    network: nn.Module | Session,
    spec: InputSpec,
    bf16: bool,
    device: torch.device | str,
    graphs: bool = False,
) -> Look | SessionLook:
    """A model's or a session's way to look at inputs of that spec."""
    if isinstance(network, Session):
        return SessionLook(network, spec, bf16)
    return Look(network, spec, bf16, graphs).to(device)


def choose_device(device: torch.device | str | None = None) -> torch.device:
    """The device of that name; without one a GPU where there is one, else the CPU.

    Raises InputError for a device that does not exist here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.empty(0, device=device).device
        torch.amp.autocast_mode.is_autocast_available(found.type)
    except (RuntimeError, AssertionError, NotImplementedError):
        found = torch.device("meta")
    if found.type == "meta":  # of no use: it computes nothing
        here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        here += ["mps"] if torch.backends.mps.is_available() else []
        raise InputError(f"device {device}: not on this machine; give one of {', '.join(here)}, or leave it out")
    return found
