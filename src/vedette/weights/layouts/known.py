"""The layouts that can be read: which tensors tell one from the others, and who turns them into ours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vedette.errors import InputError
from vedette.weights.layouts import (
    detectron2,
    m2det,
    mmdet,
    mmdet_ssd,
    refinedet_caffe,
    refinedet_pytorch,
    sgrvinod,
    ssd_ports,
    torchvision,
)
from vedette.weights.layouts.checkpoint import Checkpoint
from vedette.weights.layouts.nesting import Weights, is_tensor, weights_in
from vedette.weights.layouts.pickled import Picked, no_weights, pick, read_content

AUTO, CAFFE = "auto", "refinedet.caffe"
SHOWN = 3  # names in a line
OLD_SSD_OF_MMDET = r"bbox_head\.cls_convs\.0\.weight"  # in which the first version and the second differ


class Layout(NamedTuple):
    """How a program files its weights."""

    has: str  # regular expression: the whole name of a tensor that this layout has, and no other
    convert: Callable[..., Checkpoint]  # of the tensors and, with `beside`, of all else that the file holds
    beside: bool = False


LAYOUTS = {
    "refinedet.pytorch": Layout(r"arm_loc\.0\.weight", refinedet_pytorch.convert),
    "torchvision": Layout(
        r"roi_heads\.box_head\.(fc6|5)\.weight|head\.classification_head\.(cls_logits|module_list\.0)\.weight",
        torchvision.convert,
    ),
    "ssd.pytorch": Layout(r"L2Norm\.weight", ssd_ports.convert_ssd_pytorch),
    "lufficc": Layout(r"box_head\.predictor\.cls_headers\.0\..*weight", ssd_ports.convert_lufficc),
    "sgrvinod": Layout(r"pred_convs\.cl_conv4_3\.weight", sgrvinod.convert),
    "m2det": Layout(r"unet1\.toplayer\.0\.conv\.weight", m2det.convert),
    "detectron2": Layout(r"roi_heads\.box_head\.fc1\.weight|head\.cls_score\.weight", detectron2.convert),
    "mmdet": Layout(
        r"roi_head\.bbox_head\.fc_cls\.weight|bbox_head\.(retina_cls|cls_convs\.0(\.0)?)\.weight",
        mmdet.convert,
        beside=True,
    ),
    "mmdet1": Layout(OLD_SSD_OF_MMDET, mmdet_ssd.convert_first, beside=True),
    "mmdet2": Layout(OLD_SSD_OF_MMDET, mmdet_ssd.convert_second, beside=True),
}
NAMES = (AUTO, CAFFE, *LAYOUTS)


def read_foreign(path: Path, layout: str = AUTO, key: str | None = None) -> Checkpoint:
    """A foreign checkpoint in our terms.

    layout: one of `NAMES`; "auto" is the one that the file's tensors tell. key: which of several weights in the file.

    Raises InputError where the file cannot be read, is of another layout, or holds several weights and no key says
    which.
    """
    if layout == CAFFE or (layout == AUTO and path.suffix == ".caffemodel"):
        return replace(refinedet_caffe.read(path), layout=CAFFE)
    content = read_content(path)
    fitting = [name for name, one in LAYOUTS.items() if _fits(content, one)]
    if layout == AUTO and fitting:
        layout = fitting[0]
    if layout not in fitting:
        raise InputError(f"{path}: {_what_is_wrong(content, layout, fitting)}")
    picked = pick(path, content, LAYOUTS[layout].has, key)
    given = (picked.tensors, content) if LAYOUTS[layout].beside else (picked.tensors,)
    try:
        converted = LAYOUTS[layout].convert(*given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return replace(converted, layout=layout, notes=_notes(picked))


def _fits(content: Any, layout: Layout) -> bool:
    return bool(_weights(content, layout.has))


def _weights(content: Any, has: str | None = None) -> list[Weights]:
    """The weights in a file's content, none where it is damaged, which `pick` says.

    Everything is caught: a pickle may give an object any state, and a module made of one raises whatever its attributes
    that are no dicts, or are not there, lead to.
    """
    try:
        return weights_in(content, has)
    except Exception:
        return []


def _what_is_wrong(content: Any, layout: str, fitting: list[str]) -> str:
    names = [name for one in _weights(content) for name, value in one.tensors.items() if is_tensor(value)]
    if not names:
        return no_weights(content)
    shown = f"holds {', '.join(name[:80] for name in names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
    if fitting:
        return f"{shown}, which is not --from {layout}; it looks like --from {fitting[0]}"
    of = "none of the layouts that can be read" if layout == AUTO else f"not --from {layout}"
    return f"{shown}, which is {of}; the layouts: {', '.join(NAMES[1:])}"


def _notes(picked: Picked) -> tuple[str, ...]:
    if not picked.others:
        return ()
    others = " or ".join(f"--key {place}" for place in picked.others)
    return (f"the weights are those of {picked.place}; for others in the file give {others}",)
