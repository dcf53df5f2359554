"""The report: which images it shows, what is drawn, what the page says."""

import html
import json
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
from vedette.evaluate.history import read_history
from vedette.evaluate.matching import judge
from vedette.evaluate.report import conventions, write_report
from vedette.evaluate.thresholds import Aims
from vedette.evaluate.truth import Truth
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
    for mark in marks_of(2, outcomes, found[2], truths[2], ("\U000f0001",), 0.5):  # which no font has
        assert "\U000f0001" not in mark.caption
        assert not mark.caption or "class 0" in mark.caption
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


@pytest.mark.parametrize("metric", ["voc07", "voc12", "coco"])
def test_writes_pages_with_their_pictures(scene, tmp_path, metric):
    found, truths = scene
    coco = coco_average_precision(found, truths, 2) if metric == "coco" else None
    folder = tmp_path / "new" / "report"
    path = write_report(
        folder, Greys(), found, truths, ("<cat>", "cow"), metric=metric, coco=coco, facts={"model": "<m>"}
    )
    assert path == folder / "report.html"
    for page in (path, folder / "pictures.html"):
        text = page.read_text(encoding="utf-8")
        pictures = re.findall(r'<img src="([^"]+)"', text)
        assert pictures
        assert not any(sign in file for file in pictures for sign in "#<>")
        assert all(opened(folder / unquote(file)).shape == (320, 640, 3) for file in pictures)
        assert "<cat>" not in text
        assert "<m>" not in text
        assert "http" not in text
    text = path.read_text(encoding="utf-8")
    assert ("11 points" in text) == (metric == "voc07")
    assert ("pycocotools" in text) == (metric == "coco")


def words(page):
    """What a person reads, without the signs of HTML; numbers that lead somewhere as number→id."""
    text = page.read_text(encoding="utf-8").split("<body>")[1]
    text = re.sub(r'<a href="pictures.html#([^"]+)">([^<]+)</a>', r"\2→\1", text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_counts_are_those_of_the_best_score(scene, tmp_path):
    """From 0.8 on 3 of 6 boxes and 3 false, F1 6 / 12; from 0.4 on 4 and 4, 8 / 14; from 0.1 on 5 and 4, 10 / 15."""
    path = write_report(tmp_path, Greys(), *scene, ("cat",), metric="voc12")
    assert "score ≥ 0.100 : the best F1 over all classes, 0.67" in words(path)
    assert "cat 6 5→found-0 1→missed-0 4→false-0 0.56 0.83" in words(path)


def test_another_score_may_be_asked_for(scene, tmp_path):
    path = write_report(tmp_path, Greys(), *scene, ("cat",), metric="voc12", aims=Aims(score=0.85))
    assert "score ≥ 0.850 : as asked for" in words(path)
    assert "cat 6 2→found-0 4→missed-0 1→false-0" in words(path)


def test_each_number_leads_to_its_pictures(scene, tmp_path):
    path = write_report(tmp_path, Greys(), *scene, ("cat",), metric="voc12")
    pictures = (tmp_path / "pictures.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r'pictures\.html#([^"]+)"', path.read_text(encoding="utf-8")))
    assert wanted == {"found-0", "missed-0", "false-0", "kind-background", "kind-missed"}
    assert wanted == set(re.findall(r'<h2 id="([^"]+)"', pictures))
    missed = pictures.split('id="missed-0"')[1].split("<h2")[0]
    assert "1 in 1" in missed
    assert [tuple(map(float, box)) for box in OVER.findall(missed)] == [(0, 0, 10, 10)]


OVER = re.compile(r'class="over" x="([\d.]+)"\s+y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"')


def test_few_pictures_of_a_number_are_shown_and_all_counted(make_detections, tmp_path):
    found = [make_detections([A, A], [0.9, 0.8 - 0.01 * number], [0, 0]) for number in range(30)]
    write_report(tmp_path, Greys(), found, [truth([A])] * 30, ("cat",), metric="voc12", examples=1)
    pictures = (tmp_path / "pictures.html").read_text(encoding="utf-8")
    assert pictures.count("<h2") == 1  # the duplicates lie below the best score
    assert "30 in 30" in pictures
    assert pictures.count("<img") == 4
    assert len(list((tmp_path / "pictures").iterdir())) == 4


def test_pictures_of_an_earlier_report_go_and_other_files_stay(scene, tmp_path):
    found, truths = scene
    write_report(tmp_path, Greys(), found, truths, ("cat",), metric="voc12")
    mine = {tmp_path / "pictures" / "00001-mine.jpg", tmp_path / "mine.jpg"}
    for file in mine:
        file.touch()
    page = tmp_path / "report.html"
    page.write_text(page.read_text() + '<img src="mine.jpg"><img src="pictures/00001-..%2F..%2Fmine.jpg">')
    (tmp_path / "pictures" / "00001-..").mkdir()
    write_report(tmp_path, Greys(), found[:1], truths[:1], ("cat",), metric="voc12")
    assert set(tmp_path.glob("**/*.jpg")) == {tmp_path / "pictures" / "00000--0-.jpg", *mine}


def test_pictures_show_boxes_in_the_frame_of_the_annotation(scene, tmp_path):
    """The box 0..10 of a frame 200 wide is 0..32 of a picture 640 wide; what points at it goes by the frame too."""
    write_report(tmp_path, Greys(), *scene, ("cat",), metric="voc12")
    drawn = opened(tmp_path / "pictures" / "00000--0-.jpg").astype(int)
    greenish = (drawn[..., 1] - drawn[..., 0] > 60) & (drawn[..., 1] - drawn[..., 2] > 20)
    assert greenish[28:34, :30].any(0).mean() > 0.9
    assert 'viewBox="0 0 200 100"' in (tmp_path / "pictures.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a" * 250, "ü" * 100, "a\udcff<b>", "..", "%2F"])
def test_any_name_of_an_image_will_do(scene, tmp_path, name):
    class Named(Greys):
        def file(self, index):
            return Path(f"folder/{name}.png")

    write_report(tmp_path, Named(), *scene, ("cat",), metric="voc12")
    for page in ("report.html", "pictures.html"):
        shown = re.findall(r'<img src="([^"]+)"', (tmp_path / page).read_text(encoding="utf-8"))
        assert all((tmp_path / unquote(file)).is_file() for file in shown)


def test_nothing_found_and_nothing_that_hits(make_detections, tmp_path):
    nothing = [make_detections([], [], [])], [truth([A])]
    assert "nothing is detected at any" in words(write_report(tmp_path, Greys(), *nothing, ("cat",), metric="voc12"))
    hopeless = [make_detections([C], [0.05], [0])], [truth([A])]
    text = words(write_report(tmp_path, Greys(), *hopeless, ("cat",), metric="voc12"))
    assert "score ≥ 0.050 : no detection hits anything" in text
    assert "1→kind-background" in text


def test_the_training_is_shown_where_its_log_lies_beside_the_weights(scene, tmp_path):
    rows = [{"epoch": 1, "box": 2.5, "mAP": 0.1, "AP/cat": 0.1, "AP/cow": None, "lr": 0.01}, {"mine": 1}]
    log = "\n".join(map(json.dumps, [*rows, {"epoch": 2, "box": 2.0, "mAP": 0.2, "AP/cat": 0.25, "lr": 0.02}]))
    (tmp_path / "log.jsonl").write_text(log + '\nno JSON\n{"epoch": 1e999, "torn')
    (tmp_path / "best.safetensors").touch()
    for weights, there in (
        (tmp_path / "best.safetensors", True),
        (tmp_path / "none.safetensors", False),
        (None, False),
    ):
        path = write_report(tmp_path / "r", Greys(), *scene, ("cat",), metric="voc12", weights=weights)
        text = words(path).split("Training", 2)[-1]
        assert ("By epoch, from the log" in text) == there
        assert ("losses box" in text) == there
        assert ("cat 0.250" in text) == there
    assert read_history(tmp_path / "best.safetensors") == [
        {"epoch": 1, "box": 2.5, "mAP": 0.1, "AP/cat": 0.1, "lr": 0.01},
        {"epoch": 2, "box": 2.0, "mAP": 0.2, "AP/cat": 0.25, "lr": 0.02},
    ]


def test_rows_of_confusions_are_shares(make_detections, tmp_path):
    """Of four cats three are found and one is called a cow; one cow is missed: 75 and 25 percent, 100 percent."""
    boxes = [[20.0 * place, 0.0, 20.0 * place + 10, 10.0] for place in range(5)]
    scene = (
        [make_detections(boxes[:4], [0.9, 0.8, 0.7, 0.6], [0, 0, 0, 1])],
        [Truth.of(torch.tensor(boxes), torch.tensor([0, 0, 0, 0, 1]))],
    )
    text = words(write_report(tmp_path, Greys(), *scene, ("cat", "cow", "none"), metric="voc12", aims=Aims(score=0.5)))
    assert "cat cow 1→confused-0-1" in text
    matrix = text.split("annotated ↓ detected →")[1].split("Precision and recall")[0]
    assert matrix.split() == ["cat", "cow", "missed", "cat", "75→found-0", "25→confused-0-1", "cow", "100", "nothing"]


def test_conventions_name_the_choices():
    text = " ".join(conventions(0.5, "voc07"))
    assert all(word in text for word in ("> 0.5, strictly", "without + 1", "11 points", "Difficult", "no other"))
    assert "every point" in " ".join(conventions(0.5, "voc12"))


def test_coco_needs_its_table(scene, tmp_path):
    with pytest.raises(ValueError, match="needs the table"):
        write_report(tmp_path, Greys(), *scene, ("cat",), metric="coco")


def test_nothing_to_find_is_a_dash_without_a_bar(scene, tmp_path):
    text = write_report(tmp_path, Greys(), *scene, ("cat", "cow"), metric="voc12").read_text(encoding="utf-8")
    cow = re.search(r'<th scope="row">cow</th>.*?</tr>', text, re.DOTALL)[0]
    assert cow.count("<td>—</td>") == 3  # precision, recall, AP
    assert "width:0.0%" in cow
