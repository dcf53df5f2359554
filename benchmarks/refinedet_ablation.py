"""The paper's ablation (table 3) on a small, equal budget: what each of RefineDet's three ideas is worth here.

    python benchmarks/refinedet_ablation.py --data PATH --out runs/ablation [--epochs 2 --size 192]

Trains four times with `vedette train`, switching off one idea more each time, as the paper does, and prints the table
with what it rests on. Runs that are there already are not done again; begun ones go on. Each is measured once, at its
end. Another number of epochs, size or seed needs another --out.
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
    if (folder / "run.json").exists():
        refuse_others(folder, switches, arguments)
    if epochs_done(folder) < arguments.epochs:
        subprocess.run(command(folder, switches, arguments), check=True)
    result: dict[str, float] = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    return result


def epochs_done(folder: Path) -> int:
    """How many lines the run's log has."""
    log = folder / "log.jsonl"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def command(folder: Path, switches: list[str], arguments: argparse.Namespace) -> list[str]:
    """The training of one row, begun or gone on with."""
    options = {
        "--data": arguments.data,
        "--out": folder,
        "--epochs": arguments.epochs,
        "--eval-every": arguments.epochs,
        "--seed": arguments.seed,
        "--workers": arguments.workers,
    }
    settings = [part for setting in (f"image_size={arguments.size}", *switches) for part in ("--set", setting)]
    words = [str(word) for option in options.items() for word in option]
    resume = ["--resume"] if (folder / "last.pt").exists() else []
    return [str(Path(sys.executable).parent / "vedette"), "train", "refinedet320-lite0", *words, *settings, *resume]


def refuse_others(folder: Path, switches: list[str], arguments: argparse.Namespace) -> None:
    """Ends the program where a run that is there was made with other settings: the rows would not compare."""
    stored = json.loads((folder / "run.json").read_text())
    config = {name: json.loads(value) for name, _, value in (switch.partition("=") for switch in switches)}
    wanted = {
        "epochs": (stored["recipe"]["epochs"], arguments.epochs),
        "seed": (stored["recipe"]["seed"], arguments.seed),
        "settings": (stored["config"], {"image_size": arguments.size} | config),
    }
    for what, (there, asked) in wanted.items():
        if there != asked:
            sys.exit(f"error: {folder} was trained with {what} {there}, not {asked}: choose another --out")


def commit() -> str:
    """The source's commit, marked where it has been changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


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
    print(
        "| | mAP (VOC area) | images/s while training | epochs | size | seed | commit |\n|---|---|---|---|---|---|---|"
    )
    facts = f"{arguments.epochs} | {arguments.size} | {arguments.seed} | {commit()}"
    for name, result in results.items():
        print(f"| {name} | {100 * result['mAP']:.1f} | {result['images_per_second']:.1f} | {facts} |")


if __name__ == "__main__":
    sys.exit(main())
