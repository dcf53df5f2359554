"""vedette data proposals: the table, the file, the faults."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import vedette
from vedette.cli.main import run
from vedette.weights.files import save_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures in VOC's form with a square each; the second's is difficult."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number, key in enumerate(("a", "b")):
        picture = Image.new("RGB", (80, 60), "green")
        picture.paste("red", (20, 10, 50, 40))
        picture.save(tmp_path / "data" / "JPEGImages" / f"{key}.png")
        (tmp_path / "data" / "Annotations" / f"{key}.xml").write_text(
            f"<annotation><filename>{key}.png</filename><size><width>80</width><height>60</height></size><object>"
            f"<name>square</name><difficult>{number}</difficult><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>50</xmax>"
            "<ymax>40</ymax></bndbox></object></annotation>"
        )
    for split, keys in (("train", "a\nb\n"), ("hard", "b\n")):
        (tmp_path / "data" / "ImageSets" / "Main" / f"{split}.txt").write_text(keys)
    return tmp_path / "data"


def test_the_recall_is_told_and_written(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, cache = tmp_path / "recall.json", tmp_path / "cache"
    options = ["--workers", "0", "--cache", str(cache), "--json", str(file), "--limit", "50"]
    assert run(["data", "proposals", str(folder), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("images 2, boxes 1, ")
    assert lines[1].split() == ["recall", "at", "first", "100", "300", "500", "1000", "2000"]
    assert lines[2].split() == ["IoU", "0.5", *["1.000"] * 5]
    assert lines[3].split() == ["IoU", "0.7", *["1.000"] * 5]
    content = json.loads(file.read_text())
    assert (content["mode"], content["limit"], content["images"], content["boxes"]) == ("fast", 50, 2, 1)
    assert content["recall"]["0.7"]["2000"] == 1
    assert len(list(cache.iterdir())) == 1  # the two pictures are the same

    assert run(["data", "proposals", f"{folder}:hard", *options, "--mode", "quality"]) == 0
    assert "IoU 0.5                —" in capsys.readouterr().out
    assert json.loads(file.read_text())["recall"]["0.5"]["100"] is None
    assert len(list(cache.iterdir())) == 2


def test_an_rpns_proposals_are_counted_instead(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, file = "faster-rcnn-timm/resnet10t", tmp_path / "rpn.safetensors"
    small = {"image_size": 64, "max_side": 96, "anchor_sizes": ((16.0, 32.0),), "least_side": 2.0}
    model = vedette.build(name, num_classes=1, **small, pooling="align", proposals=(40, 10))
    save_weights(file, model, name=name, classes=("square",), input_spec=model.input_spec)
    report = tmp_path / "recall.json"
    options = ["--model", str(file), "--device", "cpu", "--workers", "0", "--json", str(report)]
    assert run(["data", "proposals", str(folder), *options, "--limit", "30"]) == 0
    assert capsys.readouterr().out.startswith("images 2, boxes 1, 30 proposals an image")
    content = json.loads(report.read_text())
    assert (content["model"], content["mode"], content["proposals"]) == (str(file), None, 30)
    assert not (tmp_path / "cache").exists()

    assert run(["data", "proposals", str(folder), "--model", "refinedet320-lite0", "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert "--model refinedet320-lite0: has no RPN; give the weights of a Faster R-CNN" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--json", "/proc/recall.json"], "nothing can be written in /proc"),
        (["--limit", "0"], "--limit"),
        (["--mode", "slow"], "--mode"),
        (["--workers", "100000"], "--workers"),
        (["--cache", __file__], "is a file; give a place in a folder"),
        (["--json", str(Path(__file__).parent)], "is a folder; give a file's name"),
        (["--device", "cpu"], "--device cpu: is for --model; leave --device out"),
        (["--model", "w.safetensors", "--mode", "quality"], "--mode quality: is for selective search"),
        (["--model", "w.safetensors", "--cache", "c"], "--cache c: is for selective search"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(["data", "proposals", str(folder), *more]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert "\n" not in error


def test_a_place_without_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "proposals", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such file or folder" in capsys.readouterr().err


def test_help_has_an_example_and_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom vedette.cli.main import run\n"
        "code = run(['data', 'proposals', '--help'])\nsys.exit(code or bool({'torch', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Example: vedette data proposals" in done.stdout
