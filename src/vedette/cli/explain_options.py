"""The options of `vedette explain`, each with what its help says."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vedette.cli.choices import MOST_AT_ONCE, MOST_WORKERS
from vedette.cli.complete import complete_model
from vedette.cli.places import place

Images = Annotated[
    list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Images, folders, quoted globs; - for names on stdin.")
]
Model = Annotated[
    str, typer.Option(help="A name from `vedette models`, or a weight file.", autocompletion=complete_model)
]
Out = Annotated[
    Path | None,
    place(
        help="The page of one picture or of --live, else a folder. Default: page.html, live.html; of several pages, of "
        "--lost lost, else batch."
    ),
]
Json = Annotated[Path | None, place("--json", metavar="FILE", help="File for the numbers that the page shows.")]
Score = Annotated[float, typer.Option(min=0, max=1, help="Least score of a detection.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="A field of the detector's config to look with, such as nms_iou."
    ),
]

# Pictures
Beside = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Another detector beside it, on one page.", autocompletion=complete_model),
]

Live = Annotated[
    bool, typer.Option("--live", help="A page with the detector inside, for photographs that are given to it there.")
]
Web = Annotated[
    Path,
    typer.Option(
        file_okay=False,
        envvar="VEDETTE_WEB",
        help="Of --live: the folder with ONNX Runtime Web that `make web` fills, or dist of its npm package.",
    ),
]

# Data sets
Data = Annotated[
    list[str] | None,
    typer.Option(
        help="PATH[:SPLIT] of COCO, VOC or YOLO data: where the IMAGEs are annotated, which the page then shows, or "
        "name one by its file's name; for --lost (SPLIT by default val, else valid or test) and --training (train); "
        "may be repeated."
    ),
]
Lost = Annotated[
    bool, typer.Option("--lost", help="Of each annotated object that is not found: the step that lost it.")
]
Training = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="One batch of this model's training on --data: what it is shown, and what it is to learn of it.",
        autocompletion=complete_model,
    ),
]
Recipe = Annotated[
    Literal["fine-tuning", "scaled", "paper", "paper-voc12", "paper-coco"] | None,
    typer.Option(help="Of --training; default: as `vedette train` has it."),
]
Init = Annotated[str | None, typer.Option(help="--training begins with this whole detector.")]
Seed = Annotated[int | None, typer.Option(help="Of what --training draws at random.")]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_AT_ONCE, help="Images at once; default: 16, and the recipe's with --training."),
]
Workers = Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that load images for --lost.")]
