"""One table of times: every detector and every way to run it side by side, written as docs/benchmarks.md.

    python benchmarks/table.py --prepare                   # once: weights, and files of `vedette export` beside them
    python benchmarks/table.py --out docs/benchmarks.md    # the table
    python benchmarks/table.py --rows ssd300 retinanet --out t.md

The ways of a detector run in turns, once a round; medians and quartiles are of rounds. Each part is written to a record
as soon as it is measured, so that a run that was stopped goes on; `--again` measures anew. A file NAME-int8.xml that
`vedette export --int8` wrote beside NAME.xml is a way too. See contenders.py for the ways, table_page.py for the page.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import after_network
from beside_torchvision import training_calls
from contenders import CLASSES, OURS, ROWS, Boxes, Row, Way, their_model, ways, weights
from machine import describe, matmul_peak
from processes import DEMO, PHOTO, finished, peak_memory, starts
from table_page import page
from timing import in_turns
from vedette.infer.load import load
from vedette.ops.boxes import iou

MANY = 16
MOST_ROUNDS = 15
ALIKE = 0.99  # IoU from which on two boxes are the same
TRAINED_ON = {"ssd300": 4, "refinedet320": 8, "m2det320": 2, "faster-rcnn": 1, "retinanet": 1}  # images in a step
Values = dict[str, Any]


class Record:
    """What is measured already, a line of JSON each; the first line says on which machine."""

    def __init__(self, path: Path, about: Mapping[str, Any], again: bool) -> None:
        self.path = path
        lines = [] if again or not path.exists() else [json.loads(line) for line in path.read_text().splitlines()]
        if lines and lines[0] != about:
            sys.exit(f"{path}: measured on another machine, commit or scale; give --again, or another --record")
        self.parts = {line["part"]: line["values"] for line in lines[1:]}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not lines:
            path.write_text(json.dumps(about) + "\n")

    def take(self, part: str, measure: Callable[[], Values]) -> None:
        """Measures a part unless it is there."""
        if part in self.parts:
            return
        print(f"{part} …", file=sys.stderr, flush=True)
        self.parts[part] = measure()
        with self.path.open("a") as stream:
            stream.write(json.dumps({"part": part, "values": self.parts[part]}) + "\n")


def timed(calls: Mapping[str, Callable[[], object]], budget: float, least: int, untimed: int = 0) -> Values:
    """Milliseconds of each call, round by round: as many rounds as the seconds allow, after one that warms up."""
    first = in_turns(calls, 1, 0)
    rounds = min(MOST_ROUNDS, max(least, int(budget / sum(sum(times) for times in first.values()))))
    return {name: [1000 * one for one in times] for name, times in in_turns(calls, rounds, 0, untimed).items()}


def measure_row(record: Record, row: Row, arguments: argparse.Namespace) -> None:
    """All parts of one detector."""
    makers = ways(row, arguments.folder)
    made = {name: make() for name, make in makers.items()}
    record.take(f"{row.key}/same", lambda: {name: same(made[OURS], way) for name, way in made.items()})
    for count in (1, 2 if arguments.quick else MANY):
        least = min(arguments.least, 3 if count == 1 else 2)
        budget = (arguments.seconds, least, int(count == 1))
        record.take(f"{row.key}/jpeg/{count}", partial(from_jpeg, made, count, *budget))
        record.take(f"{row.key}/network/{count}", partial(network, made, count, *budget))
    record.take(f"{row.key}/flops", lambda: flops(made[OURS]))
    record.take(f"{row.key}/train", lambda: train(row, arguments))
    record.take(
        f"{row.key}/memory",
        lambda: {n: peak_memory(row, n, arguments.folder, arguments.quick) for n in list(makers)[: arguments.measured]},
    )


def from_jpeg(made: Mapping[str, Way], count: int, budget: float, least: int, untimed: int) -> Values:
    """From so many files, two photographs in turns, to boxes."""
    photos = ([PHOTO, DEMO / "chelsea.jpg"] * count)[:count]
    return timed({name: partial(way.detect, photos) for name, way in made.items()}, budget, least, untimed)


def network(made: Mapping[str, Way], count: int, budget: float, least: int, untimed: int) -> Values:
    """The networks alone, on one picture so many times."""
    calls = {name: way.network(PHOTO, count) for name, way in made.items() if way.network}
    return timed(calls, budget, least, untimed)


def same(ours: Way, other: Way) -> Values:
    """How many of our detections the other way finds too, of the same class at IoU 0.99; how far scores are apart."""
    a, b = ours.detect([PHOTO])[0], next(iter(other.detect([PHOTO])), None)
    if b is None:
        return {}
    return compared(a, b)


def compared(a: Boxes, b: Boxes) -> Values:
    """Of detections of one picture, each with boxes, scores, labels."""
    if not len(a["boxes"]) or not len(b["boxes"]):
        return {"of": len(a["boxes"]), "found": 0, "score": 0.0}
    overlap = iou(a["boxes"].double(), b["boxes"].double()) * (a["labels"][:, None] == b["labels"])
    best, place = overlap.max(1)
    alike = best >= ALIKE
    apart = (a["scores"] - b["scores"][place])[alike].abs()
    return {"of": len(alike), "found": int(alike.sum()), "score": float(apart.max()) if len(apart) else 0.0}


def flops(way: Way) -> Values:
    """Floating-point operations of our network for one picture."""
    assert way.network is not None
    call = way.network(PHOTO, 1)
    with FlopCounterMode(display=False) as counter:
        call()
    return {"flops": counter.get_total_flops()}


def train(row: Row, arguments: argparse.Namespace) -> Values:
    """A training step of ours, and of torchvision's."""
    model = load(weights(row, arguments.folder), device="cpu").model
    size = (
        (row.side, row.side) if row.model.find("resnet50") < 0 else (row.side // 32 * 32, row.side * 4 // 3 // 32 * 32)
    )
    theirs = their_model(row) if row.theirs else None
    count = 1 if arguments.quick else TRAINED_ON[row.key]
    calls = training_calls(model, theirs, "cpu", count, size, CLASSES)
    return {"images": count, "times": timed(calls, arguments.seconds, min(2, arguments.least))}


def measure_machine(record: Record, arguments: argparse.Namespace) -> None:
    """What is of no row: products of matrices, post-processing, processes."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    record.take("peak", lambda: {name: matmul_peak(kind) for name, kind in kinds.items()})

    def shares() -> Values:
        models = ("refinedet320-lite0",) if arguments.quick else after_network.MODELS
        return {what: list(c) for name in models for what, c in after_network.shares(name, arguments.rounds)}

    def start() -> Values:
        with tempfile.TemporaryDirectory() as out:
            file = weights(ROWS[0], arguments.folder)
            commands = list(starts(file, Path(out) / "found").items())[: arguments.measured]
            calls = {name: partial(finished, command) for name, command in commands}
            return {name: [1000 * one for one in times] for name, times in in_turns(calls, arguments.rounds, 0).items()}

    record.take("after the network", shares)
    record.take("start", start)


def prepare(rows: list[Row], folder: Path) -> None:
    """Weights, and exported files of them where the detector can be exported; says what cannot."""
    for row in rows:
        path = weights(row, folder)
        for to, suffix in (("onnx", ".onnx"), ("openvino", ".xml")):
            out = path.with_suffix(suffix)
            if not out.exists():
                command = [
                    str(Path(sys.executable).parent / "vedette"),
                    "export",
                    str(path),
                    "--to",
                    to,
                    "--out",
                    str(out),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                print(
                    f"{out}: {'written' if done.returncode == 0 else done.stderr.strip().splitlines()[-1]}", flush=True
                )


def commit() -> str:
    """Of the repository that this file is in."""
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"), help="the page")
    parser.add_argument("--rows", nargs="+", choices=[row.key for row in ROWS], help="detectors; default: all")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"), help="weights and exported files")
    parser.add_argument("--record", type=Path, help="what was measured; default: FOLDER/record.jsonl")
    parser.add_argument("--seconds", type=float, default=20.0, help="for a part's rounds, where two or three take less")
    parser.add_argument("--prepare", action="store_true", help="write weights and exported files, and end")
    parser.add_argument("--again", action="store_true", help="begin a new record")
    parser.add_argument("--quick", action="store_true", help="small and few: whether it runs, not how fast")
    arguments = parser.parse_args()
    arguments.least, arguments.rounds, arguments.measured = 3, 5, None
    if arguments.quick:
        arguments.seconds, arguments.least, arguments.rounds, arguments.measured = 0.0, 1, 2, 1
    arguments.record = arguments.record or arguments.folder / "record.jsonl"
    return arguments


def main() -> None:
    """Measures what is not measured yet, and writes the page."""
    arguments = options()
    chosen = [row for row in ROWS if not arguments.rows or row.key in arguments.rows]
    rows = [row.quick() for row in chosen] if arguments.quick else chosen
    if arguments.prepare:
        prepare(rows, arguments.folder)
        return
    about = describe(commit()) | {"quick": arguments.quick}
    record = Record(arguments.record, about, arguments.again)
    measure_machine(record, arguments)
    for row in rows:
        measure_row(record, row, arguments)
    arguments.out.write_text(page(rows, record.parts, about), encoding="utf-8")
    print(f"{arguments.out} is written", file=sys.stderr)


if __name__ == "__main__":
    main()
