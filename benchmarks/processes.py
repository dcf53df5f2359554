"""What a process of its own costs: the most memory that one way of detection holds, and seconds from start to end.

python benchmarks/processes.py ROW WAY FOLDER [--quick]     # one look at the bundled photograph; see table.py
"""

import resource
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
    return float(finished(words).split()[-1])


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


def finished(command: list[str]) -> str:
    """Runs a command to its end; what it printed. Ends where it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.decode()[-500:]}")
    return done.stdout.decode()


def main() -> None:
    """One way, once; prints the most megabytes that were held."""
    key, way, folder = sys.argv[1:4]
    row = next(row for row in ROWS if row.key == key)
    ways(row.quick() if "--quick" in sys.argv else row, Path(folder))[way]().detect([PHOTO])
    print(peak())


def peak() -> float:
    """Of this program alone: what the system counts for a process begins with what its parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
