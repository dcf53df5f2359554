import json
import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from cli.upper_left import load
from vedette.cli.main import run
from vedette.infer.detector import Detector

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever --model says, but "none"."""
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back, where tiles have raised it


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a folder of three photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png", "c.webp"):
        Image.new("RGB", (200, 100), "green").save(tmp_path / "in" / name)
    return Path("in")


def results(folder: str = "detections") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((Path(folder) / "detections.json").read_text())
    return rows


def test_one_photo(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "in/a.jpg"]) == 0
    written = capsys.readouterr()
    assert written.out == "in/a.jpg: dog 0.90, cat 0.60\n1 image, 2 detections: see detections/\n"
    assert written.err == ""
    assert results()[0] == {
        "image_id": 0,
        "category_id": 18,
        "bbox": [0, 0, 100, 50],
        "score": pytest.approx(0.9),
        "file_name": "in/a.jpg",
        "class_name": "dog",
    }
    assert [row["class_name"] for row in results()] == ["dog", "cat"]
    with Image.open("detections/a.jpg") as drawn, Image.open("in/a.jpg") as given:
        assert drawn.format == "JPEG"
        assert ImageChops.difference(drawn, given).getextrema()[0][1] > 100


def test_a_folder_with_a_score_and_another_place(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "in", "--score", "0.7", "--out", "some/where", "--batch-size", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 images, 3 detections: see some/where/"
    written = ["a.jpg", "b.jpg", "c.jpg", "detect.json", "detections.json", "detections.jsonl"]
    assert sorted(file.name for file in Path("some/where").iterdir()) == written
    assert [(row["image_id"], row["file_name"]) for row in results("some/where")] == [
        (0, "in/a.jpg"),
        (1, "in/b.png"),
        (2, "in/c.webp"),
    ]


def test_a_file_is_no_place_for_results(photos: Path, capsys: Captured) -> None:
    Path("taken").touch()
    assert run(["detect", "in/a.jpg", "--out", "taken"]) == 2
    assert capsys.readouterr().err.endswith("taken is a file; give a place in a folder\n")


def test_nothing_found(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "in/*.png", "--score", "0.95"]) == 0
    assert capsys.readouterr().out.startswith("in/b.png: nothing found\n1 image, 0 detections")
    assert results() == []


def test_json(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "in", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == results()
    assert len(results()) == 6


def test_flip_merges_what_both_passes_find(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "in/a.jpg", "--flip"]) == 0
    assert capsys.readouterr().out.startswith("in/a.jpg: dog 0.90, dog 0.90, cat 0.60\n")
    assert sorted(row["bbox"] for row in results()) == [[0, 0, 100, 50], [0, 0, 200, 50], [100, 0, 100, 50]]


@pytest.mark.parametrize("scales", ["32", "32,64", "48,48,32"])
def test_scales(photos: Path, scales: str) -> None:
    assert run(["detect", "in", "--scales", scales]) == 0
    assert [row["bbox"] for row in results()] == [[0, 0, 100, 50], [0, 0, 200, 50]] * 3


def test_nms_is_the_models_or_the_one_chosen(photos: Path) -> None:
    """The upper half is found in both passes, and its twin kept where it is weakened to 0.6 · exp(-2) alone."""
    counts = []
    for nms in ([], ["--nms", "hard"], ["--nms", "linear"], ["--nms", "gaussian"]):
        assert run(["detect", "in/a.jpg", "--flip", "--score", "0.05", *nms]) == 0
        counts.append([row["score"] for row in results() if row["class_name"] == "cat"])
    assert [len(scores) for scores in counts] == [1, 1, 1, 2]
    assert counts[3] == pytest.approx([0.6, 0.6 * 2.718281828**-2])


def test_vote(photos: Path) -> None:
    assert run(["detect", "in/a.jpg", "--flip", "--vote"]) == 0
    assert len(results()) == 3


def test_one_bad_file_among_many(photos: Path, capsys: Captured) -> None:
    (photos / "b.png").write_text("no picture")
    assert run(["detect", "in"]) == 1
    written = capsys.readouterr()
    assert written.err.startswith("error: in/b.png: not an image")
    assert written.err.count("\n") == 1
    assert written.out.splitlines()[-1] == "2 images, 4 detections: see detections/"
    assert {row["file_name"] for row in results()} == {"in/a.jpg", "in/c.webp"}


def test_one_missing_source_among_others(photos: Path, capsys: Captured) -> None:
    assert run(["detect", "none.jpg", "in/a.jpg"]) == 1
    assert capsys.readouterr().err == "error: none.jpg: no such file or folder; check the path\n"


@pytest.mark.parametrize("source", ["none.jpg", "*.gif", "empty", "text.jpg", "zero.jpg", "cut.jpg"])
def test_a_bad_source_alone(photos: Path, source: str, capsys: Captured) -> None:
    Path("empty").mkdir()
    Path("text.jpg").write_text("no picture")
    Path("zero.jpg").touch()
    Path("cut.jpg").write_bytes((photos / "a.jpg").read_bytes()[:500])
    assert run(["detect", source]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"error: {source}: ")
    assert written.err.count("\n") == 1


def test_without_images_nothing_is_made(photos: Path) -> None:
    assert run(["detect", "none.jpg", "*.gif"]) == 2
    assert not Path("detections").exists()


def test_bad_sources_alone(photos: Path, capsys: Captured) -> None:
    Path("text.jpg").write_text("no picture")
    assert run(["detect", "none.jpg", "text.jpg"]) == 2
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["none.jpg", "text.jpg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in/a.jpg", "--out", "in"], "--out in: "),
        (["in/a.jpg", "--out", "in/b.png"], "--out in/b.png: "),
        (["in/a.jpg", "--model", "none"], "none: neither a weight file nor a model's name"),
        ([""], "an empty name is no image"),
        (["in/a.jpg", "--device", "toaster"], "device toaster: "),
        (["in/a.jpg", "--nms", "lineal"], "Invalid value for '--nms': "),
        (["in/a.jpg", "--scales", "32,abc"], "--scales '32,abc': write sizes in pixels with commas between them"),
        (["in/a.jpg", "--scales", ""], "--scales '': write sizes"),
        (["in/a.jpg", "--scales", "32,"], "--scales '32,': write sizes"),
        (
            ["in/a.jpg", "--scales", "32,40"],
            "scales: 40 is no size for this model: give multiples of 16 from 32 to 2048",
        ),
        (["in/a.jpg", "--scales", "99968"], "scales: 99968 is no size"),
        (["in/a.jpg", "--vote"], "vote: one pass alone has nothing to vote on; give more scales, or flip"),
    ],
)
def test_bad_options(photos: Path, arguments: list[str], message: str, capsys: Captured) -> None:
    assert run(["detect", *arguments]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(f"error: {message}")
    assert written.err.count("\n") == 1


@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "RGBA", "P", "1"])
@pytest.mark.parametrize("size", [(60, 40), (1, 1), (1, 5000)])
def test_pictures_of_all_kinds(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    name, out = tmp_path / f"a.{'tif' if mode == 'CMYK' else 'png'}", tmp_path / "out"
    Image.new(mode, size).save(name)
    assert run(["detect", str(name), "--out", str(out)]) == 0
    with Image.open(out / "a.jpg") as drawn:
        assert (drawn.mode, drawn.size) == ("RGB", size)


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(photos: Path, capsys: Captured) -> None:
    Path("found/a.jpg").mkdir(parents=True)
    assert run(["detect", "in", "--out", "found", "--overwrite"]) == 1
    assert "a.jpg cannot be written" in capsys.readouterr().err
    assert len(results("found")) == 6
    assert Path("found/b.jpg").is_file()


def test_nothing_is_written_through_a_link(photos: Path) -> None:
    before = Path("in/a.jpg").read_bytes()
    Path("links").mkdir()
    Path("links/a.jpg").symlink_to(Path("in/a.jpg").resolve())
    assert run(["detect", "links", "--out", "links"]) == 2
    assert run(["detect", "in/a.jpg", "--out", "links"]) == 2
    assert run(["detect", "in/a.jpg", "--out", "links", "--overwrite"]) == 0
    assert not Path("links/a.jpg").is_symlink()
    assert Path("in/a.jpg").read_bytes() == before


def test_pictures_of_others_are_not_written_over(photos: Path, capsys: Captured) -> None:
    """An album that happens to have a picture of the same name."""
    Path("album").mkdir()
    Path("album/a.jpg").write_bytes(b"another original")
    assert run(["detect", "in/a.jpg", "--out", "album"]) == 2
    assert capsys.readouterr().err == (
        "error: --out album: a.jpg there was not written by this command; give another folder, or write it over with "
        "--overwrite\n"
    )
    assert Path("album/a.jpg").read_bytes() == b"another original"
    assert run(["detect", "in/a.jpg", "--out", "new"]) == run(["detect", "in/a.jpg", "--out", "new"]) == 0


@pytest.mark.parametrize("place", ["", "/proc", "/proc/x", "in/a.jpg/x", "taken"])
def test_a_folder_that_cannot_be_is_refused_before_the_work(photos: Path, capsys: Captured, place: str) -> None:
    Path("taken/detections.json").mkdir(parents=True)
    assert run(["detect", "in/a.jpg", "--out", place]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 1


def test_a_name_that_is_not_utf8(photos: Path) -> None:
    strange = os.fsdecode(b"in/\xff.jpg")
    Image.new("RGB", (40, 30)).save(photos / "plain.jpg")
    os.rename(photos / "plain.jpg", strange)
    assert run(["detect", "in"]) == 0
    assert {row["file_name"] for row in results()} >= {"in/a.jpg", strange}


def test_the_lines_of_a_name_that_is_not_utf8(photos: Path, capsys: Captured) -> None:
    Path(os.fsdecode(b"in/\xff.jpg")).write_text("no picture")
    assert run(["detect", "in", "--out", os.fsdecode(b"\xfe")]) == 1
    written = capsys.readouterr()
    assert written.err.startswith("error: in/\\udcff.jpg: not an image")
    assert written.out.endswith("see \\udcfe/\n")


def test_nothing_is_written_through_a_hard_link(photos: Path) -> None:
    before = Path("in/a.jpg").read_bytes()
    Path("found").mkdir()
    Path("found/a.jpg").hardlink_to("in/a.jpg")
    assert run(["detect", "in/a.jpg", "--out", "found", "--overwrite"]) == 0
    assert Path("found/a.jpg").read_bytes() != before
    assert Path("in/a.jpg").read_bytes() == before


def test_a_picture_too_long_for_a_jpeg(photos: Path, capsys: Captured) -> None:
    Image.new("RGB", (1, 70000)).save(photos / "long.png")
    assert run(["detect", "in"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: in/long.png: detections/long.jpg: 1 x 70000 pixels are too many for a JPEG")
    assert error.count("\n") == 1
    assert len(results()) == 8
    assert sorted(file.name for file in Path("detections").glob("*.jpg")) == ["a.jpg", "b.jpg", "c.jpg"]


def test_the_one_picture_cannot_be_written_and_shows_nothing(photos: Path, capsys: Captured) -> None:
    Path("found/a.jpg").mkdir(parents=True)
    assert run(["detect", "in/a.jpg", "--score", "0.95", "--out", "found", "--overwrite"]) == 1
    assert capsys.readouterr().out.endswith("1 image, 0 detections: see found/\n")
    assert results("found") == []


def test_of_several_pictures_in_a_file_the_first_is_looked_at_and_that_is_said(photos: Path, capsys: Captured) -> None:
    """But for a phone's MPO, whose other pictures are previews."""
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "green")]
    for name in ("b.gif", "c.tif", "d.mpo"):
        frames[0].save(name, save_all=True, append_images=frames[1:])
    assert run(["detect", "b.gif", "c.tif", "d.mpo", "in/a.jpg"]) == 0
    assert capsys.readouterr().err == ("note: b.gif, c.tif: more than one picture in a file, the first was looked at\n")


def test_what_is_passed_over_is_said_on_stderr(photos: Path, capsys: Captured) -> None:
    (photos / "labels.txt").touch()
    assert run(["detect", "in", "--json"]) == 0
    written = capsys.readouterr()
    assert written.err == "note: in: passed over 1 .txt\n"
    assert len(json.loads(written.out)) == 6


def test_a_named_font_that_is_none_is_refused_before_the_work(
    photos: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEDETTE_FONT", "none.ttf")
    assert run(["detect", "in"]) == 2
    assert capsys.readouterr().err.startswith("error: none.ttf: VEDETTE_FONT names it, and it is no font")
    assert not Path("detections").exists()


def test_each_picture_has_one_line_whatever_its_name(photos: Path, capsys: Captured) -> None:
    os.rename("in/a.jpg", "in/a\n\x1b[31m\u3000猫.jpg")
    assert run(["detect", "in/a\n\x1b[31m\u3000猫.jpg"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == r"in/a\n\x1b[31m\u3000猫.jpg: dog 0.90, cat 0.60"
    assert results()[0]["file_name"] == "in/a\n\x1b[31m\u3000猫.jpg"


def test_tiles(photos: Path) -> None:
    """Tiles of 100 begin at 0, 50 and 100; what they cut of the upper half falls to the whole of it."""
    assert run(["detect", "in/a.jpg", "--tiles", "200"]) == 0
    assert [row["bbox"] for row in results()] == [[0, 0, 100, 50], [0, 0, 200, 50]]
    assert run(["detect", "in/a.jpg", "--tiles", "100"]) == 0
    assert [row["bbox"] for row in results()] == [[0, 0, 100, 50], [100, 0, 50, 50], [0, 0, 200, 50]]


def test_tiles_of_a_picture_that_is_else_too_large(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)  # of which Pillow takes twice as many
    assert run(["detect", "in/a.jpg"]) == 2
    monkeypatch.setattr("vedette.cli.looking.LARGE", 20_000)
    assert run(["detect", "in/a.jpg", "--tiles", "100"]) == 0
    monkeypatch.setattr("vedette.cli.looking.LARGE", 19_999)
    assert run(["detect", "in/a.jpg", "--tiles", "100"]) == 2


def test_classes(photos: Path, capsys: Captured) -> None:
    for given in (["--classes", "cat"], ["--classes", "17"], ["--classes", "cat, cat"]):
        assert run(["detect", "in/a.jpg", *given]) == 0
        assert [row["class_name"] for row in results()] == ["cat"]
    assert run(["detect", "in/a.jpg", "--classes", "cat", "--classes", "dog"]) == 0
    assert [row["class_name"] for row in results()] == ["dog", "cat"]
    capsys.readouterr()
    assert run(["detect", "in/a.jpg", "--classes", "cat,catt"]) == 2
    assert capsys.readouterr().err == "error: classes: 'catt' is no class of this detector; did you mean cat?\n"


def test_the_weights_own_scores(photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def own(*given: object, **config: object) -> Detector:
        detector = load(*given, **config)  # type: ignore[arg-type]
        detector.thresholds = (0.7, 0.25)
        return detector

    monkeypatch.setattr("vedette.infer.load.load", own)
    assert run(["detect", "in/a.jpg"]) == 0
    written = capsys.readouterr()
    assert written.err == (
        "note: least scores are those chosen for the classes: cat 0.70, dog 0.25; --score gives one for all\n"
    )
    assert [row["class_name"] for row in results()] == ["dog"]
    assert run(["detect", "in/a.jpg", "--score", "0.5"]) == 0
    assert capsys.readouterr().err == ""
    assert [row["class_name"] for row in results()] == ["dog", "cat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tiles", "8"], "--tiles is 8: give the pixels of a side, a whole number from 32 on"),
        (["--tiles", "many"], "Invalid value for '--tiles': "),
        (["--tiles", "640", "--overlap", "1"], "--overlap is 1.0: give the share of a tile, from 0 to 0.9"),
        (["--overlap", "0.2"], "--overlap is of tiles alone: give their side too"),
        (["--classes", ""], "classes: '' is no class of this detector; it has cat, dog"),
    ],
)
def test_tiles_and_classes_that_cannot_be(photos: Path, arguments: list[str], message: str, capsys: Captured) -> None:
    assert run(["detect", "in/a.jpg", *arguments]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(f"error: {message}")
    assert written.err.count("\n") == 1
