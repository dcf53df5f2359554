"""What a run remembers of itself: TensorBoard curves, one JSON line an epoch, and a table of these lines."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from math import isnan
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from vedette.data.atomic import write_text

LOG, TABLE = "log.jsonl", "log.csv"
Also = Callable[[dict[str, float], int], object]  # (values, step)
OURS = ".vedette"  # how our files of curves end: what others put beside them stays


class RunLog:
    """Writes to `tensorboard/` and `log.jsonl` in the run's folder; `log.csv` is made from the latter's lines.

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
            self._write_table()
        self.writer = SummaryWriter(str(folder / "tensorboard"), filename_suffix=OURS)

    def step(self, values: Mapping[str, float], step: int) -> None:
        """Curves over optimizer steps."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        if self.also is not None:
            self.also(dict(values), step)

    def epoch(self, record: Mapping[str, Any], step: int) -> None:
        """One line of JSON, null for NaN, and its numbers as curves."""
        known = {name: _known(value) for name, value in record.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(known) + "\n")
        self._write_table()
        self.step({f"epoch/{k}": v for k, v in known.items() if isinstance(v, int | float)}, step)

    def marks(self) -> dict[str, int]:
        """The bytes of each file, all that was logged being in them."""
        self.writer.flush()
        return {str(file.relative_to(self.folder)): file.stat().st_size for file in self._files()}

    def close(self) -> None:
        """Flushes the curves."""
        self.writer.close()

    def _write_table(self) -> None:
        """The lines of the log as a table, whole each time, so that it never says anything else than they do."""
        rows = logged(self.folder)
        if not rows:
            (self.folder / TABLE).unlink(missing_ok=True)
            return
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = StringIO()
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_text(self.folder / TABLE, text.getvalue())

    def _files(self) -> Iterator[Path]:
        yield from (file for file in (self.path, *sorted(self.folder.glob(f"tensorboard/*{OURS}"))) if file.is_file())


def epoch_record(
    epoch: int, losses: Mapping[str, float], results: Mapping[str, float], rate: float, images_per_second: float
) -> dict[str, Any]:
    """An epoch's line; rate: of the step to come; images_per_second: 0 where it was resumed to be measured alone."""
    speed = {"images_per_second": round(images_per_second, 2)} if images_per_second > 0 else {}
    return {"epoch": epoch, **{name: round(value, 4) for name, value in losses.items()}, **results, "lr": rate, **speed}


def overall(results: Mapping[str, float]) -> str:
    """The results that a line on the terminal has room for: those of single classes (AP/NAME) stand in the log."""
    return "  ".join(f"{name} {value:.4f}" for name, value in results.items() if "/" not in name)


def logged(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log so far."""
    file = folder / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _known(value: Any) -> Any:
    """JSON knows no NaN."""
    return None if isinstance(value, float) and isnan(value) else value


def _cut(file: Path, size: int) -> None:
    """The file without what stands behind so many bytes, or no file."""
    if size == 0:
        file.unlink()
    elif file.stat().st_size > size:
        with file.open("rb+") as content:
            content.truncate(size)
