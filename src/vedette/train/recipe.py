"""What a training run is made of, as one plain record that is printed, stored in the run and read back by --resume."""

from dataclasses import dataclass
from typing import Literal

from vedette.errors import InputError

PAPER_ITERATIONS = (80_000, 20_000, 20_000)  # at lr, lr / 10, lr / 100: RefineDet and SSD on VOC 07+12
PAPER_BATCH = 32
FINE_TUNING_IMAGES = 150_000  # seen in a run: 24 epochs of 6000 images
FEWEST_EPOCHS, MOST_EPOCHS = 12, 150
RANGES = (  # setting, least, most
    ("epochs", 1, 1e6),
    ("batch_size", 1, 1e6),
    ("accumulate", 1, 1e6),
    ("eval_every", 1, 1e6),
    ("lr", 1e-12, 1e3),
    ("clip_norm", 0, 1e9),
    ("ema", 0, 0.999999),
    ("start_size", 0, 1e5),
    ("start_share", 0, 1),
    ("max_zoom_out", 1, 100),
    ("repeat_below", 0, 1),
    ("workers", 0, 1e4),
    ("seed", 0, 2**63 - 1),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of a run. The defaults suit fine-tuning a detector on a few thousand images.

    Raises InputError for a value that cannot be.
    """

    epochs: int = 24
    batch_size: int = 32  # images a process takes at once
    accumulate: int = 1  # batches summed before a step
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    backbone_lr: float = 0.3  # times lr: the backbone's layers are trained already
    weight_decay: float = 0.02
    schedule: Literal["cosine", "step"] = "cosine"
    warmup: float = 0.04  # share of all steps
    clip_norm: float = 10.0  # of the gradient; 0 does not clip
    ema: float = 0.998  # decay of the averaged weights; 0 keeps no average
    freeze_stem: bool = True  # layers up to stride 4 stay as ImageNet left them
    start_size: int = 0  # images of this size in the first `start_share` of the epochs; 0: full size throughout
    start_share: float = 0.5
    max_zoom_out: float = 2.0  # SSD's 4 pays in runs of hundreds of epochs alone
    repeat_below: float = 0.0  # images of a class that fewer than this share of them hold come more often (LVIS)
    precision: Literal["bf16", "fp32"] = "bf16"
    difficult: Literal["ignore", "train"] = "ignore"
    eval_every: int = 1  # epochs
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in RANGES:
            value = getattr(self, name)
            if not (least <= value <= most):  # NaN is in no range
                raise InputError(f"{name} is {value}: give a number from {least:g} to {most:g}")


def fine_tuning_recipe(images: int) -> Recipe:
    """AdamW from ImageNet's weights; the smaller the data set, the more epochs."""
    epochs = round(FINE_TUNING_IMAGES / max(images, 1))
    return Recipe(epochs=min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs)))


def paper_recipe(images: int) -> Recipe:
    """SSD's and RefineDet's own: SGD, 120k steps of 32 images at 1e-3, 1e-4, 1e-5, the whole network, VOC's difficult.

    Another batch size keeps the number of images seen; scale the rate with it (`--lr`).
    """
    return Recipe(
        epochs=max(1, round(sum(PAPER_ITERATIONS) * PAPER_BATCH / max(images, 1))),
        batch_size=PAPER_BATCH,
        optimizer="sgd",
        backbone_lr=1.0,
        weight_decay=5e-4,
        schedule="step",
        warmup=0.004,
        clip_norm=0.0,
        ema=0.0,
        freeze_stem=False,
        max_zoom_out=4.0,
        difficult="train",
    )
