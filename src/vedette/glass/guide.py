"""Who is followed on a tour of a picture, and what the steps left of the others."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vedette.glass.life import Life, life_of, strongest
from vedette.glass.record import Reason, Step
from vedette.glass.trace import Trace


@dataclass(frozen=True, eq=False)
class Guide:
    """A trace, and the candidate of it that the tour is about."""

    trace: Trace

    @cached_property
    def hero(self) -> Life | None:
        """The strongest detection; where there is none, the pair of highest score."""
        return life_of(self.trace, 0) if self.found else strongest(self.trace)

    @cached_property
    def found(self) -> int:
        """How many detections there are."""
        return len(self.trace.detections)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """Of the hero's look and of the merging, by their names."""
        look = 0 if self.hero is None else self.trace.passes.index(self.hero.look)
        return {step.name: step for step in self.trace.steps if step.look == look or step.name.startswith("merge")}

    @property
    def name(self) -> str:
        """The hero's class."""
        return "object" if self.hero is None else self.trace.classes[self.hero.label]

    @property
    def thing(self) -> str:
        """What it is one of: an anchor or a region."""
        return "anchor" if self.hero is not None and self.hero.place is not None else "region"

    @cached_property
    def runner_up(self) -> Life | None:
        """The best candidate that was picked and not kept."""
        if self.hero is None:
            return None
        r = self.hero.stage.rivals
        gone = (r.reasons != Reason.KEPT.code).nonzero().flatten()
        if not len(gone):
            return None
        place = int(gone[r.scores[gone].argmax()])
        return Life(self.hero.look, int(r.rows[place]), int(r.columns[place]))

    @cached_property
    def near_miss(self) -> Life | None:
        """The pair of highest score among those under the floor."""
        if self.hero is None:
            return None
        stage = self.hero.stage
        under = stage.scores.masked_fill(stage.fates != Reason.UNDER_FLOOR.code, -1.0)
        if not bool((under >= 0).any()):
            return None
        row, label = divmod(int(under.argmax()), under.shape[1])
        return Life(self.hero.look, row, label)

    def shown(self, life: Life | None) -> dict[str, Any] | None:
        """The selection of a candidate on the page."""
        if life is None:
            return None
        if life is self.hero and self.found:
            return {"detection": 0}
        box = [round(side, 1) for side in life.end.tolist()]
        return {"box": box, "label": life.label, "look": self.trace.passes.index(life.look), "row": life.row}
