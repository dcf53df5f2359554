"""The report: which images it shows, what is drawn, what the page says."""

import math
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.examples import marks_of, score_images
from vedette.evaluate.matching import judge
from vedette.evaluate.report import conventions, write_report
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import Curve
from vedette.pages.curves import curve_svg
from vedette.pages.marks import COLOURS, Mark, draw_marks

A, B, C = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [40.0, 40.0, 50.0, 50.0]


class Greys:
    """Grey pictures, 100 wide and 50 high; the boxes are in a frame twice as large."""

    def file(self, index: int) -> Path:
        return Path(f"folder/<{index}>#.png")

    def size(self, index: int) -> tuple[int, int]:
        return 200, 100

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (100, 50), (127, 127, 127))


def truth(boxes, difficult=None, crowd=None):
    marks = [None if mark is None else torch.tensor(mark) for mark in (difficult, crowd)]
    return Truth.of(torch.tensor(boxes).reshape(-1, 4), torch.zeros(len(boxes), dtype=torch.int64), *marks)


@pytest.fixture
def scene(make_detections):
    """Images: all right; one found, one missed, one false; all wrong; nothing there and nothing found; only weak."""
    found = [
        make_detections([A, B], [0.9, 0.8], [0, 0]),
        make_detections([A, C, B], [0.9, 0.8, 0.1], [0, 0, 0]),
        make_detections([C, B], [0.9, 0.8], [0, 0]),
        make_detections([A], [0.4], [0]),
        make_detections([A], [0.4], [0]),
    ]
    return found, [truth([A, B]), truth([A, B]), truth([A]), truth([]), truth([A])]


def test_scores_of_images(scene):
    images = score_images(judge(*scene), 5, 0.5)
    assert images.hits.tolist() == [2, 1, 0, 0, 0]
    assert images.false.tolist() == [0, 1, 2, 0, 0]
    assert images.missed.tolist() == [0, 1, 1, 0, 1]
    assert images.f1.tolist() == pytest.approx([1, 0.5, 0, math.nan, 0], nan_ok=True)


def test_best_and_worst(scene):
    images = score_images(judge(*scene), 5, 0.5)
    assert images.best(5) == [0, 1]  # not those without a hit
    assert images.worst(5) == [2, 4, 1]  # not the faultless, not those with nothing to do
    assert images.worst(1) == [2]


def test_of_faultless_images_the_fuller_is_better(make_detections):
    found = [make_detections([A], [0.9], [0]), make_detections([A, B], [0.9, 0.8], [0, 0])]
    assert score_images(judge(found, [truth([A]), truth([A, B])]), 2, 0.5).best(2) == [1, 0]


def test_marks_tell_the_kinds_apart(make_detections):
    boxes = [A, B, C, [60.0, 0.0, 70.0, 10.0]]
    gt = truth(boxes, difficult=[False, False, True, False], crowd=[False, False, False, True])
    found = make_detections([A, A, C, [0.0, 80.0, 9.0, 90.0], B], [0.9, 0.8, 0.7, 0.6, 0.2], [0] * 5)
    marks = marks_of(0, judge([found], [gt]), found, gt, ("cat",), 0.5)
    assert [(mark.kind, mark.caption, mark.dashed) for mark in marks] == [
        ("annotated", "", True),
        ("missed", "missed: cat", True),
        ("ignored", "cat (difficult)", True),
        ("ignored", "cat (crowd)", True),
        ("false", "false: cat 0.60", False),
        ("ignored", "cat 0.70", False),
        ("false", "false: cat 0.80", False),
        ("hit", "cat 0.90", False),
    ]
    assert marks[-1].box == tuple(A)


def test_marks_are_those_of_the_image(scene):
    found, truths = scene
    outcomes = judge(found, truths)
    assert [mark.kind for mark in marks_of(2, outcomes, found[2], truths[2], ("cat",), 0.5)] == [
        "missed",
        "false",
        "false",
    ]


def test_draws_solid_and_dashed():
    picture = Image.new("RGB", (320, 160))
    marks = [Mark((50, 20, 100, 60), "hit", "", False), Mark((200, 20, 300, 60), "missed", "", True)]
    drawn = np.asarray(draw_marks(picture, marks))
    assert drawn.shape == (320, 640, 3)
    assert picture.getextrema() == ((0, 0),) * 3  # the picture itself is untouched
    green, amber = (np.all(drawn == colour(COLOURS[kind]), axis=2) for kind in ("hit", "missed"))
    assert green[40, 100:199].all()
    assert 0.3 < amber[40, 400:599].mean() < 0.7
    assert not green[:, 220:].any()


def opened(file):
    with Image.open(file) as picture:
        return np.asarray(picture)


def colour(text):
    return [int(text[at : at + 2], 16) for at in (1, 3, 5)]


def test_boxes_beyond_the_picture_and_thin_ones_can_be_drawn():
    marks = [Mark((-9, -9, 99, 99), "false", "x", False), Mark((3, 3, 3, 3), "missed", "y", True)]
    assert draw_marks(Image.new("RGB", (5, 1)), marks).size == (640, 128)


def test_a_curve_starts_at_no_recall_and_has_a_dot():
    svg = curve_svg(Curve(np.array([0.5, 0.5, 1.0]), np.array([1, 0.5, 2 / 3]), np.array([0.9, 0.6, 0.3])), 0.5)
    assert "recall 0.50, precision 0.50" in svg
    assert svg.count("L") == 6 + 1  # the envelope's corners, one further hit


@pytest.mark.parametrize("recall", [[], [math.nan], [0.0]])
def test_a_curve_of_nothing(recall):
    values = np.array(recall)
    assert curve_svg(Curve(values, np.zeros_like(values), np.zeros_like(values)), 0.5).startswith("<svg")


def test_long_curves_are_thinned():
    many = np.arange(1, 5001) / 5000
    assert len(curve_svg(Curve(many, np.ones(5000), many[::-1]), 0.5)) < 20_000


@pytest.mark.parametrize("metric", ["voc07", "voc12", "coco"])
def test_writes_a_page_with_its_pictures(scene, tmp_path, metric):
    found, truths = scene
    coco = coco_average_precision(found, truths, 2) if metric == "coco" else None
    folder = tmp_path / "new" / "report"
    path = write_report(
        folder, Greys(), found, truths, ("<cat>", "cow"), metric=metric, coco=coco, facts={"model": "<m>"}
    )
    text = path.read_text(encoding="utf-8")
    assert path == folder / "report.html"
    pictures = re.findall(r'<img src="([^"]+)"', text)
    assert len(pictures) == 5
    assert not any(sign in file for file in pictures for sign in "#<>")
    assert all(opened(folder / unquote(file)).shape == (320, 640, 3) for file in pictures)
    assert "<cat>" not in text
    assert "<m>" not in text
    assert ("11 points" in text) == (metric == "voc07")
    assert ("pycocotools" in text) == (metric == "coco")
    assert "http" not in text


def test_pictures_of_an_earlier_report_go_and_other_files_stay(scene, tmp_path):
    found, truths = scene
    write_report(tmp_path, Greys(), found, truths, ("cat",), metric="voc12")
    mine = {tmp_path / "worst" / "01-mine.jpg", tmp_path / "mine.jpg"}
    for file in mine:
        file.touch()
    page = tmp_path / "report.html"
    page.write_text(page.read_text() + '<img src="mine.jpg"><img src="best/01-..%2F..%2Fmine.jpg">')
    (tmp_path / "best" / "01-..").mkdir()
    write_report(tmp_path, Greys(), found[:1], truths[:1], ("cat",), metric="voc12")
    assert set(tmp_path.glob("**/*.jpg")) == {tmp_path / "best" / "01-<0>#.jpg", *mine}


def test_pictures_show_boxes_in_the_frame_of_the_annotation(scene, tmp_path):
    """The box 0..10 of a frame 200 wide is 0..32 of a picture 640 wide."""
    write_report(tmp_path, Greys(), *scene, ("cat",), metric="voc12")
    drawn = opened(tmp_path / "best" / "01-<0>#.jpg").astype(int)
    greenish = (drawn[..., 1] - drawn[..., 0] > 60) & (drawn[..., 1] - drawn[..., 2] > 20)
    assert greenish[28:34, :30].any(0).mean() > 0.9


def test_conventions_name_the_choices():
    text = " ".join(conventions(0.5, "voc07"))
    assert all(word in text for word in ("> 0.5, strictly", "without + 1", "11 points", "Difficult", "no other"))
    assert "every point" in " ".join(conventions(0.5, "voc12"))


def test_coco_needs_its_table(scene, tmp_path):
    with pytest.raises(ValueError, match="needs the table"):
        write_report(tmp_path, Greys(), *scene, ("cat",), metric="coco")


def test_nothing_to_find_is_a_dash_without_a_bar(scene, tmp_path):
    text = write_report(tmp_path, Greys(), *scene, ("cat", "cow"), metric="voc12").read_text(encoding="utf-8")
    cow = re.search(r"<td>cow</td>.*?</tr>", text, re.DOTALL)[0]
    assert cow.count("<td>—</td>") == 3  # precision, recall, AP
    assert "width:0.0%" in cow
