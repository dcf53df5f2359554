"""vedette weights: weight files from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vedette.cli.complete import complete_model
from vedette.cli.places import check_folder, place
from vedette.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from vedette.structures import InputSpec
    from vedette.weights.layouts.checkpoint import Checkpoint

app = typer.Typer(help="Weight files from elsewhere.", no_args_is_help=True)


@app.callback()
def weights() -> None:
    """Weight files from elsewhere."""


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="The foreign checkpoint.")],
    layout: Annotated[str, typer.Option("--from", help="What wrote it, one of the layouts above.")],
    out: Annotated[Path, place(help="The .safetensors file to write.")],
    model: Annotated[
        str | None, typer.Option(help="The detector, where the tensors do not tell.", autocompletion=complete_model)
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="A text file of class names, one a line.")] = None,
) -> None:
    """Turn a checkpoint of another program into a weight file of this one.

    Layouts. refinedet.pytorch: a .pth of luuuyi/RefineDet.PyTorch. refinedet.caffe: a .caffemodel of the authors,
    sfzhang15/RefineDet. torchvision: a .pth of its ssd300_vgg16, or of its Faster R-CNN or RetinaNet on ResNet-50 with
    FPN, both versions. detectron2: Faster R-CNN or RetinaNet R50-FPN, a .pkl of its zoo or a .pth. mmdet: the same two.
    ssd.pytorch: a .pth of amdegroot/ssd.pytorch. lufficc: a .pth of lufficc/SSD, VGG-16. m2det: a .pth of the authors,
    qijiezhao/M2Det.

    Example: vedette weights import RefineDet320_VOC_final.pth --from refinedet.pytorch --model refinedet320-vgg16
    --out refinedet320-voc.safetensors
    """
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: give it the suffix .safetensors")
    check_folder("--out", out.parent)
    from vedette.weights.files import save_weights
    from vedette.weights.layouts import READERS
    from vedette.weights.layouts.class_names import names_by_count, read_names

    if layout not in READERS:
        raise InputError(f"--from {layout}: there is no such layout; the layouts: {', '.join(READERS)}")
    checkpoint = READERS[layout](source)
    name = _choose(checkpoint, source, model)
    names, category_ids = names_by_count(checkpoint.num_classes)
    if classes is not None:
        names, category_ids = read_names(classes, checkpoint.num_classes), None
    detector = _detector(checkpoint, name)
    save_weights(
        out,
        detector,
        name=name,
        classes=names,
        category_ids=category_ids,
        input_spec=replace(cast("InputSpec", detector.input_spec), **checkpoint.input),
        extra={"imported_from": f"{layout} {source.name}"},
    )
    typer.echo(f"{out}: {name}, {len(names)} classes ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})")


def _choose(checkpoint: Checkpoint, source: Path, model: str | None) -> str:
    """The detector's name, of those that the tensors fit exactly."""
    import torch

    from vedette.weights.layouts.checkpoint import check_fit
    from vedette.zoo import build

    options = " or ".join(checkpoint.models)
    if model is not None and model not in checkpoint.models:
        raise InputError(f"--model {model}: {source} can only be {options}")
    name = model or checkpoint.models[0]
    with torch.device("meta"):
        expected = build(name, checkpoint.num_classes, **checkpoint.config).state_dict()
    check_fit(checkpoint, expected, source, options if model is None else model)
    if model is None and len(checkpoint.models) > 1:
        raise InputError(f"{source}: its tensors do not tell which detector they are of; give --model {options}")
    return name


def _detector(checkpoint: Checkpoint, name: str) -> nn.Module:
    from vedette.zoo import build

    detector = build(name, checkpoint.num_classes, **checkpoint.config)
    detector.load_state_dict(checkpoint.tensors)
    return detector
