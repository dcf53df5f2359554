"""The glass box of one picture as a page: one file that opens from a disk, of one detector or of two side by side."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vedette.data.atomic import write_text
from vedette.errors import InputError
from vedette.glass.columns import Column
from vedette.glass.diagram import diagram
from vedette.glass.packed import pack
from vedette.glass.phrases import as_set
from vedette.glass.portable import portable
from vedette.glass.record import Reason
from vedette.glass.stage import Stage
from vedette.glass.taught import taught
from vedette.glass.tour import tour
from vedette.glass.trace import Trace
from vedette.glass.words import words
from vedette.pages import render
from vedette.pages.boxes import PALETTE
from vedette.pages.captions import text_colour
from vedette.pages.embed import jpeg_uri
from vedette.pages.script import as_one_script

SCRIPTS = Path(render.__file__).parent / "glass"
LARGEST_SIDE, QUALITY = 1600, 88  # of the picture as it is shown
DASHES = ("", "10 4", "3 3", "10 3 2 3")  # a class's line has one of them, and a colour


@dataclass(frozen=True)
class View:
    """A detector's trace, and what the detector is called on the page."""

    name: str
    trace: Trace


def save_page(path: Path, views: Sequence[View], file: str = "the picture") -> None:
    """Writes the page of one picture, seen by one detector or more; file: what the picture is called.

    Raises InputError where the pictures are not the same, or the file cannot be written.
    """
    write_text(path, page(views, file))


def page(views: Sequence[View], file: str) -> str:
    """The page as text."""
    pictures = {view.trace.picture.size for view in views}
    if len(pictures) > 1:
        raise InputError(f"traces of pictures of different sizes, {sorted(pictures)}: a page shows one picture")
    told = [_told(view) for view in views]
    shown, note = _shown(views[0].trace.picture)
    left_out = dict.fromkeys([note, *(sentence for one in told for sentence in one["trace"]["left_out"])])
    return render.render(
        "glass.html",
        title=f"What {' and '.join(view.name for view in views)} {'finds' if len(views) == 1 else 'find'} in {file}",
        file=file,
        facts=_facts(views[0].trace),
        picture=shown,
        width=views[0].trace.picture.width,
        height=views[0].trace.picture.height,
        views=[_panel(view, one) for view, one in zip(views, told, strict=True)],
        left_out=[sentence for sentence in left_out if sentence],
        style=(SCRIPTS / "page.css").read_text(encoding="utf-8"),
        data=pack({"views": told, "looks": looks()}),
        script=as_one_script(SCRIPTS / "page.js"),
    )


def looks() -> list[dict[str, str]]:
    """How the boxes of the first classes are drawn, and their names written; the others begin anew."""
    return [_look(label) for label in range(len(PALETTE))]


def page_trace(trace: Trace) -> dict[str, Any]:
    """The portable trace with what only the page needs.

    "beyond" in the last stages: (A × C bits) the pairs beyond the best that are picked, or null for none.
    """
    told = portable(trace)
    for one, look in zip(trace.passes, told["passes"], strict=True):
        look["stages"][-1]["beyond"] = _beyond(one.stages[-1])
    return told


def _told(view: View) -> dict[str, Any]:
    each = [words(view.trace, look) for look in range(len(view.trace.passes))]
    return {"trace": page_trace(view.trace), "words": each, "tour": tour(view.trace), "taught": taught(view.trace)}


def _panel(view: View, told: dict[str, Any]) -> dict[str, Any]:
    """What the template writes of a detector itself."""
    return {
        "name": view.name,
        "facts": _facts(view.trace),
        "lowest": told["trace"]["lowest"],
        "fixed": _fixed(view.trace),
        "annotated": told["taught"] is not None,
        "diagram": diagram(view.trace.detector.model, view.trace),
    }


def _fixed(trace: Trace) -> str:
    """What no knob can turn, and why; "" where the network looks at anchors alone."""
    first, last = trace.passes[0].stages[0], trace.passes[0].stages[-1]
    if last.enter != "regions":
        return ""
    looked = "The network has looked at these alone: for others it has to run again,"
    config: Any = trace.detector.model.config
    if first is last:
        count = f"{config.proposals:,}"
        return f"Not here: which regions are proposed, {count} at most. {looked} --set proposals=500 for instance."
    iou, count = as_set(config.proposal_iou), f"{config.proposals[1]:,}"
    return (
        f"Not here: what the RPN proposes, with its NMS at an IoU of {iou} and {count} proposals at most. {looked} "
        "--set proposal_iou=0.8 or --set proposals=[2000,500] for instance."
    )


def _facts(trace: Trace) -> str:
    first = trace.passes[0]
    (height, width), rows = first.padded, len(first.stages[0].references)
    looks = f" · {len(trace.passes)} looks" if len(trace.passes) > 1 else ""
    found = len(trace.detections)
    objects = f"{found:,} object{'' if found == 1 else 's'} with a score of {as_set(trace.score)} or more"
    return f"{width} × {height} input · {rows:,} {first.stages[0].enter}{looks} · {objects}"


def _beyond(stage: Stage) -> Column | None:
    beyond = (stage.fates == Reason.BEYOND_COUNT.code).numpy().ravel()
    if not beyond.any():
        return None
    bits = np.packbits(beyond)
    return {"type": "uint8", "shape": [len(bits)], "data": b64encode(bits.tobytes()).decode("ascii")}


def _shown(picture: Image.Image) -> tuple[str, str]:
    """The picture as a data URI, smaller where it is large, and a sentence on that, or none."""
    largest = max(picture.size)
    note = f"pixels: of {picture.width} × {picture.height}, it is shown with {LARGEST_SIDE} on the longer side"
    return jpeg_uri(picture, LARGEST_SIDE, QUALITY), note if largest > LARGEST_SIDE else ""


def _look(label: int) -> dict[str, str]:
    """How a class's box is drawn and its name written."""
    colour = PALETTE[label]
    return {"colour": _hex(colour), "ink": _hex(text_colour(colour)), "dash": DASHES[label % len(DASHES)]}


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
