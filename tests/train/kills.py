"""Kills trainings at random moments, goes on with them, and compares what they come to with a run that nobody killed.

    python tests/train/kills.py KIND [--kills 50] [--seed 0]

KIND: plain (three epochs, evaluated), four-step, or rcnn (all stages). Each run is `vedette train` as a user starts it,
in a process of its own, saved after every step, so that most kills hit a write. Prints how many there were; exit 1, and
what differs, where a run did not come to the same files, rows and curves.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

TINY = ["--device", "cpu", "--backbone", "random", "--precision", "fp32", "--save-every", "1", "--batch-size", "2"]
SMALL = ["--set", "image_size=64"]
RPN = [*SMALL, "--set", "max_side=96", "--set", "cross_border=true", "--set", "proposals=[40,10]"]
KINDS = {
    "plain": ["refinedet320-timm/lcnet_050", *SMALL, "--epochs", "3", "--workers", "1"],
    "four-step": ["faster-rcnn-timm/lcnet_050-fpn", *RPN, "--recipe", "four-step", "--epochs", "1", "--workers", "0"],
    "rcnn": [
        *("rcnn-timm/resnet10t", "--epochs", "2", "--workers", "0"),
        *("--set", "warp_size=32", "--set", "context=2", "--set", "proposals=30", "--set", "positives=2"),
    ],
}
LONGEST = {"plain": 2.5, "four-step": 4.0, "rcnn": 3.0}  # seconds to a kill


def paint(folder: Path) -> Path:
    """Eight pictures with a rectangle each, to train and to measure on."""
    (folder / "images").mkdir(parents=True)
    images, rows = [], []
    for number in range(8):
        picture, x = Image.new("RGB", (100, 70), (20, 90, 20)), 5 + 4 * number
        picture.paste((220, 30 * number, 30), (x, 10, x + 40, 50))
        picture.save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 70})
        rows.append({"id": number, "image_id": number, "category_id": 1 + number % 2, "bbox": [x, 10, 40, 40]})
    categories = [{"id": 1, "name": "square"}, {"id": 2, "name": "other"}]
    for split in ("train", "val"):
        content = {"images": images, "annotations": rows, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def begun(kind: str, data: Path, out: Path) -> int:
    """`vedette train`, begun or gone on with, in a process that is forked from this one: its number."""
    from vedette.cli.main import run
    from vedette.train.trainings import holds_a_run

    process = os.fork()
    if process:
        return process
    with (out.parent / f"{out.name}.txt").open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    arguments = ["train", *KINDS[kind], "--data", str(data), "--out", str(out), *TINY]
    code = 70
    try:
        code = run([*arguments, "--resume"] if holds_a_run(out) else arguments)
    finally:
        os._exit(code)


def killed_until_done(kind: str, data: Path, out: Path, kills: int, chance: random.Random) -> int:
    """Runs, killed at most so many times; how many times it was."""
    for count in range(kills + 1):
        process = begun(kind, data, out)
        if count < kills:
            time.sleep(chance.uniform(0.0, LONGEST[kind]))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if not os.WIFSIGNALED(status):
            if os.WEXITSTATUS(status):
                raise SystemExit(f"{out}: ended with {os.WEXITSTATUS(status)}:\n{out.with_suffix('.txt').read_text()}")
            return count
    raise AssertionError("the last one is not killed")


def results_of(out: Path) -> dict[str, Any]:
    """Everything that a run leaves, but for its speed and its checkpoints."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, Any] = {"temporary files": sorted(str(file.relative_to(out)) for file in out.rglob(".*"))}
    for file in sorted(out.rglob("*.safetensors")):
        found[str(file.relative_to(out))] = file.read_bytes()
    for log in sorted(out.rglob("log.jsonl")):
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        found[str(log.relative_to(out))] = [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]
        curves = EventAccumulator(str(log.parent / "tensorboard")).Reload()
        for tag in sorted(curves.Tags()["scalars"]):
            if "per_second" not in tag:
                points = sorted((event.step, event.value) for event in curves.Scalars(tag))
                found[f"{log.parent.relative_to(out)} {tag}"] = points
    return found


def main() -> int:
    """Prints the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import vedette.train.run  # noqa: F401  # whatever takes long to import is imported before the forks

    chance, kills, runs, faults = random.Random(arguments.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = temporary
        folder = Path(temporary)
        data = paint(folder / "data")
        killed_until_done(arguments.kind, data, folder / "whole", 0, chance)
        wanted = results_of(folder / "whole")
        while kills < arguments.kills:
            out, runs = folder / f"run{runs}", runs + 1
            kills += killed_until_done(arguments.kind, data, out, arguments.kills - kills, chance)
            found = results_of(out)
            differing = [name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]
            print(
                f"{out.name}: {kills} kills so far; {'differs in ' + ', '.join(differing) if differing else 'the same'}"
            )
            faults += bool(differing)
            shutil.rmtree(out)  # fifty runs' checkpoints fill a disk
    print(f"{arguments.kind}: {kills} kills in {runs} runs, {faults} runs that came to something else")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
