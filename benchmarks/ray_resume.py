"""A large collection on a local Ray, killed in the middle and gone on with: every picture has one row.

    python benchmarks/ray_resume.py [--pictures 2000] [--workers 1] [--address HOST:PORT of a cluster]

The pictures are of noise, 1 in 100 of them none; the network is a small one. The command is killed (SIGKILL) when half
of the parts are done. The exit code is 1 where a picture has no row, or two.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from PIL import Image

from serve_load import small_model

BROKEN = 100  # one picture of so many is none
PROGRAM = "from vedette.cli.main import main; main()"


def make(folder: Path, count: int) -> list[str]:
    """So many pictures, by their names."""
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:06}.jpg"
        if number % BROKEN:
            Image.effect_noise((160, 120), 80).convert("RGB").save(file)
        else:
            file.write_text("no picture")
    return sorted(str(file) for file in folder.iterdir())


def files_in(out: Path) -> list[str]:
    """Those that have a row, each as often as it has one."""
    return [file for part in sorted(out.glob("part-*.parquet")) for file in pq.read_table(part)["file"].to_pylist()]


def killed_in_the_middle(command: list[str], out: Path, pictures: int) -> None:
    """Runs the command until half of the pictures are done."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if len(files_in(out)) >= pictures / 2:
                process.kill()
            time.sleep(0.05)


def main() -> None:
    """Makes pictures, kills, goes on, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--address", help="a cluster's, which must see the same files")
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        pictures, out = Path(place) / "pictures", Path(place) / "out"
        files = make(pictures, given.pictures)
        command = [sys.executable, "-c", PROGRAM, "detect", str(pictures), "--model", small_model(place), "--ray"]
        command += ["--out", str(out), "--ray-workers", str(given.workers)]
        command += ["--ray-address", given.address] if given.address else []
        start = time.perf_counter()
        killed_in_the_middle(command, out, len(files))
        done, killed = len(files_in(out)), time.perf_counter() - start
        print(f"killed after {killed:.0f} s, {done} of {len(files)} pictures done", flush=True)
        code = subprocess.run([*command, "--resume"], check=False).returncode
        rows = Counter(files_in(out))
        print(
            f"gone on with for {time.perf_counter() - start - killed:.0f} s, exit code {code} (1: some are no pictures)"
        )
        missing, twice = sum(rows[file] == 0 for file in files), sum(rows[file] > 1 for file in files)
        print(f"{rows.total()} rows of {len(files)} pictures: {missing} without a row, {twice} with several")
        sys.exit(bool(missing or twice or rows.total() != len(files) or not 0 < done < len(files)))


if __name__ == "__main__":
    main()
