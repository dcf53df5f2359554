"""Makes the pictures of the Learn pages: python tools/learn_figures.py [NAME …] [--out docs/learn/images]."""

import argparse
from collections.abc import Callable
from pathlib import Path

from learn import levels, networks, refinedet, regions

OUT = Path(__file__).parents[1] / "docs" / "learn" / "images"
DRAWN: dict[str, Callable[[], str]] = regions.FIGURES | levels.FIGURES  # geometry alone: the same on every machine
FIGURES: dict[str, Callable[[], str]] = networks.FIGURES | refinedet.FIGURES | DRAWN


def main() -> None:
    """Writes each picture that is named, or all, as SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*FIGURES]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", default=every, choices=[*every, every], help="all by default"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder for them")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        path = given.out / f"{name}.svg"
        path.write_text(FIGURES[name](), encoding="utf-8")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
