"""What a training run is made of, as one plain record that is printed, stored in the run and read back by --resume."""

from dataclasses import dataclass, replace
from typing import Literal

from vedette.errors import InputError

FINE_TUNING_IMAGES = 150_000  # seen in a run: 24 epochs of 6000 images
FEWEST_EPOCHS, MOST_EPOCHS = 12, 150
SHORT_WARMUP = 0.03
RANGES = (  # setting, least, most
    ("epochs", 1, 1e6),
    ("batch_size", 1, 1e6),
    ("accumulate", 1, 1e6),
    ("eval_every", 1, 1e6),
    ("patience", 0, 1e6),
    ("lr", 1e-12, 1e3),
    ("clip_norm", 0, 1e9),
    ("ema", 0, 0.999999),
    ("start_size", 0, 1e5),
    ("start_share", 0, 1),
    ("warmup", 0, 1),
    ("backbone_lr", 0, 1e3),
    ("head_lr", 0, 1e3),
    ("weight_decay", 0, 1e3),
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
    head_lr: float = 1.0  # times lr: the layers that depend on the classes
    one_rate: bool = False  # biases and norms learn and decay as all else does
    weight_decay: float = 0.02
    schedule: Literal["cosine", "step"] = "cosine"
    drops: tuple[float, ...] = (2 / 3, 5 / 6)  # shares of all steps after which "step" divides the rate by 10
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
    patience: int = 0  # evaluations without a better result, after which the run ends; 0: it goes on to its last epoch
    workers: int = 2
    seed: int = 0
    alternating: bool = False  # Faster R-CNN's four steps; all else is then each step's

    def __post_init__(self) -> None:
        for name, least, most in RANGES:
            value = getattr(self, name)
            if not (least <= value <= most):  # NaN is in no range
                raise InputError(f"{name} is {value}: give a number from {least:g} to {most:g}")
        object.__setattr__(self, "drops", tuple(self.drops))  # a list where it was read from JSON


def epochs_for(images: int) -> int:
    """The smaller the data set, the more epochs, so that a run takes hours and not days."""
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(FINE_TUNING_IMAGES / max(images, 1))))


RecipeKind = Literal["fine-tuning", "scaled", "paper"]
Elsewhere = Literal["paper-voc12", "paper-coco"]  # the paper's own lengths on other data, where it has them
FourStep = Literal["four-step"]  # not every model has it


@dataclass(frozen=True, kw_only=True)
class PaperTraining:
    """How a paper trains, the whole network at one rate; its length counted in images, so that it fits any data."""

    images: int  # seen from the first to the last step
    recipe: Recipe  # its number of epochs is not looked at

    def of(self, kind: RecipeKind, images: int) -> Recipe:
        """The recipe for a data set of so many images.

        fine-tuning: AdamW and a cosine, from ImageNet's weights, for hours. scaled: the paper's rates at the same
        shares of as many epochs, with the warm-up that so short a run needs. paper: its own length, days on a GPU;
        another batch size keeps the number of images seen, scale the rate with it (`--lr`).
        """
        if kind == "fine-tuning":
            return Recipe(epochs=epochs_for(images))
        if kind == "scaled":
            return replace(self.recipe, epochs=epochs_for(images), warmup=max(SHORT_WARMUP, self.recipe.warmup))
        return replace(self.recipe, epochs=max(1, round(self.images / max(images, 1))))


def four_steps(step: Recipe, images: int) -> Recipe:
    """`step`, the recipe of each of four steps, for a data set of so many images: together as long as other runs."""
    return replace(step, epochs=max(1, round(epochs_for(images) / 4)))


def without_pretraining(recipe: Recipe) -> Recipe:
    """The recipe for a backbone that knows nothing yet: no layer frozen or slowed down, three times the warm-up."""
    return replace(recipe, backbone_lr=1.0, freeze_stem=False, warmup=min(1.0, 3 * recipe.warmup))
