"""What a training run is made of, as one plain record that is printed, stored in the run and read back by --resume."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from vedette.errors import InputError

PAPER_ITERATIONS = (80_000, 20_000, 20_000)  # at lr, lr / 10, lr / 100: RefineDet and SSD on VOC 07+12
PAPER_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of a run. The defaults suit fine-tuning a detector on a few thousand images."""

    epochs: int = 24
    batch_size: int = 32  # images a process takes at once
    accumulate: int = 1  # batches summed before a step
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    backbone_lr: float = 0.3  # times lr: the backbone's layers are trained already
    weight_decay: float = 0.02
    schedule: Literal["cosine", "step"] = "cosine"
    warmup: float = 0.04  # share of all steps
    clip_norm: float = 10.0
    ema: float = 0.998  # decay of the averaged weights; 0 switches them off
    freeze_stem: bool = True  # layers up to stride 4 stay as ImageNet left them
    start_size: int = 0  # images of this size in the first `start_share` of the epochs; 0: full size throughout
    start_share: float = 0.5
    precision: Literal["bf16", "fp32"] = "bf16"
    difficult: Literal["ignore", "train"] = "ignore"
    eval_every: int = 1  # epochs
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "eval_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give 1 or more")
        if self.lr <= 0:
            raise InputError(f"lr is {self.lr}: give a number above 0")

    def save(self, path: Path) -> None:
        """Writes the record as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """The record of an earlier run; raises InputError for a field that this version does not know."""
        stored = json.loads(path.read_text())
        unknown = sorted(set(stored) - {field.name for field in fields(cls)})
        if unknown:
            raise InputError(f"{path}: unknown setting {unknown[0]!r}; it was written by another version")
        return cls(**stored)


def paper_recipe(images: int, batch_size: int = PAPER_BATCH, seed: int = 0) -> Recipe:
    """SSD's and RefineDet's own: SGD, 120k steps of 32 images at 1e-3, 1e-4, 1e-5, whole network, VOC's difficult."""
    epochs = max(1, round(sum(PAPER_ITERATIONS) * PAPER_BATCH / max(images, 1)))
    return Recipe(
        epochs=epochs,
        batch_size=batch_size,
        optimizer="sgd",
        lr=1e-3 * batch_size / PAPER_BATCH,
        backbone_lr=1.0,
        weight_decay=5e-4,
        schedule="step",
        warmup=0.004,
        clip_norm=0.0,
        ema=0.0,
        freeze_stem=False,
        difficult="train",
        seed=seed,
    )
