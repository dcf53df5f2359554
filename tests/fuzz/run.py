"""Damages files of every format in many ways and has them read: no code of theirs may run, no reader may die.

    python tests/fuzz/run.py [--mutants 20000] [--formats pth pkl …] [--log FILE]

A process reads many mutants; where it dies or hangs, that is a fault, and another begins behind it. Prints for each
format how many were read and refused, and every fault with the number that makes its mutant again. Exit 1 with faults.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.formats import FORMATS

COMMAND = [str(Path(__file__).with_name("worker.py"))]
PATIENCE, STARTING = 60.0, 600.0  # seconds for one mutant, and for the first, with the start of its process


class Count(NamedTuple):
    """What became of the mutants of a format."""

    read: int
    refused: int
    faults: list[str]


def fuzz(form: str, mutants: int) -> Count:
    """The mutants 0 to `mutants` - 1 of a format, in as few processes as do not die."""
    ends = dict(line for line in _outcomes(form, mutants))
    faults = [f"{number} {end}" for number, end in ends.items() if end not in ("read", "refused")]
    said = list(ends.values())
    return Count(said.count("read"), said.count("refused"), faults)


def _outcomes(form: str, mutants: int) -> Iterator[tuple[int, str]]:
    first = 0
    while first < mutants:
        command = [sys.executable, *COMMAND, form, str(first), str(mutants)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
            clock = _clock(worker, STARTING)
            for line in worker.stdout or ():
                clock.cancel()
                number, _, end = line.rstrip("\n").partition(" ")
                yield int(number), end
                first, clock = int(number) + 1, _clock(worker)
            clock.cancel()
        if first < mutants:
            yield first, f"the process ended with {worker.returncode}"
            first += 1


def _clock(worker: "subprocess.Popen[str]", seconds: float = PATIENCE) -> Timer:
    clock = Timer(seconds, worker.kill)
    clock.daemon = True
    clock.start()
    return clock


def rows(log: Path) -> dict[str, list[str]]:
    """What a log says of each format, its faults too; formats that are read again take the place of theirs."""
    found: dict[str, list[str]] = {}
    for line in log.read_text().splitlines()[1:] if log.exists() else []:
        first = line.split()[0]
        if first in FORMATS:
            found[first] = []
        found[next(reversed(found))].append(line)
    return found


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=20000, help="of each format")
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--log", type=Path, help="the table goes here too; other formats stay")
    arguments = parser.parse_args()
    kept = rows(arguments.log) if arguments.log else {}
    heading = f"{'format':12} {'mutants':>8} {'read':>8} {'refused':>8} {'faults':>8} {'seconds':>8}"
    print(heading, flush=True)
    faults = 0
    for form in arguments.formats:
        start = time.perf_counter()
        count = fuzz(form, arguments.mutants)
        numbers = (arguments.mutants, count.read, count.refused, len(count.faults), round(time.perf_counter() - start))
        kept[form] = [f"{form:12}" + "".join(f" {number:8}" for number in numbers), *count.faults]
        print("\n".join(kept[form]), flush=True)
        faults += len(count.faults)
    if arguments.log:
        arguments.log.write_text("\n".join([heading, *(line for one in kept.values() for line in one)]) + "\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
