"""What a process of its own costs: the most memory that one way of detection holds, and seconds from start to end.

python benchmarks/processes.py ROW WAY FOLDER [--quick]     # one look at the bundled photograph; see table.py
"""

import os
import subprocess
import sys
from pathlib import Path

from contenders import DEMO, ROWS, Row, ways

PHOTO = DEMO / "astronaut.jpg"
THEIR_START = """
import torch
from torchvision.io import decode_image
from torchvision.models.detection import ssd300_vgg16
model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21).eval()
with torch.inference_mode():
    model([decode_image({photo!r}) / 255])
"""
OUR_START = "import vedette; vedette.load({file!r}, device='cpu', folded=True).detect({photo!r}, keep_image=False)"


def peak_memory(row: Row, way: str, folder: Path, quick: bool) -> float:
    """The most megabytes that a process held which loads one way and looks at one photograph; ends where it fails."""
    words = [sys.executable, __file__, row.key, way, str(folder), *(["--quick"] if quick else [])]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{row.key}, {way}: the process that measures memory failed")
    return usage.ru_maxrss / 1024


def starts(file: Path, out: Path) -> dict[str, list[str]]:
    """Commands that are timed from start to end; file: weights of SSD300."""
    tool, photo = str(Path(sys.executable).parent / "vedette"), str(PHOTO)
    return {
        "`vedette --help`": [tool, "--help"],
        "`vedette detect --help`": [tool, "detect", "--help"],
        "`import vedette`": [sys.executable, "-c", "import vedette"],
        "`vedette detect` of a photograph, bundled weights": [tool, "detect", photo, "--out", str(out), "--overwrite"],
        "SSD300 from a weight file, one photograph": [
            *(sys.executable, "-c", OUR_START.format(file=str(file), photo=photo)),
        ],
        "SSD300 of torchvision, random weights, one photograph": [
            *(sys.executable, "-c", THEIR_START.format(photo=photo)),
        ],
    }


def finished(command: list[str]) -> None:
    """Runs a command to its end; ends where it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.decode()[-500:]}")


def main() -> None:
    """One way, once."""
    key, way, folder = sys.argv[1:4]
    row = next(row for row in ROWS if row.key == key)
    ways(row.quick() if "--quick" in sys.argv else row, Path(folder))[way]().detect([PHOTO])


if __name__ == "__main__":
    main()
