"""What the ground truth of a picture teaches, as its page and its JSON have it.

    {"objects": [{"box", "label", "ignored": bool}, …], "terms": [{"name", "loss", "share"}, …],
     "parts": [{"name", "gradient"}, …], "heads": [HEAD, …]}

A HEAD is what is learned in one place, in the order of the network: {"name", "thing": "anchor" | "region", "learn",
"background", "ignored"}. Boxes are in the picture's pixels, columns as in `vedette.glass.portable`.

learn       {"boxes": (P, 4), "objects": (P,) which object each learns, "best": (P,) uint8: 1 where it overlaps it
            less than it takes by threshold, and is the one that the object takes all the same}
background  {"count", "boxes": (N, 4), "losses": (N,)}: what counts as background, those of the highest loss; 0
            where the head has no loss of each
ignored     {"count", "boxes": (N, 4)}: what learns nothing: too near to an object for background, or of one ignored
"""

from typing import Any

import torch
from torch import Tensor

from vedette.glass.columns import Column, column
from vedette.glass.trace import Trace
from vedette.glass.training import How, Matches, spread
from vedette.parts.matching import IGNORED

MOST = 60  # boxes of the background, and ignored ones: as many as a step of the page draws
NAMES = {"arm": "ARM", "odm": "ODM", "rpn": "RPN", "regions": "the head", "head": "the head"}


def taught(trace: Trace) -> dict[str, Any] | None:
    """As this module's docstring has it; None without a target."""
    if trace.target is None:
        return None
    training = trace.training
    return {
        "objects": _objects(trace),
        "terms": [
            {"name": _named(name), "loss": loss, "share": training.shares[name]}
            for name, loss in training.losses.items()
        ],
        "parts": [{"name": name, "gradient": norm} for name, norm in training.gradients.items()],
        "heads": [_head(head) for head in training.heads],
    }


def _named(term: str) -> str:
    """ "arm_class" as one writes it."""
    head, _, rest = term.partition("_")
    return f"{NAMES[head]} {rest}" if head in ("arm", "odm", "rpn") else term.replace("_", " ")


def _objects(trace: Trace) -> list[dict[str, Any]]:
    target = trace.target
    assert target is not None
    ignore = torch.zeros(len(target.labels), dtype=torch.bool) if target.ignore is None else target.ignore
    rows = zip(target.boxes.tolist(), target.labels.tolist(), ignore.tolist(), strict=True)
    return [{"box": box, "label": label, "ignored": ignored} for box, label, ignored in rows]


def _head(head: Matches) -> dict[str, Any]:
    learn, hardest = (head.matched >= 0).nonzero().flatten(), head.hardest(MOST)
    ignored = (head.matched == IGNORED).nonzero().flatten()
    return {
        "name": NAMES[head.name],
        "thing": "region" if head.name == "regions" else "anchor",
        "learn": {
            "boxes": column(head.boxes[learn].float()),
            "objects": column(head.matched[learn]),
            "best": column((head.how[learn] == How.AS_BEST).to(torch.uint8)),
        },
        "background": _some(head, int(head.background.sum()), hardest) | {"losses": column(head.loss[hardest])},
        "ignored": _some(head, len(ignored), spread(ignored, MOST)),
    }


def _some(head: Matches, count: int, rows: Tensor) -> dict[str, int | Column]:
    """How many there are, and the boxes of these rows."""
    return {"count": count, "boxes": column(head.boxes[rows].float())}
