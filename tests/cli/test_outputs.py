"""What detect writes where: names of pictures, and files of others."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from cli.upper_left import load
from vedette.cli.main import run
from vedette.cli.outputs import name_pictures

Captured = pytest.CaptureFixture[str]


def names(*files: str, given: dict[str, str] | None = None) -> list[str]:
    return name_pictures([Path(file) for file in files], given or {})


def test_names_of_their_own() -> None:
    assert names("in/a.png", "in/b.jpg", "c") == ["a.jpg", "b.jpg", "c.jpg"]


def test_the_folder_tells_files_of_one_name_apart_then_the_suffix_then_a_number() -> None:
    assert names("x/1.jpg", "y/1.jpg", "y/2.jpg") == ["x_1.jpg", "y_1.jpg", "2.jpg"]
    assert names("x/1.jpg", "x/1.png") == ["x_1_jpg.jpg", "x_1_png.jpg"]
    assert names("x/1.jpg", "x/1.png", "y/1.png") == ["x_1_jpg.jpg", "x_1_png.jpg", "y_1.jpg"]
    assert names("a/x/1.jpg", "b/x/1.jpg") == ["x_1_jpg.jpg", "x_1_jpg-2.jpg"]
    assert names("x/1.jpg", "y/1.jpg", "z/x_1.jpg") == ["x_1.jpg", "y_1.jpg", "x_1-2.jpg"]


def test_names_that_some_disks_do_not_tell_apart() -> None:
    for pair in (("x/a.jpg", "y/A.jpg"), ("x/\u00e9.jpg", "y/e\u0301.jpg"), ("x/stra\u00dfe.jpg", "y/strasse.jpg")):
        assert [name.split("_")[0] for name in names(*pair)] == ["x", "y"]


def test_names_do_not_depend_on_the_order() -> None:
    files = ["x/1.jpg", "y/1.jpg", "y/1.png", "y/2.png", "z/3.jpg"]
    assert sorted(names(*files)) == sorted(names(*reversed(files)))


def test_names_of_before_stay_and_are_not_given_again() -> None:
    real = os.path.realpath("y/1.jpg")
    assert names("x/1.jpg", "y/1.jpg", given={real: "1.jpg"}) == ["x_1.jpg", "1.jpg"]
    assert names("x/2.jpg", given={real: "2.jpg"}) == ["2-2.jpg"]


@pytest.mark.parametrize("stem", ["x" * 250, "\u732b" * 80, "\udcff" * 250])
def test_long_names_are_cut(stem: str) -> None:
    found = names(f"{stem}a.jpg", f"{stem}b.jpg")
    assert len(set(found)) == 2
    assert all(len(os.fsencode(name)) < 200 for name in found)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)
    for name in ("x/1.jpg", "y/1.jpg", "y/1.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 20)).save(name)


def test_each_result_says_which_picture_is_its_own(photos: None) -> None:
    assert run(["detect", "x/1.jpg", "y", "--score", "0.7"]) == 0
    rows = json.loads(Path("detections/detections.json").read_text())
    assert [(row["image_id"], row["file_name"]) for row in rows] == [(0, "x/1.jpg"), (1, "y/1.jpg"), (2, "y/1.png")]
    lines = [json.loads(line) for line in Path("detections/detections.jsonl").read_text().splitlines()]
    assert [(line["file_name"], line["output"]) for line in lines] == [
        ("x/1.jpg", "x_1.jpg"),
        ("y/1.jpg", "y_1_jpg.jpg"),
        ("y/1.png", "y_1_png.jpg"),
    ]
    assert all((Path("detections") / line["output"]).is_file() for line in lines)


@pytest.mark.parametrize("name", ["1.jpg", "detections.json", "detections.jsonl"])
@pytest.mark.parametrize("before", [False, True])
def test_files_of_others_are_not_written_over(photos: None, capsys: Captured, name: str, before: bool) -> None:
    """Neither in a folder of somebody's, nor beside what another run wrote there."""
    Path("out").mkdir()
    if before:
        assert run(["detect", "y/1.png", "--out", "out"]) == 0
        Path("other").mkdir()
        Image.new("RGB", (9, 9)).save("other/mine.png")
        name = "mine.jpg"
    Path("out", name).write_text("mine")
    source = "other/mine.png" if before else "x/1.jpg"
    assert run(["detect", source, "--out", "out"]) == 2
    assert f"--out out: {name} there was not written by this command" in capsys.readouterr().err
    assert Path("out", name).read_text() == "mine"
    assert run(["detect", source, "--out", "out", "--overwrite"]) == 0
    assert Path("out", name).read_bytes() != b"mine"


@pytest.mark.skipif(os.name != "posix", reason="links that lead back are hard to make elsewhere")
def test_a_link_that_leads_back_is_one_picture_that_cannot_be_read(photos: None, capsys: Captured) -> None:
    Path("x/2.jpg").symlink_to("2.jpg")
    assert run(["detect", "x", "--out", "found"]) == 1
    rows = [json.loads(line) for line in Path("found/detections.jsonl").read_text().splitlines()]
    assert {row["file_name"]: "error" in row for row in rows} == {"x/1.jpg": False, "x/2.jpg": True}
    Path("loop").symlink_to("loop")
    for arguments in (["detect", "x/1.jpg", "--out", "loop"], ["detect", "x/1.jpg", "--out", "loop/found"]):
        capsys.readouterr()
        assert run(arguments) == 2
        assert capsys.readouterr().err.startswith("error: --out loop")


def test_a_refused_run_leaves_the_results_of_another(photos: None) -> None:
    assert run(["detect", "x/1.jpg"]) == 0
    before = {file.name: file.read_bytes() for file in Path("detections").iterdir()}
    assert run(["detect", "y", "--model", "none"]) == 2
    assert run(["detect", "y", "--vote"]) == 2
    assert {file.name: file.read_bytes() for file in Path("detections").iterdir()} == before


def test_what_this_command_wrote_is_its_own_in_later_runs(photos: None) -> None:
    for source in ("x/1.jpg", "y/1.png", "x/1.jpg"):
        assert run(["detect", source]) == 0
    assert len(json.loads(Path("detections/detections.json").read_text())) == 2


@pytest.mark.parametrize("content", ["", "{}", "[1]", "no json", "[" * 100_000])
def test_a_record_of_somebody_else(photos: None, capsys: Captured, content: str) -> None:
    Path("out").mkdir()
    Path("out/detect.json").write_text(content)
    assert run(["detect", "x/1.jpg", "--out", "out", "--overwrite"]) == 2
    assert capsys.readouterr().err == (
        "error: --out out: detect.json there is not of this command; give another folder\n"
    )
    assert Path("out/detect.json").read_text() == content
