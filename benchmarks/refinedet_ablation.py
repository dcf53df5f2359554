"""The paper's ablation (table 3) on a small, equal budget: what each of RefineDet's three ideas is worth here.

    python benchmarks/refinedet_ablation.py --data PATH --out runs/ablation [--epochs 2 --size 192]

Trains four times with `vedette train`, switching off one idea more each time, as the paper does, and prints the table.
Runs that are there already are not done again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROWS = {
    "all three": [],
    "without filtering": ["filter_negatives=false"],
    "also without the cascade": ["filter_negatives=false", "cascade=false"],
    "also without the TCBs: one head": ["filter_negatives=false", "cascade=false", "tcb=false"],
}


def run(name: str, switches: list[str], arguments: argparse.Namespace) -> dict[str, float]:
    """Trains one row unless it is trained; the last line of its log."""
    folder = Path(arguments.out) / name.replace(" ", "-").replace(":", "")
    log = folder / "log.jsonl"
    done = log.read_text().splitlines() if log.is_file() else []
    if len(done) < arguments.epochs:
        settings = [f"image_size={arguments.size}", *switches]
        command = [
            str(Path(sys.executable).parent / "vedette"),
            "train",
            "refinedet320-lite0",
            "--data",
            arguments.data,
            "--out",
            str(folder),
        ]
        command += [
            "--epochs",
            str(arguments.epochs),
            "--eval-every",
            str(arguments.epochs),
            "--seed",
            str(arguments.seed),
        ]
        command += ["--workers", str(arguments.workers)]
        command += [part for setting in settings for part in ("--set", setting)]
        subprocess.run([*command, *(["--resume"] if (folder / "last.pt").exists() else [])], check=True)
        done = log.read_text().splitlines()
    result: dict[str, float] = json.loads(done[-1])
    return result


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", default="runs/ablation")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    results = {name: run(name, switches, arguments) for name, switches in ROWS.items()}
    print("| | mAP (VOC area) | images/s while training |\n|---|---|---|")
    for name, result in results.items():
        print(f"| {name} | {100 * result['mAP']:.1f} | {result['images_per_second']:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
