"""Do short runs on few pictures end finite, with every default? One line of JSON for each, and a Markdown table.

    python benchmarks/short_runs.py DATA --val DATA:SPLIT --out FILE.jsonl

Each run is `vedette train MODEL` with nothing chosen but `--epochs`, on the first pictures of DATA's training split in
an order drawn by the seed, measured on at most `--measured` pictures of the other. Rows that FILE has already are not
run again, so that it may be stopped, and a run that was stopped goes on where it was, in FILE's name with `-runs`;
`--table` prints what is there.

    python benchmarks/short_runs.py DATA --val DATA:SPLIT --out FILE.jsonl --first-steps

is for the names without ImageNet weights in a package: thirty steps of two pictures, from random weights, in one epoch,
at the smallest input that the detector takes.
"""

import argparse
import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import torch

import vedette
from vedette.errors import InputError
from vedette.train.around import Around
from vedette.train.checkpoint import has_state
from vedette.train.halt import NotFiniteError
from vedette.train.plan import Wanted, new_run, read_data
from vedette.train.run import start
from vedette.train.run_file import Run
from vedette.zoo import RCNN, SPPNET, known, names


def of_one(model: str, arguments: argparse.Namespace, pictures: int, epochs: int) -> dict[str, Any]:
    """One run: whether it ended finite, with which losses and which mAP."""
    folder = arguments.out.with_name(f"{arguments.out.stem}-runs") / f"{model.replace('/', '-')}-{pictures}-{epochs}"
    ways: dict[str, Any] = {"device": arguments.device, "few": arguments.measured, "say": lambda line: None}
    around = Around(folder=folder, resume=has_state(folder), **ways)
    if not around.resume:
        shutil.rmtree(folder, ignore_errors=True)
    dataset = read_data([arguments.data], "train", around)
    order = list(range(len(dataset)))
    random.Random(0).shuffle(order)
    part = dataset.part(sorted(order[:pictures]))
    chosen: dict[str, Any] = {"kind": arguments.recipe, "recipe": {"epochs": epochs}}
    if arguments.first_steps:
        chosen |= {"recipe": {"epochs": 1, "batch_size": 2}, "backbone": "random", "config": smallest(model)}
    wanted = Wanted(model=model, data=[arguments.data], val=arguments.val, **chosen)
    run, began = Run.read(folder) if around.resume else new_run(wanted, part, around.device), time.monotonic()
    row: dict[str, Any] = {"model": model, "pictures": pictures, "epochs": epochs}
    row |= {"config": dict(wanted.config), "resumed": around.resume}
    row |= {name: getattr(run.recipe, name) for name in ("optimizer", "batch_size", "lr")}
    try:
        start(run, around, part)
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        row |= {"finite": True, "log": [line for line in log if "epoch" in line][-1]}
    except NotFiniteError as error:
        row |= {"finite": False, "log": str(error)}
    shutil.rmtree(folder)
    return row | {"seconds": round(time.monotonic() - began)}


def smallest(model: str) -> dict[str, Any]:
    """The fields of the smallest input, of those tried, that the detector can be built for and look at."""
    if known(model).paper is RCNN:  # its networks take one size
        return {"proposals": 50, "positives": 8, "negatives": 24}
    if known(model).paper is SPPNET:
        return {"proposals": 50, "scales": (128,)}
    for size in (64, 96, 128, 160, 192, 224, 256, 300, 320, 512):
        sides = {"max_side": size} if hasattr(vedette.build(model).config, "max_side") else {}
        fields = {"image_size": size, **sides}
        try:
            detector: Any = vedette.build(model, **fields)
            with torch.no_grad():
                image = torch.zeros(1, 3, size, size)
                detector(image, None, [torch.tensor([[0.0, 0.0, 32.0, 32.0]])]) if sides else detector(image)
            if not hasattr(detector, "trains_anchors") or detector.trains_anchors(size, size):
                return fields
        except (InputError, RuntimeError, ValueError):
            continue
    raise InputError(f"{model}: no input of these sizes fits")


def table(rows: list[dict[str, Any]]) -> str:
    """mAP of every run, by model; a cross where it did not end finite."""
    columns = sorted({(row["pictures"], row["epochs"]) for row in rows})
    lines = ["| | " + " | ".join(f"{pictures} × {epochs}" for pictures, epochs in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for model in dict.fromkeys(row["model"] for row in rows):
        of = {(row["pictures"], row["epochs"]): row for row in rows if row["model"] == model}
        cells = [_cell(of[column]) if column in of else "" for column in columns]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    return f"{100 * row['log'].get('mAP', float('nan')):.1f}" if row["finite"] else "✗"


def main() -> None:
    """All that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--val", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", help="instead of all that the table is of")
    parser.add_argument("--pictures", nargs="+", type=int, default=[40, 200])
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 3, 10])
    parser.add_argument("--measured", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--recipe", help="instead of the default")
    parser.add_argument("--first-steps", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    arguments.models = arguments.models or [name for name in names() if ("lite0" in name) != arguments.first_steps]
    if arguments.first_steps:
        arguments.pictures, arguments.epochs = [60], [1]
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["model"], row["pictures"], row["epochs"]) for row in rows}
    for pictures in arguments.pictures:
        for epochs in arguments.epochs:
            for model in arguments.models:
                if (model, pictures, epochs) in done or arguments.table:
                    continue
                try:
                    row = of_one(model, arguments, pictures, epochs)
                except InputError as error:
                    parser.error(f"{model}: {error}")
                rows.append(row)
                with arguments.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
