"""The page of lost objects: its numbers lead to its pictures, and an interrupted one leaves nothing."""

import html
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from glass.scenes import Scene, Scenes, told
from glass.test_lost import OBJECT
from glass.test_lost_objects import CROWD, NEIGHBOUR, TINY, finds
from vedette.evaluate.analysis import analyse
from vedette.evaluate.thresholds import Aims
from vedette.glass.advice import advise
from vedette.glass.lost_objects import Survey, find_lost
from vedette.glass.lost_report import write_lost_report
from vedette.glass.lost_tables import numbers
from vedette.glass.oracle import METRIC, ask

CROWDED = Scene(CROWD, [(26.0, 20.0, 58.0, 52.0), NEIGHBOUR], [0, 0])
NOTHING = Scene(lambda arm, odm: None, [TINY, OBJECT], [0, 1])


def surveyed(*scenes: Scene) -> tuple[Scenes, Survey]:
    data = Scenes(scenes)
    return data, find_lost(told(scenes), data, data.truths(), workers=0)


def write(folder: Path, data: Scenes, survey: Survey, **how: object) -> Path:
    analysis = analyse(survey.found, survey.truths, survey.classes, METRIC, aims=Aims(score=survey.score))
    return write_lost_report(
        folder, data, survey, ask(survey), analysis, advise(survey, ask(survey)), {"model": "<m>"}, **how
    )  # type: ignore[arg-type]


def words(page: Path) -> str:
    text = re.sub(r'<a href="#([^"]+)">([^<]+)</a>', r"\2→\1", page.read_text(encoding="utf-8").split("<body>")[1])
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_each_number_leads_to_its_pictures(tmp_path: Path) -> None:
    page = write(tmp_path / "new", *surveyed(finds(), NOTHING, CROWDED))
    text = page.read_text(encoding="utf-8")
    wanted, there = set(re.findall(r'href="#([^"]+)"', text)), set(re.findall(r'<h2 id="([^"]+)"', text))
    assert wanted <= there
    assert {"lost-0", "lost-1", "lost-2", "kind-missed"} <= wanted
    shown = [unquote(file) for file in re.findall(r'<img src="([^"]+)"', text)]
    assert shown
    for file in shown:
        with Image.open(page.parent / file) as picture:
            assert picture.size == (640, 640)
    assert sorted(set(shown)) == sorted(str(one.relative_to(page.parent)) for one in page.parent.glob("pictures/*"))
    assert "<m>" not in text
    assert "http" not in text


def test_a_small_object_is_shown_enlarged(tmp_path: Path) -> None:
    text = write(tmp_path, *surveyed(finds(), NOTHING, CROWDED)).read_text(encoding="utf-8")
    close = re.findall(r'<div class="beside">.*?</div>\s*<figcaption[^>]*>([^<]*)', text, re.DOTALL)
    assert [words.split(":")[0] for words in close] == ["cat"]  # TINY alone: the others are half as wide as the picture
    smallest = text.split("The smallest, enlarged")
    assert len(smallest) == 2  # of the one step that lost a small object
    assert re.findall(r"<br>([^<]+)</fig", smallest[1].split("<h2")[0]) == ["scene1.png"]
    assert ", 6 × 5 px<br>" in smallest[1]


def test_it_says_what_was_counted(tmp_path: Path) -> None:
    text = words(write(tmp_path, *surveyed(finds(), NOTHING, CROWDED)))
    assert "3 lost of 5 objects" in text
    assert "anchors: no anchor or region reaches it 1→lost-0 33 %" in text
    assert "suppress: suppressed 1→lost-2 33 %" in text
    assert "cat 4 2 50 1 · 1" in text
    assert "cow 1 1 100 · 1 ·" in text
    assert "1 of 3 lost objects is suppressed, 1 by the box of a neighbour" in text
    assert "missed" in text.split("Errors by kind", 2)[2]


def test_where_nothing_is_lost_it_says_so(tmp_path: Path) -> None:
    text = words(write(tmp_path, *surveyed(finds())))
    assert "Every object is found." in text
    assert "Pictures of lost objects" not in text


def test_an_interrupted_page_leaves_all_as_it_was(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    lost = surveyed(finds(), NOTHING, CROWDED)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new", *lost, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "old", *lost)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "old", *surveyed(CROWDED, CROWDED), progress=interrupt)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before
    (tmp_path / "old" / "pictures" / "mine.jpg").touch()
    page = write(tmp_path / "old", *surveyed(CROWDED))
    left = {file.name for file in page.parent.glob("pictures/*")}
    assert {"mine.jpg"} < left
    assert not any("scene2" in name for name in left)


def test_its_progress_is_one_count(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    write(tmp_path, *surveyed(finds(), NOTHING, CROWDED), progress=lambda *count: heard.append(count))
    total = len(list(tmp_path.glob("pictures/*")))
    assert heard == [(done, total) for done in range(1, total + 1)]


def test_numbers_for_machines() -> None:
    _, survey = surveyed(finds(), NOTHING, CROWDED)
    analysis = analyse(survey.found, survey.truths, survey.classes, METRIC, aims=Aims(score=survey.score))
    content = numbers(survey, ask(survey), analysis, advise(survey, ask(survey)))
    assert (content["objects"], content["lost"], content["score"]) == (5, 3, 0.5)
    assert [(row["step"], row["reason"], row["lost"]) for row in content["steps"]] == [
        ("anchors", "no anchor or region reaches it", 1),
        ("floor", "under the floor", 1),
        ("suppress", "suppressed", 1),
    ]
    cat = content["classes"]["cat"]
    assert (cat["objects"], cat["lost"]) == (4, 2)
    assert cat["by"][0] == {"step": "anchors", "reason": "no anchor or region reaches it", "lost": 1}
    assert cat["AP"] == pytest.approx(0.5)
    assert content["sizes"]["small"]["lost"] == 1
    last = content["lost_objects"][-1]
    assert (last["image"], last["class"], last["step"], last["crowded"]) == (2, "cat", "suppress", True)
    assert last["suppressor"] == [36, 20, 68, 52]
    assert len(content["advice"]) == 6
    assert content["errors"]["missed"]["count"] == 3  # TIDE has one kind for what three steps lost
