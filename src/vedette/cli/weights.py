"""vedette weights: weight files from elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.complete import complete_model
from vedette.cli.places import check_folder, place
from vedette.data.values import counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.weights.layouts.checkpoint import Checkpoint

app = typer.Typer(no_args_is_help=True)


@app.callback()
def weights() -> None:
    """Weight files from elsewhere.

    Example: vedette weights import ssd300_vgg16.pth --out ssd300.safetensors
    """


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="The foreign checkpoint.")],
    out: Annotated[Path, place(help="The .safetensors file to write.")],
    layout: Annotated[
        str, typer.Option("--from", help="What wrote it, one of the layouts above; auto: as its tensors tell.")
    ] = "auto",
    key: Annotated[
        str | None, typer.Option(help="Which weights, where the file holds several: model, ema, student …")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The detector, where the tensors do not tell.", autocompletion=complete_model)
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="A text file of class names, one a line.")] = None,
) -> None:
    """Turn a checkpoint of another program into a weight file of this one.

    Layouts. refinedet.pytorch: a .pth of luuuyi/RefineDet.PyTorch. refinedet.caffe: a .caffemodel of the authors,
    sfzhang15/RefineDet. torchvision: a .pth of its ssd300_vgg16, or of its Faster R-CNN or RetinaNet on ResNet-50 with
    FPN, both versions. detectron2: Faster R-CNN or RetinaNet R50-FPN, a .pkl of its zoo or a .pth. mmdet: the same two,
    and SSD300 and SSD512 on VGG-16 (mmdet1, mmdet2: of the first or second version, where an SSD's file does not say).
    ssd.pytorch: a .pth of amdegroot/ssd.pytorch. lufficc: a .pth of lufficc/SSD, VGG-16. sgrvinod: a .pth.tar of the
    tutorial a-PyTorch-Tutorial-to-Object-Detection. m2det: a .pth of the authors, qijiezhao/M2Det.

    The weights may lie under any keys of the file and have any prefix (module., _orig_mod., model. …), and a whole
    pickled module is read too. Nothing that the file contains is run.

    Example: vedette weights import RefineDet320_VOC_final.pth --from refinedet.pytorch --model refinedet320-vgg16
    --out refinedet320-voc.safetensors
    """
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: give it the suffix .safetensors")
    check_folder("--out", out.parent)
    if os.path.lexists(out) and "imported_from" not in _said_by(out):
        raise InputError(f"--out {out}: exists, and is no result of this command; give another name")
    from vedette.data.findings import LONGEST_NAME, shown

    checkpoint = _read(source, layout, key)
    name = _choose(checkpoint, source, model)
    names, category_ids = _classes(checkpoint, classes)
    extra = {"imported_from": f"{checkpoint.layout} {source.name}"}
    _save(out, checkpoint, name, classes=names, category_ids=category_ids, extra=extra)
    first = ", ".join(shown(one, LONGEST_NAME) for one in names[:3]) + (", …" if len(names) > 3 else "")
    typer.echo(f"{shown(str(out))}: {name}, {counted(len(names), 'class')} ({first})")


def _read(source: Path, layout: str, key: str | None) -> Checkpoint:
    """The foreign file; what is odd about it is told."""
    from vedette.weights.files import refuse_checkpoint
    from vedette.weights.layouts.known import NAMES, read_foreign

    if layout not in NAMES:
        raise InputError(f"--from {layout}: there is no such layout; the layouts: {', '.join(NAMES)}")
    refuse_checkpoint(source)
    try:
        checkpoint = read_foreign(source, layout, key)
    except InputError:
        if _said_by(source):
            raise InputError(f"{source}: is a weight file of Vedette's already; use it as it is") from None
        raise
    if layout == "auto":
        typer.echo(f"note: {source} is read as --from {checkpoint.layout}", err=True)
    for note in checkpoint.notes:
        typer.echo(f"note: {note}", err=True)
    return checkpoint


def _said_by(file: Path) -> set[str]:
    """What a weight file of ours says of itself; nothing of another file."""
    from vedette.weights.files import read_weights

    try:
        return {"name", *read_weights(file).extra}
    except InputError:
        return set()


def _classes(checkpoint: Checkpoint, given: Path | None) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """Names and the data's own ids: of a text file, else as the checkpoint has them, else by their count."""
    from vedette.weights.layouts.class_names import names_by_count, read_names

    if given is not None:
        return read_names(given, checkpoint.num_classes), None
    names, category_ids = names_by_count(checkpoint.num_classes)
    if checkpoint.classes is not None and checkpoint.classes != names:
        return checkpoint.classes, None
    return names, category_ids


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


def _save(out: Path, checkpoint: Checkpoint, name: str, **facts: Any) -> None:
    """Writes the detector of that name with the checkpoint's tensors and input, and with these facts."""
    from vedette.weights.files import save_weights
    from vedette.zoo import build

    detector: Any = build(name, checkpoint.num_classes, **checkpoint.config)
    detector.load_state_dict(checkpoint.tensors)
    save_weights(out, detector, name=name, input_spec=replace(detector.input_spec, **checkpoint.input), **facts)
