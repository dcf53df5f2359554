"""The live page: the glass box with the detector inside, for photographs that a visitor gives, without any network.

What does not depend on the picture is written here, from the trace of a blank one; the rest is made in the page.
"""

import gzip
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from vedette.data.atomic import write_text
from vedette.errors import InputError
from vedette.export.check import PHOTOGRAPHS
from vedette.export.run import REGION_DETECTORS, describe
from vedette.glass.diagram import diagram
from vedette.glass.live_graph import live_network
from vedette.glass.packed import pack
from vedette.glass.page import SCRIPTS, looks
from vedette.glass.portable import LOWEST, portable
from vedette.glass.tour_words import MOVE, NO_MOVE, TOUR
from vedette.glass.trace import Trace, explain
from vedette.glass.web import PACKAGE, VERSION, Web
from vedette.glass.words import templates
from vedette.infer.detector import Detector
from vedette.pages import render
from vedette.pages.embed import jpeg_uri
from vedette.pages.script import as_one_script

MOST = 25_000_000  # bytes of a page that is passed on by mail, and opens at once
SAMPLE = 512  # pixels on the longer side of the photographs that lie in the page
OF_PICTURE = ("references", "moved", "objectness", "best", "maps", "candidates")


def save_live_page(
    path: Path, detector: Detector, name: str, web: Web, score: float = 0.5, tell: Callable[[str], None] = print
) -> int:
    """Writes the page, and says how many bytes it has; tell: hears what is being done.

    Raises InputError for a detector that looks at regions or picks in its own way, and where it cannot be written.
    """
    if isinstance(detector.model, REGION_DETECTORS):
        raise InputError(f"{name}: looks at regions; --live takes SSD, RetinaNet, RefineDet and M2Det")
    describe(detector, raw=True)  # before the work
    _check_input(detector, name)
    tell("tracing the network, and running it beside the model")
    network = live_network(detector)
    tell("writing the page")
    text = live_page(explain(detector, _blank(detector), score=score), name, network, web)
    write_text(path, text)
    return len(text.encode("utf-8"))


def live_page(trace: Trace, name: str, network: bytes, web: Web) -> str:
    """The page as text; trace: of a blank picture."""
    spec, padded = trace.passes[0].spec, trace.passes[0].padded
    facts = f"{padded[1]} × {padded[0]} input · {len(trace.passes[0].stages[0].references):,} anchors"
    lowest = min(LOWEST, trace.score)
    return render.render(
        "live.html",
        title=f"What {name} finds in your photograph",
        file="your photograph",
        facts=facts if spec.resize == "warp" else "",
        picture="",
        width=1,
        height=1,
        views=[_view(trace, name, facts, lowest)],
        left_out=_left_out(trace, lowest),
        samples=[(file.name, jpeg_uri(_open(file), SAMPLE, 90)) for file in sorted(PHOTOGRAPHS.glob("*.jpg"))],
        style=(SCRIPTS / "page.css").read_text(encoding="utf-8") + (SCRIPTS / "live.css").read_text(encoding="utf-8"),
        data=pack(told(trace)),
        script=as_one_script(SCRIPTS / "live.js"),
        runtime=_packed(web.runtime),
        wasm=_packed(web.wasm),
        network=_packed(network),
        package=f"{PACKAGE} {VERSION}",
        licence=web.licence,
    )


def _view(trace: Trace, name: str, facts: str, lowest: float) -> dict[str, Any]:
    """Of the pane: every knob turns, and nobody annotated a visitor's photograph."""
    drawn = diagram(_model(trace), trace)
    return {"name": name, "facts": facts, "lowest": lowest, "fixed": "", "annotated": False, "diagram": drawn}


def told(trace: Trace) -> dict[str, Any]:
    """What the page's scripts are given."""
    return {
        "still": still(trace),
        "words": templates(trace),
        "tour": {"stops": TOUR, "move": MOVE, "no_move": NO_MOVE},
        "spec": asdict(trace.passes[0].spec),
        "looks": looks(),
    }


def still(trace: Trace) -> dict[str, Any]:
    """The portable trace without what a picture brings: `pages/glass/tracing.js` adds that.

    Where pictures keep their sides' ratio, a level's "step" is the pixels of the input that a cell stands for.
    """
    told = portable(trace)
    (look,) = told["passes"]
    stage = {part: value for part, value in look["stages"][0].items() if part not in OF_PICTURE}
    steps = [None] * len(look["levels"]) if trace.passes[0].spec.resize == "warp" else _model(trace).strides
    levels = [level | {"step": step} for level, step in zip(look["levels"], steps, strict=True)]
    kept = {"input": look["input"], "levels": levels, "stages": [stage], "steps": look["steps"]}
    return told | {"passes": [kept], "detections": None, "left_out": []}


def _left_out(trace: Trace, lowest: float) -> list[str]:
    pairs = f"pairs with a score below {lowest:g}: they are in heat maps and counts alone"
    sizes = "the sizes of this picture's maps: the figure has those of a square one"
    return [pairs] if trace.passes[0].spec.resize == "warp" else [pairs, sizes]


def _check_input(detector: Detector, name: str) -> None:
    """Raises InputError for what the page's scripts do not do."""
    spec = detector.input_spec
    if spec.interpolation == "bicubic" and not spec.antialias:
        raise InputError(f"{name}: its pictures are resized bicubic without antialias, which the live page does not do")


def _blank(detector: Detector) -> Image.Image:
    size = detector.input_spec.size
    return Image.new("RGB", (size, size), "grey")


def _model(trace: Trace) -> Any:
    return trace.detector.model


def _open(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _packed(content: bytes) -> str:
    return b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")
