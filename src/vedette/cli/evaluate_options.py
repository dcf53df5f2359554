"""The options of `vedette evaluate`, each with what its help says."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.cli import measured
from vedette.cli.choices import MOST_WORKERS
from vedette.cli.complete import complete_model
from vedette.cli.places import place

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Names from `vedette models`, or paths of weight files; of several, each is compared with the first.",
        autocompletion=complete_model,
    ),
]
Data = Annotated[
    list[str],
    typer.Option(
        help="PATH[:SPLIT] of COCO, VOC or YOLO data; SPLIT by default val, else valid or test; may be repeated."
    ),
]

# What counts
Metric = Annotated[
    measured.Metric,
    typer.Option(help="coco: AP at IoU .50:.95; voc07: 11-point AP, voc12: area, at IoU 0.5."),
]
Overlap = Annotated[
    measured.Overlap | None,
    typer.Option(help="A hit of VOC's metrics lies above 0.5 (the default), or from 0.5 on as in its own devkit."),
]
Score = Annotated[
    float | None, typer.Option(min=0, max=1, help="Lowest score that counts; default: 0.01, Fast R-CNN's code: 0.")
]
MaxDetections = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        help="Detections of an image that count; default: what the detector keeps, and COCO's 100 of a class.",
    ),
]

# What is written, and the scores that it names
Results = Annotated[
    Path | None, place(help="Folder for the detections, in VOC's files (comp4_det_…) or COCO's (coco).")
]
Report = Annotated[Path | None, place(help="Folder for pages with scores, errors, curves and pictures.")]
Json = Annotated[Path | None, place("--json", help="File for the numbers, as fractions.")]
AtScore = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Score from which on the report counts and shows; default: the best F1's."),
]
AtPrecision = Annotated[float, typer.Option(min=0, max=1, help="Name the lowest score with at least this precision.")]
AtRecall = Annotated[float, typer.Option(min=0, max=1, help="Name the highest score with at least this recall.")]
Choose = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Choose a score for each class: best-f1, or precision=0.9 for the lowest with that precision; detect and "
        "serve go by it.",
    ),
]
Out = Annotated[Path | None, place(help="A new weight file with the chosen scores.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Write the chosen scores into the weights given.")]

# How the work is done
Workers = Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that load images.")]
Resamples = Annotated[
    int, typer.Option(min=100, max=100_000, help="Choices of images behind the intervals and tests of a comparison.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of these choices.")]
