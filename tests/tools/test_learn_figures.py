"""The pictures of the Learn pages are those that the repository's command makes, each is shown, and they are small."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

import learn_figures
from learn.canvas import Canvas, panels, panels_height
from learn.regions import bins
from vedette.ops.roi import numbered, roi_max_pool

PAGES = Path(__file__).parents[2] / "docs" / "learn"
IMAGES = PAGES / "images"
PICTURE = re.compile(r'base64,[^"]*')  # a JPEG depends on the program that wrote it


def test_every_picture_is_made_and_shown() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    shown = set(re.findall(r'src="images/([\w-]+)\.svg"', pages))
    assert shown == set(learn_figures.FIGURES) == {path.stem for path in IMAGES.iterdir()}


def test_they_are_small_and_well_formed() -> None:
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 1.5e6
    for path in IMAGES.iterdir():
        assert ET.parse(path).getroot().tag.endswith("svg")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the command, in a process of its own: selective search ranks by the C library's numbers, which all share."""
    folder = tmp_path_factory.mktemp("drawn")
    command = [sys.executable, learn_figures.__file__, *learn_figures.DRAWN, "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", learn_figures.DRAWN)
def test_what_is_geometry_alone_is_as_it_stands_there(name: str, drawn: Path) -> None:
    made, kept = ((folder / f"{name}.svg").read_text(encoding="utf-8") for folder in (drawn, IMAGES))
    assert PICTURE.sub("", made) == PICTURE.sub("", kept)


@pytest.mark.parametrize("name", ["refinedet-matching", "refinedet-filtered", "refinedet-two-steps"])
def test_what_the_detector_says_is_said_there(name: str) -> None:
    made, kept = (
        ET.fromstring(text).itertext()
        for text in (learn_figures.FIGURES[name](), (IMAGES / f"{name}.svg").read_text(encoding="utf-8"))
    )
    numbers = [[float(number) for number in re.findall(r"\d+\.?\d*", "".join(words))] for words in (made, kept)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.03, abs=2)


def test_bins_are_read_from_the_pooling() -> None:
    """A region of 2 × 2 cells of 16 pixels, in 2 × 2 bins: a cell each."""
    region = numbered(torch.tensor([[[16.0, 32, 32, 48]]]))
    found = bins(lambda x: roi_max_pool(x, region, 2, 1 / 16))
    assert found == [[1, 2, 1, 2], [2, 2, 2, 2], [1, 3, 1, 3], [2, 3, 2, 3]]


def test_panels_fill_the_canvas() -> None:
    canvas = Canvas(panels_height(3, (100, 50), 2), "three")
    made = panels(canvas, ["a", "b", "c"], (100, 50), 2)
    assert [panel.left for panel in made] == [0, 328, 0]
    x, y = made[-1].at(100, 50)
    assert (x, y) == (312, canvas.height)
