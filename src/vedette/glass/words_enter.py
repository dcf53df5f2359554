"""The first step in words: which boxes a detector begins with."""

from typing import Any, cast

from vedette.glass.levels import Level, levels_of
from vedette.glass.papers import paper_of
from vedette.glass.phrases import Told, capital, in_words, listed, many, plain
from vedette.glass.record import Step
from vedette.glass.trace import Trace

RATIO = r"w = \frac{s}{\sqrt{r}} , h = s \sqrt{r}"  # of a side s and a ratio r, height over width
MULTIBOX = r"w = s_k \sqrt{a} , h = \frac{s_k}{\sqrt{a}} , s_k^′ = \sqrt{s_k s_{k+1}}"  # SSD, sec. 2.2


def anchors(trace: Trace) -> Told:
    """Of what sizes and shapes anchors are, and how many."""
    one, model = trace.passes[0], cast(Any, trace.detector.model)
    assert one.anchors is not None
    levels = levels_of(one.anchors, one.padded)
    whose = f"Each of the network's {many(len(levels), 'map')}" if len(levels) > 1 else "The network's map"
    grid = f"{whose} is a grid over its input, with a cell every {{strides}} pixels."
    shapes, equation = _shapes(model.config, levels)
    boxes = "{on|no boxes|one box|# boxes}"
    end = f"That makes {boxes} to look at; what none of them comes near cannot be found."
    return Told("Anchors", f"{grid} {shapes} {end}", equation)


def _shapes(config: Any, levels: list[Level]) -> tuple[str, str]:
    """What the anchors of a cell are like, and the formula."""
    cells = listed(dict.fromkeys(in_words(level.per_cell) for level in levels), "or")
    begin = f"Around the centre of every cell stand {cells} anchors, boxes that are guesses of what an object is like:"
    if hasattr(config, "anchor_scale"):  # RefineDet
        ratios = listed(plain(ratio) for ratio in config.aspect_ratios)
        return f"{begin} sides of {plain(config.anchor_scale)} cells, {ratios} times as high as wide.", RATIO
    if hasattr(config, "anchor_sizes") and isinstance(config.anchor_sizes[0], tuple):  # the RPN's and RetinaNet's
        sizes = listed(plain(size, 0) for size in dict.fromkeys(s for own in config.anchor_sizes for s in own))
        ratios = listed(plain(ratio) for ratio in config.aspect_ratios)
        return f"{begin} as large as squares of {sizes} pixels, {ratios} times as high as wide.", RATIO
    own = getattr(config, "anchor_sizes", None) or [size * config.image_size for size in config.sizes]  # SSD, M2Det
    sizes = listed(plain(size, 0) for size in own[:-1])
    given = config.aspect_ratios
    sides = dict.fromkeys(r for ratios in given for r in ratios) if isinstance(given[0], tuple) else given
    ratios = listed((plain(side) for side in sides), "or")
    squares = f"a square of the map's own size ({sizes} pixels), one on the way to the next map's, and boxes"
    return f"{begin} {squares} {ratios} times as long as broad, lying and standing.", MULTIBOX


def regions(trace: Trace, step: Step) -> Told:
    """Where proposals come from, and what is read from the network for each."""
    if len(trace.passes[0].stages) > 1:
        begin = f"Here are the {many(len(step), 'box', 'boxes')} that the RPN proposed."
    else:
        begin = (
            "Selective search, which is no network, grows regions of like colour and texture together: "
            f"{many(len(step), 'region')} of this picture may be objects."
        )
    how, equation = _READING.get(paper_of(trace.detector.model), _pooled)(trace.detector.model)
    return Told("Regions, and what is seen there", f"{begin} {capital(how)}", equation)


def _warped(model: Any) -> tuple[str, str]:
    c = model.config
    how = (
        f"each is cut out with {many(c.context, 'pixel')} around it, warped to {c.warp_size} × {c.warp_size} pixels "
        "whatever its shape, and goes through the whole network by itself."
    )
    return how, ""


def _pyramid(model: Any) -> tuple[str, str]:
    c = model.config
    bins = listed(f"{level} × {level}" for level in c.levels)
    how = (
        f"the convolutions see the picture once; a region is a window of their map, of which the largest values in "
        f"{bins} parts are kept: {c.bins} numbers a channel, whatever the region's size."
    )
    return how, r"x_{first} = ⌊\frac{x_1}{S}⌋ + 1 , x_{last} = ⌈\frac{x_2}{S}⌉ − 1"


def _pooled(model: Any) -> tuple[str, str]:
    side = model.pool.size
    kind = "the largest value" if model.config.pooling == "max" else "the mean of a few points"
    how = f"each is projected onto the map and divided into {side} × {side} parts, of which {kind} is kept."
    return how, ""


def _leveled(model: Any) -> tuple[str, str]:
    how, _ = _pooled(model)
    how = f"large ones are read from coarse maps, small ones from fine maps: {how}"
    return how, r"k = ⌊4 + log_2 (\frac{\sqrt{w h}}{224})⌋"


_READING = {"RCNN": _warped, "SPPNet": _pyramid, "FPN": _leveled}
