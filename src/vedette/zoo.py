"""Names → builders and weights: the only table of names in the library."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vedette.errors import InputError
from vedette.papers.fast_rcnn import fast_rcnn_timm, fast_rcnn_vgg16
from vedette.papers.faster_rcnn import faster_rcnn_resnet50, faster_rcnn_timm, faster_rcnn_vgg16
from vedette.papers.fpn import faster_rcnn_resnet_fpn, faster_rcnn_timm_fpn
from vedette.papers.m2det import m2det_resnet101, m2det_timm, m2det_vgg16
from vedette.papers.rcnn import rcnn_alexnet, rcnn_timm, rcnn_vgg16
from vedette.papers.refinedet import refinedet_resnet101, refinedet_timm, refinedet_vgg16
from vedette.papers.retinanet import retinanet_resnet_fpn, retinanet_timm_fpn
from vedette.papers.sppnet import sppnet_timm, sppnet_zf5
from vedette.papers.ssd import ssd300_timm, ssd300_vgg16, ssd512_timm, ssd512_vgg16
from vedette.weights.files import WeightFile, load_into, read_weights
from vedette.weights.imagenet import load_imagenet

Builder = Callable[..., nn.Module]

LITE0 = "tf_efficientnet_lite0"
SSD_SLIM = {300: ((128, 256), (64, 128), (64, 128)), 512: ((128, 256), (64, 128), (64, 128), (64, 128))}
SMALL_INPUT: dict[str, Any] = {"image_size": 320, "max_side": 533}  # two fifths of 800 and 1333, for lite0 on a CPU
SMALL_ANCHORS = ((16.0,), (32.0,), (64.0,), (128.0,), (256.0,))
FPN_SLIM: dict[str, Any] = SMALL_INPUT | {
    "anchor_sizes": SMALL_ANCHORS,
    "width": 128,
    "rpn_channels": 128,
    "regions": 128,
    "proposals": (1000, 300),
}
RETINANET_SLIM: dict[str, Any] = SMALL_INPUT | {
    "anchor_sizes": tuple(tuple(side * 2 ** (i / 3) for i in range(3)) for (side,) in SMALL_ANCHORS),
    "width": 128,
}
FASTER_SLIM: dict[str, Any] = SMALL_INPUT | {
    "anchor_sizes": ((32.0, 64.0, 128.0, 256.0),),
    "rpn_channels": 256,
    "least_side": 4.0,
    "pooling": "align",
}
# Half of three of the paper's scales. TensorFlow pads layers of stride 2 right and below alone: the centres move.
SPPNET_SLIM: dict[str, Any] = {"scales": (240, 344, 480), "window": 112, "offset": 15.0}
M2DET_SLIM: dict[str, Any] = {"levels": 4, "width": 128, "base_channels": (128, 256)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Paper:
    """What all models of a paper share."""

    title: str
    from_scratch: Mapping[str, Any] | None  # what training without ImageNet's weights sets, if it is possible


NORMALIZED: dict[str, Any] = {"train_norm": True}
ALL_NORMALIZED: dict[str, Any] = {"norm": True, "train_norm": True}
RCNN = Paper(title="R-CNN, Girshick et al., CVPR 2014", from_scratch={})
SPPNET = Paper(title="SPPNet, He et al., ECCV 2014", from_scratch=None)
FAST_RCNN = Paper(title="Fast R-CNN, Girshick, ICCV 2015", from_scratch=NORMALIZED)
FASTER_RCNN = Paper(title="Faster R-CNN, Ren et al., NIPS 2015", from_scratch=NORMALIZED)
FPN = Paper(title="FPN, Lin et al., CVPR 2017", from_scratch=ALL_NORMALIZED)
RETINANET = Paper(title="RetinaNet, Lin et al., ICCV 2017", from_scratch=NORMALIZED)
SSD = Paper(title="SSD, Liu et al., ECCV 2016", from_scratch=ALL_NORMALIZED)
REFINEDET = Paper(title="RefineDet, Zhang et al., CVPR 2018", from_scratch=ALL_NORMALIZED)
M2DET = Paper(title="M2Det, Zhao et al., AAAI 2019", from_scratch=NORMALIZED)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One name of the table; of the models on any timm backbone with {} for the backbone's name."""

    name: str
    paper: Paper
    input: int  # pixels
    build: Builder  # (num_classes=…, **config) → module


BUILT_IN = (
    Model(name="ssd300-vgg16", paper=SSD, input=300, build=ssd300_vgg16),
    Model(name="ssd512-vgg16", paper=SSD, input=512, build=ssd512_vgg16),
    Model(name="ssd300-lite0", paper=SSD, input=300, build=partial(ssd300_timm, LITE0, extra_channels=SSD_SLIM[300])),
    Model(name="ssd512-lite0", paper=SSD, input=512, build=partial(ssd512_timm, LITE0, extra_channels=SSD_SLIM[512])),
    Model(name="refinedet320-vgg16", paper=REFINEDET, input=320, build=refinedet_vgg16),
    Model(name="refinedet512-vgg16", paper=REFINEDET, input=512, build=partial(refinedet_vgg16, image_size=512)),
    Model(name="refinedet320-resnet101", paper=REFINEDET, input=320, build=refinedet_resnet101),
    Model(
        name="refinedet512-resnet101", paper=REFINEDET, input=512, build=partial(refinedet_resnet101, image_size=512)
    ),
    Model(
        name="refinedet320-lite0",
        paper=REFINEDET,
        input=320,
        build=partial(refinedet_timm, LITE0, tcb_channels=128, extra_channels=(128, 256)),
    ),
    Model(
        name="refinedet512-lite0",
        paper=REFINEDET,
        input=512,
        build=partial(refinedet_timm, LITE0, tcb_channels=128, extra_channels=(128, 256), image_size=512),
    ),
    Model(name="m2det320-vgg16", paper=M2DET, input=320, build=m2det_vgg16),
    Model(name="m2det512-vgg16", paper=M2DET, input=512, build=partial(m2det_vgg16, image_size=512)),
    Model(name="m2det800-vgg16", paper=M2DET, input=800, build=partial(m2det_vgg16, image_size=800)),
    Model(name="m2det320-resnet101", paper=M2DET, input=320, build=m2det_resnet101),
    Model(name="m2det512-resnet101", paper=M2DET, input=512, build=partial(m2det_resnet101, image_size=512)),
    Model(name="m2det320-lite0", paper=M2DET, input=320, build=partial(m2det_timm, LITE0, **M2DET_SLIM)),
    Model(
        name="m2det512-lite0", paper=M2DET, input=512, build=partial(m2det_timm, LITE0, image_size=512, **M2DET_SLIM)
    ),
    Model(name="rcnn-alexnet", paper=RCNN, input=227, build=rcnn_alexnet),
    Model(name="rcnn-vgg16", paper=RCNN, input=224, build=rcnn_vgg16),
    Model(name="rcnn-lite0", paper=RCNN, input=224, build=partial(rcnn_timm, LITE0)),
    Model(name="sppnet-zf5", paper=SPPNET, input=1200, build=sppnet_zf5),
    Model(name="sppnet-lite0", paper=SPPNET, input=480, build=partial(sppnet_timm, LITE0, **SPPNET_SLIM)),
    Model(name="fast-rcnn-vgg16", paper=FAST_RCNN, input=600, build=fast_rcnn_vgg16),
    Model(name="fast-rcnn-lite0", paper=FAST_RCNN, input=320, build=partial(fast_rcnn_timm, LITE0, **SMALL_INPUT)),
    Model(name="faster-rcnn-vgg16", paper=FASTER_RCNN, input=600, build=faster_rcnn_vgg16),
    Model(name="faster-rcnn-resnet50", paper=FASTER_RCNN, input=600, build=faster_rcnn_resnet50),
    Model(
        name="faster-rcnn-lite0", paper=FASTER_RCNN, input=320, build=partial(faster_rcnn_timm, LITE0, **FASTER_SLIM)
    ),
    Model(name="faster-rcnn-resnet50-fpn", paper=FPN, input=800, build=partial(faster_rcnn_resnet_fpn, 50)),
    Model(name="faster-rcnn-resnet101-fpn", paper=FPN, input=800, build=partial(faster_rcnn_resnet_fpn, 101)),
    Model(name="faster-rcnn-lite0-fpn", paper=FPN, input=320, build=partial(faster_rcnn_timm_fpn, LITE0, **FPN_SLIM)),
    Model(name="retinanet-resnet50-fpn", paper=RETINANET, input=800, build=partial(retinanet_resnet_fpn, 50)),
    Model(name="retinanet-resnet101-fpn", paper=RETINANET, input=800, build=partial(retinanet_resnet_fpn, 101)),
    Model(
        name="retinanet-lite0-fpn",
        paper=RETINANET,
        input=320,
        build=partial(retinanet_timm_fpn, LITE0, **RETINANET_SLIM),
    ),
)
ON_TIMM = (
    Model(name="ssd300-timm/{}", paper=SSD, input=300, build=ssd300_timm),
    Model(name="ssd512-timm/{}", paper=SSD, input=512, build=ssd512_timm),
    Model(name="refinedet320-timm/{}", paper=REFINEDET, input=320, build=refinedet_timm),
    Model(name="refinedet512-timm/{}", paper=REFINEDET, input=512, build=partial(refinedet_timm, image_size=512)),
    Model(name="m2det320-timm/{}", paper=M2DET, input=320, build=m2det_timm),
    Model(name="m2det512-timm/{}", paper=M2DET, input=512, build=partial(m2det_timm, image_size=512)),
    Model(name="m2det800-timm/{}", paper=M2DET, input=800, build=partial(m2det_timm, image_size=800)),
    Model(name="rcnn-timm/{}", paper=RCNN, input=224, build=rcnn_timm),
    Model(name="sppnet-timm/{}", paper=SPPNET, input=1200, build=sppnet_timm),
    Model(name="fast-rcnn-timm/{}", paper=FAST_RCNN, input=600, build=fast_rcnn_timm),
    Model(name="faster-rcnn-timm/{}-fpn", paper=FPN, input=800, build=faster_rcnn_timm_fpn),
    Model(name="faster-rcnn-timm/{}", paper=FASTER_RCNN, input=600, build=faster_rcnn_timm),
    Model(name="retinanet-timm/{}-fpn", paper=RETINANET, input=800, build=retinanet_timm_fpn),
)
ALL = (*BUILT_IN, *ON_TIMM)


def build(name: str, num_classes: int = 20, weights_backbone: str | Path | None = None, **config: Any) -> nn.Module:
    """A detector by its name, untrained.

    name: one of `models()`, or a detector on any timm backbone, `refinedet320-timm/resnet18`. weights_backbone: None
    for random weights, "imagenet", or the path of torchvision's or timm's own checkpoint. config: fields of the
    detector's dataclass.

    Raises InputError for a name or a field that does not exist, and where the backbone's weights do not fit.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a model is {name!r}: give a text, one of {', '.join(names())}")
    if not isinstance(num_classes, int) or num_classes < 1:
        raise InputError(f"num_classes is {num_classes}: give a whole number from 1 on")
    model = _construct(name, num_classes, config)
    if weights_backbone is not None:
        path = None if weights_backbone == "imagenet" else weights_backbone
        load_imagenet(model.backbone, path)  # type: ignore[arg-type]
    return model


def restore(
    path: Path, name: str | None = None, classes: tuple[str, ...] | None = None, **config: Any
) -> tuple[nn.Module, WeightFile]:
    """A model as a weight file has it, layers, anchors and input; and the file.

    Unless given: `name` is the file's; so are the `classes`, or else the class layers are new where they differ;
    `config` are the fields of the detector's dataclass that differ.

    Raises InputError for a file that is not ours or does not fit.
    """
    stored = read_weights(path)
    if name is not None and known(name).paper is not known(stored.name).paper:
        raise InputError(f"{path}: holds a {stored.name}, and {name} has other layers; give weights of its own paper")
    model: Any = build(name or stored.name, **(stored.config | config))
    load_into(model, stored, leave_out=() if classes in (None, stored.classes) else model.class_layers)
    own = model.input_spec  # its size may be one of the fields that differ
    model.input_spec = replace(stored.input_spec, size=own.size, max_side=own.max_side)
    return model, stored


def names() -> list[str]:
    """The names of the table."""
    return [model.name for model in BUILT_IN]


def models() -> list[dict[str, Any]]:
    """Names with paper, input size, parameters, and the bundled weights' results where there are any."""
    return [_row(model) for model in BUILT_IN]


def _row(model: Model) -> dict[str, Any]:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in model.build(num_classes=20).parameters())
    row: dict[str, Any] = {
        "name": model.name,
        "paper": model.paper.title,
        "input": model.input,
        "parameters": parameters,
    }
    card = files("vedette") / "assets" / "weights" / f"{model.name}.json"
    results = json.loads(card.read_text())["results"] if card.is_file() else None
    return row | {"weights": "bundled" if results else None, "results": results}


def find(name: str) -> Model | None:
    """The model of that name, of the table or on a timm backbone."""
    for model in BUILT_IN:
        if name == model.name:
            return model
    for model in ON_TIMM:
        before, after = model.name.split("{}")
        backbone = name.removeprefix(before).removesuffix(after)
        if backbone and name == model.name.format(backbone):
            return replace(model, name=name, build=partial(model.build, backbone))
    return None


def known(name: str) -> Model:
    """Raises InputError for a name that there is not."""
    model = find(name)
    if model is None:
        known = ", ".join([*names(), *(model.name.format("<name>") for model in ON_TIMM)])
        raise InputError(f"there is no model {name!r}; the names: {known}")
    return model


def _construct(name: str, num_classes: int, config: dict[str, Any]) -> nn.Module:
    builder = known(name).build
    try:
        return builder(num_classes=num_classes, **{key: _with_tuples(value) for key, value in config.items()})
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{name}: {str(error).split('() ')[-1].splitlines()[0]}") from None


def _with_tuples(value: Any) -> Any:
    """A config's value as the dataclasses have it: JSON knows lists alone."""
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list | tuple) else value
