"""Names → detectors: the only table of names in the library. A paper's file is imported when its name is built."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vedette.errors import InputError, likely

if TYPE_CHECKING:
    from torch import nn

    from vedette.weights.files import WeightFile

Fields = dict[str, Any]  # of a detector's config
OF_FILES = {".safetensors", ".onnx", ".xml", ".pt2", ".pth", ".pt", ".ckpt", ".bin"}  # no name ends so
WEIGHTS = Path(str(files("vedette"))) / "assets" / "weights"  # the bundled ones, and what they reached


@dataclass(frozen=True, kw_only=True, eq=False)
class Paper:
    """What all models of a paper share."""

    title: str
    module: str  # whose `build(backbone, **fields)` makes the detector
    from_scratch: Mapping[str, Any] | None  # what training without ImageNet's weights sets, if it is possible
    before: Mapping[str, Any] = field(default_factory=dict)  # fields that weight files of format 1 lack, as they were
    dropped: tuple[str, ...] = ()  # fields that they have and nothing reads any more


@dataclass(frozen=True)
class Model:
    """One name of the table; of the models on any timm backbone with {} for the backbone's name."""

    name: str
    paper: Paper
    backbone: str  # as the paper's `build` knows it; timm's own name
    input: int  # pixels
    fields: Fields  # that are not the paper's own
    parameters: int = 0  # for 20 classes; of a name that stands for many, not known


NORMALIZED = {"train_norm": True}
ALL_NORMALIZED = {"norm": True, "train_norm": True}
OF_PYRAMIDS = ("width", "norm", "head_convs", "head_layers", "stride_in_1x1")

RCNN = Paper(title="R-CNN, Girshick et al., CVPR 2014", module="rcnn", from_scratch={})
SPPNET = Paper(title="SPPNet, He et al., ECCV 2014", module="sppnet", from_scratch=None)
FAST_RCNN = Paper(
    title="Fast R-CNN, Girshick, ICCV 2015",
    module="fast_rcnn",
    from_scratch=NORMALIZED,
    before={"statistics": "fixed", "candidates_of": "image"},
)
FASTER_RCNN = Paper(
    title="Faster R-CNN, Ren et al., NIPS 2015",
    module="faster_rcnn",
    from_scratch=NORMALIZED,
    before={"least_side_first": False},
    dropped=OF_PYRAMIDS,
)
FPN = Paper(title="FPN, Lin et al., CVPR 2017", module="fpn", from_scratch=ALL_NORMALIZED)
RETINANET = Paper(title="RetinaNet, Lin et al., ICCV 2017", module="retinanet", from_scratch=NORMALIZED)
SSD = Paper(title="SSD, Liu et al., ECCV 2016", module="ssd", from_scratch=ALL_NORMALIZED, before={"map_rms": 0.0})
REFINEDET = Paper(
    title="RefineDet, Zhang et al., CVPR 2018", module="refinedet", from_scratch=ALL_NORMALIZED, before={"map_rms": 0.0}
)
M2DET = Paper(title="M2Det, Zhao et al., AAAI 2019", module="m2det", from_scratch=NORMALIZED)

OWN = Paper(title="a model of your own", module="", from_scratch={})  # named by module and function: my_module:build

LITE0 = "tf_efficientnet_lite0"
# 0.88 is what SSD's L2 norm of conv4_3 begins at: 20 / √512. timm's maps come with root mean squares from 0.1 to 10.
OURS: Fields = {"l2_norm": (), "map_rms": 0.88, "norm": True, "init": "gaussian"}

# SSD. Layers are kernel, stride, padding: at 300 the last ones are not padded, at 512 the last is 4×4 (sec. 3.1).
HALVE, UNPADDED, TO_ONE = (3, 2, 1), (3, 1, 0), (4, 1, 1)
SSD_512: Fields = {
    "image_size": 512,
    "extra_channels": ((256, 512), (128, 256), (128, 256), (128, 256), (128, 256)),
    "extra_layers": (HALVE, HALVE, HALVE, HALVE, TO_ONE),
    "aspect_ratios": ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    "steps": (8, 16, 32, 64, 128, 256, 512),
}
SSD_TIMM: Fields = OURS | {"sources": (0, 1, 2)}
SSD_TIMM_300 = SSD_TIMM | {"extra_channels": ((128, 256),) * 3, "extra_layers": (HALVE, UNPADDED, UNPADDED)}
SSD_TIMM_512 = (
    SSD_512
    | SSD_TIMM
    | {
        "extra_channels": ((128, 256),) * 4,
        "extra_layers": (HALVE, HALVE, HALVE, TO_ONE),
    }
)
SSD_LITE_300 = SSD_TIMM_300 | {"extra_channels": ((128, 256), (64, 128), (64, 128))}
SSD_LITE_512 = SSD_TIMM_512 | {"extra_channels": ((128, 256), (64, 128), (64, 128), (64, 128))}

# RefineDet. ResNet-101 has one more residual block, no L2 norm, batch norm in the TCBs (sec. 3.3, authors' code).
RES6: Fields = {"extra": "res6", "extra_channels": (128, 512), "l2_norm": (), "norm": True, "init": "gaussian"}
REFINEDET_LITE = OURS | {"tcb_channels": 128, "extra_channels": (128, 256)}
M2DET_LITE: Fields = {"levels": 4, "width": 128, "base_channels": (128, 256)}

# The two-stage line on EfficientNet-Lite0: two fifths of 800 and 1333 pixels, for a CPU.
SMALL: Fields = {"image_size": 320, "max_side": 533}
SMALL_ANCHORS = ((16.0,), (32.0,), (64.0,), (128.0,), (256.0,))
FASTER_LITE = SMALL | {
    "anchor_sizes": ((32.0, 64.0, 128.0, 256.0),),
    "rpn_channels": 256,
    "least_side": 4.0,
    "pooling": "align",
}
FPN_LITE = SMALL | {
    "anchor_sizes": SMALL_ANCHORS,
    "width": 128,
    "rpn_channels": 128,
    "regions": 128,
    "proposals": (1000, 300),
}
RETINANET_LITE = SMALL | {
    "anchor_sizes": tuple(tuple(side * 2 ** (i / 3) for i in range(3)) for (side,) in SMALL_ANCHORS),
    "width": 128,
}
SPPNET_TIMM: Fields = {"hidden": 1024, "dropout": 0.0}
# Half of three of the paper's scales. TensorFlow pads layers of stride 2 right and below alone: the centres move.
SPPNET_LITE = SPPNET_TIMM | {"scales": (240, 344, 480), "window": 112, "offset": 15.0}

BUILT_IN = (
    Model("ssd300-vgg16", SSD, "vgg16", 300, {}, 26_285_486),
    Model("ssd512-vgg16", SSD, "vgg16", 512, SSD_512, 27_188_676),
    Model("ssd300-lite0", SSD, LITE0, 300, SSD_LITE_300, 4_644_982),
    Model("ssd512-lite0", SSD, LITE0, 512, SSD_LITE_512, 4_957_580),
    Model("refinedet320-vgg16", REFINEDET, "vgg16", 320, {}, 34_440_884),
    Model("refinedet512-vgg16", REFINEDET, "vgg16", 512, {"image_size": 512}, 34_440_884),
    Model("refinedet320-resnet101", REFINEDET, "resnet101", 320, RES6, 60_225_332),
    Model("refinedet512-resnet101", REFINEDET, "resnet101", 512, RES6 | {"image_size": 512}, 60_225_332),
    Model("refinedet320-lite0", REFINEDET, LITE0, 320, REFINEDET_LITE, 5_958_508),
    Model("refinedet512-lite0", REFINEDET, LITE0, 512, REFINEDET_LITE | {"image_size": 512}, 5_958_508),
    Model("m2det320-vgg16", M2DET, "vgg16", 320, {}, 96_662_468),
    Model("m2det512-vgg16", M2DET, "vgg16", 512, {"image_size": 512}, 96_662_468),
    Model("m2det800-vgg16", M2DET, "vgg16", 800, {"image_size": 800}, 96_662_468),
    Model("m2det320-resnet101", M2DET, "resnet101", 320, {}, 119_097_668),
    Model("m2det512-resnet101", M2DET, "resnet101", 512, {"image_size": 512}, 119_097_668),
    Model("m2det320-lite0", M2DET, LITE0, 320, M2DET_LITE, 11_817_748),
    Model("m2det512-lite0", M2DET, LITE0, 512, M2DET_LITE | {"image_size": 512}, 11_817_748),
    Model("rcnn-alexnet", RCNN, "alexnet", 227, {}, 57_909_177),
    Model("rcnn-vgg16", RCNN, "vgg16", 224, {"warp_size": 224}, 136_435_641),
    Model("rcnn-lite0", RCNN, LITE0, 224, {"warp_size": 224}, 3_182_761),
    Model("sppnet-zf5", SPPNET, "zf5", 1200, {}, 74_132_729),
    Model("sppnet-lite0", SPPNET, LITE0, 480, SPPNET_LITE, 7_967_817),
    Model("fast-rcnn-vgg16", FAST_RCNN, "vgg16", 600, {}, 134_674_341),
    Model("fast-rcnn-lite0", FAST_RCNN, LITE0, 320, SMALL, 7_466_549),
    Model("faster-rcnn-vgg16", FASTER_RCNN, "vgg16", 600, {}, 137_061_851),
    Model("faster-rcnn-resnet50", FASTER_RCNN, "resnet50", 600, {"pooling": "align"}, 28_408_667),
    Model("faster-rcnn-lite0", FASTER_RCNN, LITE0, 320, FASTER_LITE, 7_743_357),
    Model("faster-rcnn-resnet50-fpn", FPN, "resnet50", 800, {}, 41_393_207),
    Model("faster-rcnn-resnet101-fpn", FPN, "resnet101", 800, {}, 60_333_111),
    Model("faster-rcnn-lite0-fpn", FPN, LITE0, 320, FPN_LITE, 11_320_039),
    Model("retinanet-resnet50-fpn", RETINANET, "resnet50", 800, {}, 36_670_872),
    Model("retinanet-resnet101-fpn", RETINANET, "resnet101", 800, {}, 55_610_776),
    Model("retinanet-lite0-fpn", RETINANET, LITE0, 320, RETINANET_LITE, 5_388_744),
)
ON_TIMM = (
    Model("ssd300-timm/{}", SSD, "{}", 300, SSD_TIMM_300),
    Model("ssd512-timm/{}", SSD, "{}", 512, SSD_TIMM_512),
    Model("refinedet320-timm/{}", REFINEDET, "{}", 320, OURS),
    Model("refinedet512-timm/{}", REFINEDET, "{}", 512, OURS | {"image_size": 512}),
    Model("m2det320-timm/{}", M2DET, "{}", 320, {}),
    Model("m2det512-timm/{}", M2DET, "{}", 512, {"image_size": 512}),
    Model("m2det800-timm/{}", M2DET, "{}", 800, {"image_size": 800}),
    Model("rcnn-timm/{}", RCNN, "{}", 224, {"warp_size": 224}),
    Model("sppnet-timm/{}", SPPNET, "{}", 1200, SPPNET_TIMM),
    Model("fast-rcnn-timm/{}", FAST_RCNN, "{}", 600, {}),
    Model("faster-rcnn-timm/{}-fpn", FPN, "{}", 800, {}),
    Model("faster-rcnn-timm/{}", FASTER_RCNN, "{}", 600, {}),
    Model("retinanet-timm/{}-fpn", RETINANET, "{}", 800, {}),
)
ALL = (*BUILT_IN, *ON_TIMM)


def build(name: str, num_classes: int = 20, weights_backbone: str | Path | None = None, **config: Any) -> "nn.Module":
    """A detector by its name, untrained.

    name: one of `models()`, a detector on any timm backbone, `refinedet320-timm/resnet18`, or a function of your own by
    its module, `my_module:build`, which is imported and called. weights_backbone: None for random weights, "imagenet",
    or the path of torchvision's or timm's own checkpoint. config: fields of the detector's dataclass.

    Raises InputError for a name or a field that does not exist, and where the backbone's weights do not fit.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a model is {name!r}: give a text, one of {', '.join(names())}")
    if not isinstance(num_classes, Integral) or num_classes < 1:  # numpy's too
        raise InputError(f"num_classes is {num_classes}: give a whole number from 1 on")
    from vedette.weights.own import takes_imagenet

    found = known(name)
    model = _construct(found, config | {"num_classes": int(num_classes)})
    if weights_backbone is not None and (found.paper is not OWN or takes_imagenet(model)):
        from vedette.weights.imagenet import load_imagenet

        path = None if weights_backbone == "imagenet" else weights_backbone
        load_imagenet(model.backbone, path)
    return model


def restore(
    path: Path, name: str | None = None, classes: tuple[str, ...] | None = None, trust: bool = False, **config: Any
) -> "tuple[nn.Module, WeightFile]":
    """A model as a weight file has it, layers, anchors and input; and the file.

    Unless given: `name` is the file's; so are the `classes`, or else the class layers know those that the file knows,
    and are new for the others; `config` are the fields of the detector's dataclass that differ. trust: the file may
    name a function that is not Vedette's, to be imported and called.

    Raises InputError for a file that is not ours or does not fit, and for one that is not trusted.
    """
    import torch

    from vedette.weights.classes import take_classes
    from vedette.weights.files import check_fit, load_into, read_weights

    stored = read_weights(path)
    if ":" in stored.name and name is None and not trust:
        raise InputError(
            f"{path}: is of {stored.name}, which is code that did not come with Vedette and would be run; if you know "
            "it, give --trust (in Python trust=True)"
        )
    if name is not None and known(name).paper is not known(stored.name).paper:
        raise InputError(f"{path}: holds a {stored.name}, and {name} has other layers; give weights of its own paper")
    fields = _fields_of(stored) | config
    try:
        with torch.device("meta"):  # layers that the file has no weights for may be larger than the memory
            planned: Any = build(name or stored.name, **fields)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    leave_out = () if classes in (None, stored.classes) else planned.class_layers
    check_fit(planned, stored, leave_out)
    model: Any = build(name or stored.name, **fields)
    load_into(model, stored, leave_out)
    if leave_out and classes and stored.classes:
        take_classes(model, stored.tensors, stored.classes, classes)
    own = model.input_spec  # its size may be one of the fields that differ
    model.input_spec = replace(stored.input_spec, size=own.size, max_side=own.max_side)
    return model, stored


def weight_file(source: str | Path) -> Path:
    """The file behind a bundled name or a path; raises InputError where there is none."""
    if not isinstance(source, str | Path) or not str(source):
        what = "an empty name" if source == "" else repr(source)
        raise InputError(f"{what} is no model: give a weight file or a name; the names: {', '.join(names())}")
    path = Path(source)
    for file in (WEIGHTS / f"{source}.safetensors", path, path / "best.safetensors"):
        if file.is_file():
            return file
    if find(str(source)) is not None:
        raise InputError(f"{source}: no weights are bundled for it; train it, or give the path of a weight file")
    if path.is_dir():
        raise InputError(f"{source}: a folder without best.safetensors; give a weight file, or a training's folder")
    if path.suffix.lower() in OF_FILES or path.is_absolute():
        raise InputError(f"{source}: no such file; check the path")
    meant = likely(str(source), names()) or f"; the names: {', '.join(names())}"
    raise InputError(f"{source}: neither a weight file nor a model's name{meant}")


def names() -> list[str]:
    """The names of the table."""
    return [model.name for model in BUILT_IN]


def models() -> list[dict[str, Any]]:
    """Names with paper, input size, parameters, and the bundled weights' results where there are any."""
    return [_row(model) for model in BUILT_IN]


def find(name: str) -> Model | None:
    """The model of that name, of the table or on a timm backbone."""
    if re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", name):
        return Model(name, OWN, "", 0, {})
    for model in BUILT_IN:
        if name == model.name:
            return model
    for model in ON_TIMM:
        before, after = model.name.split("{}")
        backbone = name.removeprefix(before).removesuffix(after)
        if backbone and name == model.name.format(backbone):
            return replace(model, name=name, backbone=backbone)
    return None


def known(name: str) -> Model:
    """The model of that name; raises InputError for a name that there is not."""
    model = find(name)
    if model is None:
        meant = "; one of your own is MODULE:FUNCTION, as my_module:build;" if ":" in name else likely(name, names())
        text = ", ".join([*names(), *(model.name.format("<name>") for model in ON_TIMM)])
        where = f"{meant} `vedette models` lists all" if meant else f"; the names: {text}"
        raise InputError(f"there is no model {name!r}{where}")
    return model


def _row(model: Model) -> dict[str, Any]:
    card = WEIGHTS / f"{model.name}.json"
    results = json.loads(card.read_text())["results"] if card.is_file() else None
    return {
        "name": model.name,
        "paper": model.paper.title,
        "input": model.input,
        "parameters": model.parameters,
        "weights": "bundled" if results else None,
        "results": results,
    }


def _construct(model: Model, config: Fields) -> "nn.Module":
    fields = model.fields | {key: _with_tuples(value) for key, value in config.items()}
    if model.paper is OWN:
        from vedette.weights.own import build_own

        return build_own(model.name, fields)
    paper = import_module(f"vedette.papers.{model.paper.module}")
    try:
        detector: nn.Module = paper.build(model.backbone, **fields)
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        unknown = re.search(r"unexpected keyword argument ('.*')", str(error))
        if unknown is not None:
            fields_of = getattr(paper, str(error).split(".")[0]).__dataclass_fields__
            meant = likely(unknown[1].strip("'"), fields_of) or ":"
            raise InputError(
                f"{model.name} has no field {unknown[1]}{meant} `vedette config {model.name}` lists them"
            ) from None
        raise InputError(f"{model.name}: {str(error).split('() ')[-1].splitlines()[0]}") from None
    return detector


def _fields_of(stored: "WeightFile") -> Fields:
    """The config of a weight file, in today's fields."""
    if stored.version > 1:
        return stored.config
    paper = known(stored.name).paper
    return dict(paper.before) | {key: value for key, value in stored.config.items() if key not in paper.dropped}


def _with_tuples(value: Any) -> Any:
    """A config's value as the dataclasses have it: JSON knows lists alone."""
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list | tuple) else value
