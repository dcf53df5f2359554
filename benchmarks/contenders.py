"""The detectors of the table and the ways to run each, with the same weights: ours, exported, torchvision's, a port.

Weights are random, but those of the bundled detector; they are written to a folder first, so that a process of its own
can load one way alone. Files of `vedette export` beside them, NAME.onnx, NAME.xml and NAME-int8.xml, are ways too.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.io import ImageReadMode, decode_image

import plain_port
import pyramid_torchvision
import ssd_torchvision
import vedette
from vedette.infer.detector import Detector
from vedette.infer.look import Look
from vedette.structures import Detections
from vedette.weights.files import save_weights

DEMO = Path(vedette.__file__).parent / "assets" / "demo"
CLASSES = 20
OURS = "ours, fp32"  # what outputs are compared with
THEIRS = "torchvision, fp32"  # what times are compared with, where it has the detector
PLAIN = ("ssd300", "refinedet320", "m2det320")  # of which there are plain ports with anchors of one map after another
Boxes = Mapping[str, Tensor]  # boxes (N, 4), scores (N,), labels (N,) from 0 on


@dataclass(frozen=True)
class Row:
    """A detector of the table."""

    key: str
    title: str
    model: str  # as `build` knows it
    side: int
    floor: float
    theirs: str = ""  # kind of torchvision's
    trained: bool = False  # bundled weights

    def quick(self) -> "Row":
        """The smallest that has all parts, for a test."""
        small = self.model.replace("m2det320-vgg16", "m2det320-lite0")
        return replace(self, model=small, side=64 if self.theirs in ("faster-rcnn", "retinanet") else self.side)


ROWS = (
    Row("ssd300", "SSD300, VGG-16", "ssd300-vgg16", 300, 0.01, "ssd"),
    Row("refinedet320", "RefineDet320, EfficientNet-Lite0, bundled weights", "refinedet320-lite0", 320, 0.01, "", True),
    Row("m2det320", "M2Det320, VGG-16", "m2det320-vgg16", 320, 0.01),
    Row("faster-rcnn", "Faster R-CNN, ResNet-50, FPN", "faster-rcnn-resnet50-fpn", 480, 0.05, "faster-rcnn"),
    Row("retinanet", "RetinaNet, ResNet-50, FPN", "retinanet-resnet50-fpn", 480, 0.05, "retinanet"),
)


@dataclass(frozen=True)
class Way:
    """How a detector is run: from files to boxes, and its network alone on as many of one picture."""

    detect: Callable[[list[Path]], list[Boxes]]
    network: Callable[[Path, int], Callable[[], object]] | None = None


def weights(row: Row, folder: Path) -> Path:
    """The file with ours, written where it is not there: of another size or model it has another name."""
    path = folder / f"{row.model}-{row.side}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model = _our_model(row)
        save_weights(path, model, name=row.model, classes=None, input_spec=model.input_spec)
    return path


def _our_model(row: Row) -> Any:
    if row.trained:
        return vedette.load(row.model, device="cpu").model
    if row.theirs == "ssd":
        return ssd_torchvision.same_models()[0]
    if row.theirs:
        return pyramid_torchvision.same_models(row.theirs, row.side)[0]
    torch.manual_seed(0)
    model: Any = vedette.build(row.model, num_classes=CLASSES, weights_backbone=None)
    return settled(model) if row.model.startswith("m2det") else model


@torch.no_grad()
def settled(model: Any) -> Any:
    """An M2Det of random weights whose scores are between 0 and 1: else eight TUMs in turn let them run away.

    Its batch norms take the statistics of quarters of photographs, and its logits spread as far as trained ones.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of all that is seen: of one batch
    detector = Detector(model, device="cpu")
    inputs = detector.prepare(
        [part for photo in sorted(DEMO.glob("*.jpg")) for part in _quarters(photo)], model.input_spec
    )
    look = Look(model.train(), model.input_spec)
    look(inputs.images, inputs.shapes)
    for name, weight in model.named_parameters():
        if ".logits." in name and weight.ndim > 1:
            nn.init.normal_(weight, std=0.05)
    return model.eval()


def _quarters(photo: Path) -> list[Image.Image]:
    picture = Image.open(photo).convert("RGB")
    x, y = picture.width // 2, picture.height // 2
    return [picture.crop((left, top, left + x, top + y)) for top in (0, y) for left in (0, x)]


def their_model(row: Row) -> Any:
    """torchvision's with the same weights."""
    kind = row.theirs
    theirs = ssd_torchvision.their_model() if kind == "ssd" else pyramid_torchvision.their_model(kind, row.side)
    return theirs.eval()


def ways(row: Row, folder: Path) -> dict[str, Callable[[], Way]]:
    """What there is of a row, by name; each is made when it is called."""
    path = weights(row, folder)
    found: dict[str, Callable[[], Way]] = {
        OURS: lambda: ours(path, row, bf16=False),
        "ours, bf16": lambda: ours(path, row, bf16=True),
    }
    for name, suffix, bf16 in (
        ("ONNX Runtime, fp32", ".onnx", False),
        ("OpenVINO, fp32", ".xml", False),
        ("OpenVINO, bf16", ".xml", True),
        ("OpenVINO, int8", "-int8.xml", False),
        ("OpenVINO, int8 and bf16", "-int8.xml", True),
    ):
        file = path.with_name(path.stem + suffix)
        if file.exists() and find_spec("onnxruntime" if suffix == ".onnx" else "openvino"):
            found[name] = lambda f=file, b=bf16: exported(f, row, b)  # type: ignore[misc]
    if row.theirs:
        found[THEIRS] = lambda: torchvisions(row, bf16=False)
        found["torchvision, bf16"] = lambda: torchvisions(row, bf16=True)
    if row.key in PLAIN:
        found["plain port, fp32"] = lambda: plain(path, row)
    if row.key == "faster-rcnn" and find_spec("transformers"):
        found["transformers' pipeline, DETR, fp32"] = lambda: pipeline(row)
    return found


def ours(path: Path, row: Row, bf16: bool) -> Way:
    """`Detector.detect` of a weight file, batch norms folded."""
    detector = vedette.load(path, device="cpu", folded=True)

    def network(photo: Path, count: int) -> Callable[[], object]:
        spec = detector.input_spec
        inputs = detector.prepare([Image.open(photo).convert("RGB")] * count, spec)
        look: Any = detector.look_in(spec, bf16)
        if row.key == "faster-rcnn":  # whose head looks at regions: its network ends where boxes are found
            return lambda: look.find(inputs, row.floor)

        def call() -> object:
            with torch.inference_mode():
                return look(inputs.images, inputs.shapes)

        return call

    return Way(lambda photos: _detect(detector, photos, row.floor, bf16), network)


def exported(file: Path, row: Row, bf16: bool) -> Way:
    """The same `detect` of a file of `vedette export`: network and what comes after it are one graph."""
    detector = vedette.load(file)
    return Way(lambda photos: _detect(detector, photos, row.floor, bf16))


def _detect(detector: Detector, photos: list[Path], floor: float, bf16: bool) -> list[Boxes]:
    found: list[Detections] = detector.detect(photos, score=floor, bf16=bf16, batch_size=len(photos), keep_image=False)
    return [{"boxes": one.boxes, "scores": one.scores, "labels": one.labels} for one in found]


def torchvisions(row: Row, bf16: bool) -> Way:
    """torchvision's detector as it is shipped, behind its own decoder of JPEG; bf16 is autocast."""
    model = their_model(row)

    def run(images: list[Tensor]) -> list[dict[str, Tensor]]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found: list[dict[str, Tensor]] = model(images)
        return found

    def detect(photos: list[Path]) -> list[Boxes]:
        found = run([decode_image(str(photo), ImageReadMode.RGB) / 255 for photo in photos])
        return [one | {"labels": one["labels"] - 1} for one in found]

    def network(photo: Path, count: int) -> Callable[[], object]:
        pictures = [decode_image(str(photo), ImageReadMode.RGB) / 255] * count
        if row.key == "faster-rcnn":
            return lambda: run(pictures)
        batch = model.transform(pictures)[0].tensors

        def call() -> object:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return model.head(list(model.backbone(batch).values()))

        return call

    return Way(detect, network)


def plain(path: Path, row: Row) -> Way:
    """A plain port's way around our network: picture by picture, class by class."""
    model: nn.Module = deepcopy(vedette.load(path, device="cpu").model).to(memory_format=torch.contiguous_format)
    return Way(lambda photos: [plain_port.detect(model, photo, row.floor) for photo in photos])


def pipeline(row: Row) -> Way:
    """transformers' pipeline with DETR on ResNet-50, random weights: another detector on the same backbone and side."""
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ObjectDetectionPipeline

    torch.manual_seed(0)
    model = DetrForObjectDetection(DetrConfig(use_pretrained_backbone=False, num_labels=CLASSES)).eval()
    size = {"shortest_edge": row.side, "longest_edge": pyramid_torchvision.longest(row.side)}
    run = ObjectDetectionPipeline(model=model, image_processor=DetrImageProcessor(size=size), device="cpu")

    def detect(photos: list[Path]) -> list[Boxes]:
        given = [Image.open(photo).convert("RGB") for photo in photos]
        run(given, threshold=row.floor)  # one by one, as it is shipped: batches of unlike pictures it refuses
        return []  # of other weights: nothing to compare

    return Way(detect)
