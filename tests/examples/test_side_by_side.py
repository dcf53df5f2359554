"""The comparison from a folder of pictures to the table and the sheet, and what it refuses."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

import side_by_side
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.data.read import read_datasets
from vedette.structures import Detections
from vedette.weights.imagenet import load_imagenet
from vedette.weights.package import PACKAGE

ROW = dict.fromkeys(side_by_side.COLUMNS, 1.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pictures with a red box each; the first two are to be measured on."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(4):
        picture = Image.new("RGB", (160, 120), (30, 30, 90))
        picture.paste((220, 30, 40), (10 + number, 12, 70 + number, 60))
        picture.save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 120})
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [10 + number, 12, 60, 48]})
    for split, chosen in (("train", slice(4)), ("val", slice(2))):
        names = [{"id": 1, "name": "brick"}]
        content = {"images": images[chosen], "annotations": boxes[chosen], "categories": names}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def words(data: Path, tmp_path: Path) -> list[str]:
    """A command line for one short training."""
    words = ["--data", str(data), "--out", str(tmp_path / "out"), "--size", "128", "--epochs", "1"]
    return [*words, "--batch-size", "2", "--workers", "0", "--device", "cpu", "--only", "single-map"]


@pytest.mark.slow
def test_from_pictures_to_the_table(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(PACKAGE)
    assert side_by_side.main([*words, "--picture", "1.png"]) == 0
    written = capsys.readouterr().out
    table = (tmp_path / "out" / "table.md").read_text()
    assert written == table
    header, rule, row = table.splitlines()
    assert header == "| | " + " | ".join(side_by_side.COLUMNS) + " |"
    assert rule.count("---") == row.count("|") - 1 == 1 + len(side_by_side.COLUMNS)
    assert row.startswith("| (b) single feature map | ")
    numbers = json.loads((tmp_path / "out" / "single-map" / "row.json").read_text())
    assert set(numbers) == set(side_by_side.COLUMNS)
    assert numbers["small"] != numbers["small"]  # NaN: no object is so small
    assert 1 < numbers["M parameters"] < 3
    assert min(numbers[name] for name in ("GFLOPs", "train, images/s", "detect, images/s")) > 0
    assert 0.1 < numbers["peak memory, GiB"] < 20
    with Image.open(tmp_path / "out" / "picture.jpg") as sheet:
        assert sheet.size == (2 * 160, 120 + side_by_side.TITLE_BAR)
    (tmp_path / "out" / "single-map" / "row.json").write_text(json.dumps(ROW))
    assert side_by_side.main(words) == 0  # the row is there, so nothing is trained again
    assert "| 1.0 | 1.0 |" in capsys.readouterr().out


def test_a_row_goes_on_where_it_was_interrupted(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip(PACKAGE)
    begun = side_by_side._parser().parse_args(words)
    begun.epochs = 2
    side_by_side.check(begun)
    begun.epochs = 1  # as if the second epoch had been cut off
    first = side_by_side.train("single-map", begun)
    plain = TimmPyramid(LITE0, (16,))
    load_imagenet(plain)
    assert torch.equal(first.backbone.body.conv_stem.weight, plain.body.conv_stem.weight)  # frozen as ImageNet left it
    begun.epochs = 2
    side_by_side.make_row("single-map", begun)
    lines = (tmp_path / "out" / "single-map" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert (tmp_path / "out" / "single-map" / "row.json").is_file()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "64"], "--size 64: give 128 pixels or more"),
        (["--epochs", "0"], "epochs is 0: give a number from 1"),
        (["--picture", "3.png"], "--picture 3.png: none of the 2 images to measure on; one of them is 0.png"),
        (["--data", "nowhere"], "nowhere: no such file or folder"),
        (["--val", "nowhere"], "nowhere: no such file or folder"),
    ],
)
def test_one_line_for_what_cannot_be(
    words: list[str], more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert side_by_side.main([*words, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not (tmp_path / "out").exists()


def test_data_without_a_split_to_measure_on(words: list[str], data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "val.json").unlink()
    assert side_by_side.main(words) == 2
    assert "has no validation split; name one with --val PATH:SPLIT" in capsys.readouterr().err


def test_a_class_to_measure_that_is_not_learnt(
    words: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (data / "val.json").read_text()
    (data / "val.json").write_text(content.replace("brick", "stone"))
    assert side_by_side.main(words) == 2
    assert "the model does not know these classes of the data: stone" in capsys.readouterr().err


def test_precision_is_in_percent(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = side_by_side._parser().parse_args(words)
    side_by_side.check(arguments)
    val = read_datasets([arguments.val], "evaluate")
    perfect = [
        Detections(val.boxes(index), torch.tensor([0.9]), val.labels(index), torch.tensor([0])) for index in range(2)
    ]
    monkeypatch.setattr(side_by_side, "evaluate_model", lambda *_, **__: perfect)
    model = side_by_side.build("single-map", 1, 128)
    numbers = side_by_side.precision(model, val, ("brick",), arguments)
    assert [numbers[name] for name in ("mAP (VOC area)", "COCO AP", "medium")] == pytest.approx([100.0] * 3)
    assert math.isnan(numbers["small"])


def test_rows_of_other_settings_are_not_mixed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = side_by_side._parser().parse_args(words)
    side_by_side.check(arguments)
    side_by_side.check(arguments)
    assert side_by_side.main([*words, "--seed", "1"]) == 2
    assert "settings.json: begun with seed 0, not 1; choose another --out" in capsys.readouterr().err


def test_the_extra_is_asked_for(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(side_by_side, "find_spec", lambda name: None if name == "hotcoco" else object())
    assert side_by_side.main(words) == 2
    line = 'error: training needs more packages (hotcoco): pip install "vedette[train]"\n'
    assert capsys.readouterr().err == line


def test_how_a_rows_process_may_end(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ended:
        def __init__(self, target: object, args: tuple[object, ...]) -> None:
            self.exitcode = code

        def start(self) -> None: ...
        def join(self) -> None: ...

    context = type("Context", (), {"Process": Ended})
    monkeypatch.setattr(side_by_side.multiprocessing, "get_context", lambda method: context)
    code = 2
    with pytest.raises(SystemExit) as ended:
        side_by_side.main(words)
    assert ended.value.code == 2  # the process has said why
    capsys.readouterr()
    code = -9
    assert side_by_side.main(words) == 2
    assert "error: (b) single feature map: killed by signal 9" in capsys.readouterr().err


def test_a_table_by_hand() -> None:
    rows = {"single-map": ROW | {"small": math.nan, "GFLOPs": 1.26}, "feature-pyramid": ROW}
    lines = side_by_side.table(rows).splitlines()
    assert lines[2] == "| (b) single feature map | 1.0 | 1.0 | – | 1.0 | 1.0 | 1.0 | 1.3 | 1.0 | 1.0 | 1.0 |"
    assert lines[3].startswith("| (d) feature pyramid network | 1.0 |")
    assert len(lines) == 4


def test_panels_fill_rows_of_three() -> None:
    colours = ("red", "green", "blue", "white")
    sheet = side_by_side.sheet_of([Image.new("RGB", (10, 8), colour) for colour in colours])
    assert sheet.size == (30, 16)
    assert [sheet.getpixel(place) for place in ((5, 4), (25, 4), (5, 12))] == [
        (255, 0, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]
    assert sheet.getpixel((15, 4)) == (0, 128, 0)
