"""The options of `vedette train`, each with what its help says."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vedette.cli.complete import complete_model
from vedette.cli.places import place

# What is trained on what, and from which weights on
Model = Annotated[
    str | None,
    typer.Argument(
        help="A name from `vedette models`, one like refinedet320-timm/<name>, or your own function, my_module:build.",
        autocompletion=complete_model,
    ),
]
Data = Annotated[list[str] | None, typer.Option(help="PATH[:SPLIT] of COCO, VOC or YOLO data; may be repeated.")]
Val = Annotated[str | None, typer.Option(help="PATH[:SPLIT] to evaluate on; default: --data's val, if any.")]
Metric = Annotated[
    Literal["voc07", "voc12", "coco"] | None, typer.Option(help="What chooses the best checkpoint; default: voc12.")
]
Init = Annotated[str | None, typer.Option(help="Start from a whole detector: a path or a bundled name.")]
Backbone = Annotated[
    str | None,
    typer.Option(
        help='The backbone\'s weights: "imagenet", "random", or a file. Default: imagenet, and for few images a whole '
        "bundled detector where one fits."
    ),
]
Scratch = Annotated[
    bool, typer.Option("--scratch", help="Without ImageNet's weights: all layers normalised, a longer warm-up.")
]
Setting = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE of the detector's config, such as tcb=false.")
]

# The recipe; but for --recipe, each is called as the field of `vedette.train.recipe.Recipe` that it sets
Recipe = Annotated[
    Literal["fine-tuning", "scaled", "paper", "paper-voc12", "paper-coco", "four-step"] | None,
    typer.Option(
        help="AdamW for hours; the paper's, scaled to the data; the paper's own length, on other data too; "
        "Faster R-CNN's RPN and detector in turns. Default: by MODEL."
    ),
]
Schedule = Annotated[Literal["cosine", "step", "paper"] | None, typer.Option(help='"paper" is --recipe paper.')]
Epochs = Annotated[int | None, typer.Option(help="Default: by the size of the data set. Of four steps: of each.")]
BatchSize = Annotated[int | None, typer.Option(help="Images at once.")]
Accumulate = Annotated[int | None, typer.Option(help="Batches summed before a step.")]
Optimizer = Annotated[
    Literal["adamw", "sgd"] | None, typer.Option(help="Default: the recipe's, adamw for hours, sgd in the papers.")
]
Rate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
BackboneRate = Annotated[float | None, typer.Option(help="The backbone's rate, in --lr.")]
HeadRate = Annotated[float | None, typer.Option(help="That of the layers of the classes, in --lr.")]
OneRate = Annotated[bool | None, typer.Option(help="Biases and norms learn and decay as all else.")]
Warmup = Annotated[float | None, typer.Option(help="Share of all steps in which the rate rises.")]
WeightDecay = Annotated[float | None, typer.Option(help="Biases have none, with adamw norms neither.")]
ClipNorm = Annotated[float | None, typer.Option(help="Longest gradient; 0 does not clip.")]
Average = Annotated[float | None, typer.Option(help="Decay of the averaged weights; 0 keeps no average.")]
FreezeStem = Annotated[bool | None, typer.Option(help="Keep the layers up to stride 4 as they are.")]
StartSize = Annotated[int | None, typer.Option(help="Begin with smaller images of this side; 0: do not.")]
StartShare = Annotated[float | None, typer.Option(help="Share of the epochs that have --start-size.")]
MaxZoomOut = Annotated[float | None, typer.Option(help="Largest side of the zoom-out canvas, in images.")]
RepeatBelow = Annotated[
    float | None, typer.Option(help="Show images of classes rarer than this share of the images more often.")
]
Precision = Annotated[
    Literal["bf16", "fp32"] | None, typer.Option(help="Default: bf16 where the device computes in it.")
]
Difficult = Annotated[Literal["ignore", "train"] | None, typer.Option(help="VOC's difficult boxes.")]
EvalEvery = Annotated[int | None, typer.Option(help="Epochs between evaluations.")]
Patience = Annotated[int | None, typer.Option(help="End after so many evaluations without a better result; 0: do not.")]
Workers = Annotated[int | None, typer.Option(help="Processes that load images.")]
Seed = Annotated[int | None, typer.Option(help="Of all that is random; the same gives the same run.")]

# What is around a run
Out = Annotated[Path, place(help="The run's folder: checkpoints, curves, run.json.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps …; default: a CUDA GPU if there is one.")]
SaveEvery = Annotated[
    str, typer.Option(help="Save within epochs: after so many minutes (10min) or steps (500); 0: at their ends alone.")
]
Tracker = Annotated[
    list[str] | None, typer.Option(help="Send the curves to wandb, mlflow or trackio too, where it is installed.")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the training step: minutes at first, not always faster after.")
]
Cache = Annotated[
    Literal["memory", "disk", "none"],
    typer.Option(help="Keep decoded pictures in memory, or in a file in --out: epochs after the first are faster."),
]

# Which run, and what is done of it
FromRun = Annotated[
    Path | None, typer.Option(help="Repeat the run of that folder in --out; MODEL and --data are its own.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="The run to repeat may be of a module of your own, which is imported.")
]
Show = Annotated[bool, typer.Option("--show", help="Print what would be trained and how, as JSON; train nothing.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Take one batch through everything, and write a picture of it in --out.")
]
FindRate = Annotated[
    bool, typer.Option("--find-lr", help="Try rising learning rates and say which to take; train nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
ResumeAnyway = Annotated[
    bool,
    typer.Option("--resume-anyway", help="The same though its images, annotations or seed are others now."),
]
