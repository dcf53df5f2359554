"""The options of `vedette detect`, each with what its help says."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.cli.complete import complete_model
from vedette.cli.places import place

Source = Annotated[
    list[str],
    typer.Argument(
        help="Images, videos, folders (their images, without subfolders), quoted globs, 0 for a camera, addresses of "
        "streams (rtsp://, http://…); - for names on stdin."
    ),
]
Model = Annotated[
    str, typer.Option(help="A name from `vedette models`, or the path of a weight file.", autocompletion=complete_model)
]
Out = Annotated[Path, place(help="Folder for the pictures, detections.json and, as they come, detections.jsonl.")]
Score = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Least score of a detection; default: the weights' own for its class, or 0.5."),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(metavar="NAMES", help="Look for these alone: names or ids with commas between them."),
]
Tiles = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", help="Look at larger pictures in squares of so many pixels too: small objects."),
]
Overlap = Annotated[float | None, typer.Option(help="Share of a tile that neighbours have in common; default: 0.2.")]
Save = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMATS",
        help="Also write data sets of what is found (yolo, voc, coco), a table (csv), the objects cut out (crops).",
    ),
]
Graphs = Annotated[
    bool, typer.Option("--graphs", help="On a GPU, replay the network as CUDA graphs: faster for small batches.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was stopped: what is done is not done again.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write over files in --out that are not of this command, too.")
]
Every = Annotated[
    int,
    typer.Option(min=1, help="Of videos, look at every so many frames; those between show what was found last."),
]
Track = Annotated[
    bool,
    typer.Option("--track", help="Follow objects through videos (ByteTrack): what belongs to no track is left out."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print detections.json instead of lines; of videos, a JSON line a frame.")
]
Ray = Annotated[
    bool,
    typer.Option("--ray", help="For large collections: work through Ray, and write Parquet, a row a picture."),
]
RayAddress = Annotated[
    str | None, typer.Option(help="With --ray: a cluster's address, or auto on one of its machines; else this machine.")
]
RayWorkers = Annotated[
    int | None, typer.Option(min=1, max=4096, help="With --ray: detectors at work; else one a GPU, or one for 4 cores.")
]
