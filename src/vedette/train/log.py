"""What a run remembers of itself: TensorBoard curves and one JSON line an epoch."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
Also = Callable[[dict[str, float], int], object]  # (values, step)
OURS = ".vedette"  # how our files of curves end: what others put beside them stays


class RunLog:
    """Writes to `tensorboard/` and `log.jsonl` in the run's folder.

    marks: what of these files a checkpoint knows, by `marks()`; a run that goes on from there writes the rest again, so
    all else is removed: no row is doubled, none is lost. None: goes on behind all that is there.
    """

    def __init__(self, folder: Path, marks: Mapping[str, int] | None, also: Also | None = None) -> None:
        """also: where the curves go besides."""
        self.folder, self.path, self.also = folder, folder / LOG, also
        folder.mkdir(parents=True, exist_ok=True)
        if marks is not None:
            for file in self._files():
                _cut(file, marks.get(str(file.relative_to(folder)), 0))
        self.writer = SummaryWriter(str(folder / "tensorboard"), filename_suffix=OURS)

    def step(self, values: Mapping[str, float], step: int) -> None:
        """Curves over optimizer steps."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        if self.also is not None:
            self.also(dict(values), step)

    def epoch(self, record: Mapping[str, Any], step: int) -> None:
        """One line of JSON, and its numbers as curves."""
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.step({f"epoch/{k}": v for k, v in record.items() if isinstance(v, int | float)}, step)

    def marks(self) -> dict[str, int]:
        """The bytes of each file, all that was logged being in them."""
        self.writer.flush()
        return {str(file.relative_to(self.folder)): file.stat().st_size for file in self._files()}

    def close(self) -> None:
        """Flushes the curves."""
        self.writer.close()

    def _files(self) -> Iterator[Path]:
        yield from (file for file in (self.path, *sorted(self.folder.glob(f"tensorboard/*{OURS}"))) if file.is_file())


def logged(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log so far."""
    file = folder / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _cut(file: Path, size: int) -> None:
    """The file without what stands behind so many bytes, or no file."""
    if size == 0:
        file.unlink()
    elif file.stat().st_size > size:
        with file.open("rb+") as content:
            content.truncate(size)
