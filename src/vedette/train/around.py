"""What is around a run and no part of it: where it is written, on which device it is, who hears of it."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vedette.errors import InputError
from vedette.infer.detector import choose_device
from vedette.train.processes import is_first_process
from vedette.train.progress import Counter, Watch


class _Unseen:
    def reach(self, done: int, total: int) -> None:
        pass


def unseen(total: int, unit: str) -> AbstractContextManager[Counter]:
    """A counter that shows nothing."""
    return nullcontext(_Unseen())


@dataclass(frozen=True)
class SaveEvery:
    """How often a run is saved within an epoch: after so many steps, or so many seconds; 0: not by that."""

    steps: int = 0
    seconds: float = 0.0

    def is_due(self, steps: int, seconds: float) -> bool:
        """Whether it is, so long after the last time."""
        return 0 < self.steps <= steps or 0 < self.seconds <= seconds


TEN_MINUTES = SaveEvery(seconds=600.0)


def read_save_every(text: str) -> SaveEvery:
    """As it is written: `10min`, `500` steps, or `0`; raises InputError for anything else."""
    found = re.fullmatch(r"(?:(\d+)|(\d+(?:\.\d+)?) ?min)", text.strip())
    if found is None:
        raise InputError(f"--save-every {text!r}: give minutes (10min) or a number of steps (500); 0: at epochs' ends")
    steps, minutes = found.groups()
    return SaveEvery(steps=int(steps)) if steps is not None else SaveEvery(seconds=60 * float(minutes))


@dataclass(frozen=True, kw_only=True)
class Around:
    """The surroundings of one run; the device is a GPU, where there is one, unless it is named."""

    folder: Path  # of the run: checkpoints, weights, log
    device: str = field(default_factory=lambda: str(choose_device()))
    resume: bool = False  # go on with the run in the folder
    anyway: bool = False  # though its data or its seed are others now
    few: int = 0  # images that are measured at most, for a trial; 0: all
    save_every: SaveEvery = TEN_MINUTES  # besides the ends of epochs
    trackers: tuple[str, ...] = ()  # where curves go besides the folder, by accelerate's names
    compile: bool = False  # the training step; pays where one shape comes again and again, after minutes of compiling
    cache: Literal["memory", "disk", "none"] = "none"  # where decoded pictures are kept from one epoch to the next
    say: Callable[[str], None] = print
    watch: Watch = unseen

    def count(self, total: int, unit: str) -> AbstractContextManager[Counter]:
        """A counter of a stage, shown once however many processes train."""
        return self.watch(total, unit) if is_first_process() else unseen(total, unit)

    def tell(self, line: str) -> None:
        """Says a line, once however many processes train."""
        if is_first_process():
            self.say(line)
