"""What a diagram is drawn from: the model, one look at the picture, and how many went through each step."""

from dataclasses import dataclass
from functools import cached_property
from math import log1p
from typing import Any

from vedette.glass.levels import Level, levels_of
from vedette.glass.record import Step
from vedette.glass.trace import Pass, Trace
from vedette.glass.words import words
from vedette.pages.sketch import LINE, WIDTH, step, text

BAR, ROW = 8, 37  # heights in units
MARGIN = 16


@dataclass(frozen=True, eq=False)
class Scene:
    """A trace on its way into a diagram."""

    model: Any
    trace: Trace

    @property
    def look(self) -> Pass:
        """The first look at the picture."""
        return self.trace.passes[0]

    @cached_property
    def levels(self) -> list[Level]:
        """Of its anchors; none where regions are given."""
        return [] if self.look.anchors is None else levels_of(self.look.anchors, self.look.padded)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """By their names: the first look's, and how several looks are merged."""
        found = dict[str, Step]()
        for one in self.trace.steps:
            found.setdefault(one.name, one)
        return found

    @cached_property
    def titles(self) -> dict[str, str]:
        """Of the steps."""
        return {name: told["title"] for name, told in words(self.trace).items()}

    def opens(self, name: str, content: str) -> str:
        """Content that opens a step; as it is where the detector has no such step."""
        if name not in self.steps:
            return content
        one = self.steps[name]
        return step(name, self.titles[name], len(one), int(one.kept.sum()), content)


def way(scene: Scene, top: float) -> tuple[str, float]:
    """All steps one below the other with what came in and what went on, from `top` down; and where it ends."""
    largest = max(len(one) for one in scene.steps.values())
    where = "this picture" if scene.trace.merge is None else "the first look at this picture"
    parts = [text(MARGIN, top, f"What became of them in {where}", "strong", "start", 14)]
    parts.append(
        text(
            MARGIN, top + LINE, "Filled: what went on. Dashed: what was left behind. Logarithmic.", "soft", "start", 12
        )
    )
    top += LINE + 24
    for name in scene.steps:
        if name == "merge suppress":
            looks, top = _looks(scene, top)
            parts.append(looks)
        parts.append(scene.opens(name, _bar(scene, name, top, largest)))
        top += ROW
    return "".join(parts), top


def _looks(scene: Scene, top: float) -> tuple[str, float]:
    """What each of several looks found, before they are merged; the steps above are the first one's."""
    parts = [text(MARGIN, top, "The same of each look", "strong", "start")]
    for number, one in enumerate(scene.trace.passes, 1):
        top += LINE
        parts.append(text(MARGIN, top, f"look {number}: {one}", "soft", "start", 12))
        parts.append(text(WIDTH - MARGIN, top, f"{len(one.detections):,} found", "count", "end"))
    return "".join(parts), top + ROW - 8


def _bar(scene: Scene, name: str, top: float, largest: int) -> str:
    one, full = scene.steps[name], WIDTH - 2 * MARGIN
    came, went = len(one), int(one.kept.sum())
    wide = [full * _log_share(number, largest) for number in (came, went)]
    y = top + 6
    return (
        f'<rect class="hit" x="{MARGIN - 6}" y="{top - 13:.1f}" width="{full + 12}" height="{ROW - 3}"/>'
        f"{text(MARGIN, top, scene.titles[name], anchor='start')}"
        f'<g data-unit="{unit_of(one, 1)}">'
        f"{text(WIDTH - MARGIN, top, f'{came:,} → {went:,} {unit_of(one, went)}', 'count', 'end')}</g>"
        f'<rect class="track" x="{MARGIN + wide[1]:.1f}" y="{y:.1f}" width="{wide[0] - wide[1]:.1f}" height="{BAR}"/>'
        f'<rect class="bar" data-full="{full}" x="{MARGIN}" y="{y:.1f}" width="{wide[1]:.1f}" height="{BAR}"/>'
    )


def unit_of(one: Step, count: int) -> str:
    """What a step counts."""
    on_anchors = one.name in ("anchors", "refine") or one.name.startswith("rpn ")
    thing = "anchor" if on_anchors else "region" if one.name == "regions" else "pair"
    return thing if count == 1 else f"{thing}s"


def _log_share(number: int, largest: int) -> float:
    return log1p(number) / log1p(max(largest, 1))
