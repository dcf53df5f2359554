"""vedette detect --save: data sets that read back as what was found, a table, crops; nothing of others goes."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from cli.upper_left import load
from vedette.cli.crops import crop_names
from vedette.cli.main import run
from vedette.data.read import read_dataset

Captured = pytest.CaptureFixture[str]
COMMAND = ["detect", "in", "--out", "out"]
SIZES = {"a.jpg": (200, 100), "b.png": (80, 60), "c.png": (40, 20)}


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size, "green").save(Path("in") / name)


@pytest.mark.parametrize("form", ["yolo", "voc", "coco"])
def test_a_data_set_reads_back(form: str, capsys: Captured) -> None:
    assert run([*COMMAND, "--save", form]) == 0
    assert run(["data", "check", f"out/{form}", "--json", "found.json"]) == 0
    checked = json.loads(Path("found.json").read_text())
    assert (checked["images"], checked["boxes"]) == (3, 6)
    dataset = read_dataset(Path("out") / form)
    assert set(dataset.classes) >= {"cat", "dog"}  # VOC's files do not say which others there are
    for index in range(3):
        file = dataset.file(index)
        width, height = SIZES[file.name]
        assert file.read_bytes() == (Path("in") / file.name).read_bytes()
        rows = zip(dataset.labels(index).tolist(), dataset.boxes(index).tolist(), strict=True)
        named = {dataset.classes[label]: box for label, box in rows}
        assert named["dog"] == pytest.approx([0, 0, width / 2, height / 2])
        assert named["cat"] == pytest.approx([0, 0, width, height / 2])
    if form == "coco":
        assert dataset.category_ids == (17, 18)


def test_a_picture_that_is_turned_and_one_without_objects() -> None:
    turned = Image.new("RGB", (60, 40), "green")
    exif = turned.getexif()
    exif[0x0112] = 6
    Path("one").mkdir()
    turned.save("one/turned.jpg", exif=exif)
    for form in ("yolo", "voc", "coco"):
        assert run(["detect", "one", "--out", "of", "--save", form, "--score", "0.7"]) == 0
        dataset = read_dataset(Path("of") / form)
        assert dataset.image(0).size == (40, 60)
        assert dataset.boxes(0).tolist() == [pytest.approx([0, 0, 20, 30], abs=1e-4)]
        assert run(["detect", "one", "--out", "none", "--save", form, "--score", "0.95"]) == 0
    assert len(read_dataset(Path("none/coco"))) == 1


def test_a_table() -> None:
    assert run([*COMMAND, "--save", "csv", "--score", "0.7"]) == 0
    with Path("out/detections.csv").open(newline="") as file:
        first, *others = csv.DictReader(file)
    assert first == {
        "file_name": "in/a.jpg",
        "width": "200",
        "height": "100",
        "class_name": "dog",
        "category_id": "18",
        "score": "0.8999999761581421",
        "x1": "0.0",
        "y1": "0.0",
        "x2": "100.0",
        "y2": "50.0",
    }
    assert [row["file_name"] for row in others] == ["in/b.png", "in/c.png"]


def test_crops() -> None:
    assert run([*COMMAND, "--save", "crops"]) == 0
    files = sorted(str(file.relative_to("out/crops")) for file in Path("out/crops").rglob("*.jpg"))
    assert files == ["a/cat_1.jpg", "a/dog_1.jpg", "b/cat_1.jpg", "b/dog_1.jpg", "c/cat_1.jpg", "c/dog_1.jpg"]
    with Image.open("out/crops/a/dog_1.jpg") as crop:
        assert (crop.format, crop.size) == ("JPEG", (100, 50))
        assert crop.getpixel((50, 25)) == pytest.approx((0, 128, 0), abs=3)  # of the picture, nothing drawn on it


def test_names_of_crops() -> None:
    assert crop_names(["dog", "cat", "dog", "Dog"]) == ["dog_1.jpg", "cat_1.jpg", "dog_2.jpg", "Dog_3.jpg"]
    assert crop_names(["a/b", "..", "", "\n"]) == ["a_b_1.jpg", "__1.jpg", "__2.jpg", "__3.jpg"]
    assert len(crop_names(["ü" * 300])[0].encode()) < 255


def test_crops_of_pictures_with_odd_names(capsys: Captured) -> None:
    Path("odd").mkdir()
    names = ["new\nline.png", "next\x85.png", "..png", "...png", ".written.png"]
    for name in names:
        Image.new("RGB", (20, 10)).save(Path("odd") / name, "PNG")
    given = ["detect", *(f"odd/{name}" for name in names), "--out", "out", "--save", "crops"]
    assert run(given) == 0
    folders = [".written.jpg", "_.", "_..", "new\nline", "next\x85"]
    listed = sorted(f"{folder}/{name}_1.jpg" for folder in folders for name in ("cat", "dog"))
    assert sorted(str(file.relative_to("out/crops")) for file in Path("out").rglob("*_1.jpg")) == listed
    mine = Path("out/crops/line/cat_1.jpg")  # the second line of a picture's name
    mine.parent.mkdir()
    mine.write_text("mine")
    assert run([*given, "--score", "0.7"]) == 0, capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert len(list(Path("out/crops").rglob("dog_1.jpg"))) == len(names)


def test_a_list_of_crops_that_was_not_written_to_its_end() -> None:
    crops, mine = Path("out/crops"), Path("out/crops/a/cat_1.jpg")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (crops / ".written").write_bytes(b"b/cat_1.jpg\0a/cat_1.jpg")
    assert run([*COMMAND, "--save", "crops"]) == 1
    assert mine.read_text() == "mine"


def test_formats_with_commas_and_repeated() -> None:
    assert run([*COMMAND, "--save", "yolo,csv", "--save", "crops", "--save", "csv"]) == 0
    assert {file.name for file in Path("out").iterdir()} >= {"yolo", "detections.csv", "crops"}


@pytest.mark.parametrize(("form", "meant"), [("yollo", "; did you mean yolo?"), ("", ""), ("csv,", "")])
def test_formats_that_there_are_not(form: str, meant: str, capsys: Captured) -> None:
    assert run([*COMMAND, "--save", form]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --save ")
    assert told.endswith(f"no such format{meant or '; there are yolo, voc, coco, csv, crops'}\n")
    assert ("did you mean yolo?" in told) == (form == "yollo")
    assert not Path("out").exists()


def test_a_run_again_takes_the_place_of_its_own() -> None:
    every = [*COMMAND, "--save", "yolo,voc,coco,csv,crops"]
    assert run(every) == 0
    assert run([*every, "--score", "0.7"]) == 0
    assert len(read_dataset("out/yolo").all_labels) == len(read_dataset("out/voc").all_labels) == 3
    assert sorted(file.name for file in Path("out/crops/a").iterdir()) == ["dog_1.jpg"]  # the cats of before are gone
    assert not list(Path("out").glob(".*"))


@pytest.mark.parametrize("form", ["yolo", "voc", "coco", "crops", "csv"])
def test_what_is_not_of_this_command_stays(form: str, capsys: Captured) -> None:
    place = Path("out/detections.csv") if form == "csv" else Path("out") / form / "mine.txt"
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    assert run([*COMMAND, "--save", form]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert place.read_text() == "mine"
    assert not Path("out/detections.jsonl").exists()


@pytest.mark.parametrize(
    ("form", "file"), [("yolo", "labels/train/a.txt"), ("voc", "Annotations/a.xml"), ("coco", "train.json")]
)
def test_labels_that_somebody_mended_stay(form: str, file: str, capsys: Captured) -> None:
    assert run([*COMMAND, "--save", form]) == 0
    label = Path("out") / form / file
    mended = label.read_text().replace("0.5", "0.4").replace("100", "99")
    label.write_text(mended)
    assert run([*COMMAND, "--save", form]) == run([*COMMAND, "--save", form, "--overwrite"]) == 2
    assert "was changed since it was written" in capsys.readouterr().err
    assert label.read_text() == mended


def test_a_crop_of_somebody_elses_stays(capsys: Captured) -> None:
    assert run([*COMMAND, "--save", "crops", "--score", "0.7"]) == 0
    mine = Path("out/crops/b/cat_1.jpg")
    mine.write_text("mine")
    assert run([*COMMAND, "--save", "crops"]) == 1
    assert "cat_1.jpg: was not written by this command" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert Path("out/crops/c/cat_1.jpg").is_file()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that the process would close
def test_a_stopped_run_goes_on_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [*COMMAND, "--save", "yolo,csv,crops", "--batch-size", "1"]
    from vedette.cli import detect

    take, left = detect._take, [1]

    def stopped(*given: object) -> object:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return take(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(detect, "_take", stopped)
    assert run(every) == 130
    assert not Path("out/yolo").exists()
    assert Path("out/crops/a/dog_1.jpg").is_file()
    monkeypatch.setattr(detect, "_take", take)
    assert run([*COMMAND, "--save", "yolo,csv", "--batch-size", "1", "--resume"]) == 2  # without the crops
    assert run([*every, "--resume"]) == 0
    assert len(read_dataset("out/yolo")) == 3
    assert len(Path("out/detections.csv").read_text().splitlines()) == 7
    assert len(list(Path("out/crops").rglob("*.jpg"))) == 6


def test_a_bad_picture_is_left_out_of_the_data_set() -> None:
    Path("in/b.png").write_text("no picture")
    assert run([*COMMAND, "--save", "yolo,csv"]) == 1
    assert len(read_dataset("out/yolo")) == 2
