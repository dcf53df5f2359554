"""What a run remembers of itself: TensorBoard curves and one JSON line an epoch."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
OURS = ".vedette"  # how our files of curves end: what others put beside them stays


class RunLog:
    """Writes to `tensorboard/` and `log.jsonl` in the run's folder.

    marks: what of these files a checkpoint knows, by `marks()`; a run that goes on from there writes the rest again, so
    all else is removed: no row is doubled, none is lost. None: goes on behind all that is there.
    """

    def __init__(self, folder: Path, marks: Mapping[str, int] | None) -> None:
        self.folder, self.path = folder, folder / LOG
        folder.mkdir(parents=True, exist_ok=True)
        if marks is not None:
            for file in self._files():
                _cut(file, marks.get(str(file.relative_to(folder)), 0))
        self.writer = SummaryWriter(str(folder / "tensorboard"), filename_suffix=OURS)

    def step(self, values: Mapping[str, float], step: int) -> None:
        """Curves over optimizer steps."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def epoch(self, record: Mapping[str, Any], step: int) -> None:
        """One line of JSON, and its numbers as curves."""
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.step({f"epoch/{k}": v for k, v in record.items() if isinstance(v, int | float)}, step)

    def rows(self) -> list[dict[str, Any]]:
        """The lines so far."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.is_file() else []

    def marks(self) -> dict[str, int]:
        """The bytes of each file, all that was logged being in them."""
        self.writer.flush()
        return {str(file.relative_to(self.folder)): file.stat().st_size for file in self._files()}

    def close(self) -> None:
        """Flushes the curves."""
        self.writer.close()

    def _files(self) -> Iterator[Path]:
        yield from (file for file in (self.path, *sorted(self.folder.glob(f"tensorboard/*{OURS}"))) if file.is_file())


def _cut(file: Path, size: int) -> None:
    """The file without what stands behind so many bytes, or no file."""
    if size == 0:
        file.unlink()
    elif file.stat().st_size > size:
        with file.open("rb+") as content:
            content.truncate(size)
