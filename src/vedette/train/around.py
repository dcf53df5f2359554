"""What is around a run and no part of it: where it is written, on which device it is, who hears of it."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from vedette.infer.detector import choose_device
from vedette.train.progress import Counter, Watch


class _Unseen:
    def reach(self, done: int, total: int) -> None:
        pass


def unseen(total: int, unit: str) -> AbstractContextManager[Counter]:
    """A counter that shows nothing."""
    return nullcontext(_Unseen())


@dataclass(frozen=True, kw_only=True)
class Around:
    """The surroundings of one run; the device is a GPU, where there is one, unless it is named."""

    folder: Path  # of the run: checkpoints, weights, log
    device: str = field(default_factory=lambda: str(choose_device()))
    resume: bool = False  # go on with the run in the folder
    compile: bool = False  # the training step; pays where one shape comes again and again, after minutes of compiling
    say: Callable[[str], None] = print
    watch: Watch = unseen

    def tell(self, line: str) -> None:
        """Says a line, once however many processes train."""
        if is_first_process():
            self.say(line)


def is_first_process() -> bool:
    """Whether this process speaks and writes: the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"
