"""How many pictures of a folder a detector looks at in a second: decoded ahead, in batches, every file from the disk.

    python benchmarks/folder_speed.py FOLDER refinedet320-lite0 [exported.xml …] [--bf16 --pictures 640 --batch 16]

Models are names, weight files or exported files; they take turns. Prints the median and the spread of each.
"""

import argparse
import statistics
import time
from pathlib import Path

import vedette
from vedette.infer.detector import Detector


def pictures_per_second(detector: Detector, files: list[Path], batch: int, bf16: bool) -> float:
    """Of one run over all the files."""
    began = time.perf_counter()
    detector.detect(files, batch_size=batch, bf16=bf16, keep_image=False)
    return len(files) / (time.perf_counter() - began)


def main() -> None:
    """Prints a line of Markdown table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.folder.iterdir() if path.suffix.lower() == ".jpg")[: arguments.pictures]
    if not files:
        parser.error(f"{arguments.folder}: no .jpg files")
    detectors = {model: vedette.load(model) for model in arguments.models}
    rates: dict[str, list[float]] = {model: [] for model in detectors}
    for turn in range(arguments.turns + 1):
        for model, detector in detectors.items():
            some = files if turn else files[: 2 * arguments.batch]  # the first turn warms up
            rate = pictures_per_second(detector, some, arguments.batch, arguments.bf16)
            rates[model] += [rate] if turn else []
    print(f"| {len(files)} pictures, {'bf16' if arguments.bf16 else 'fp32'} | pictures a second |\n|---|---|")
    for model, found in rates.items():
        print(f"| {Path(model).name} | {statistics.median(found):.0f} ({min(found):.0f} to {max(found):.0f}) |")


if __name__ == "__main__":
    main()
