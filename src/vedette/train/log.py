"""What a run remembers of itself: TensorBoard curves and one JSON line an epoch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class RunLog:
    """Writes to `tensorboard/` and `log.jsonl` in the run's folder; a resumed run goes on in both."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.jsonl"
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def step(self, values: Mapping[str, float], step: int) -> None:
        """Curves over optimizer steps."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def epoch(self, record: Mapping[str, Any], step: int) -> None:
        """One line of JSON, and its numbers as curves."""
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.step({f"epoch/{k}": v for k, v in record.items() if isinstance(v, int | float)}, step)

    def close(self) -> None:
        """Flushes the curves."""
        self.writer.close()
