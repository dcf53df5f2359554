"""vedette export: what is refused before the work; detect and evaluate with what it writes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from infer.backends.shared import write_onnx
from vedette.cli.main import run
from vedette.errors import InputError


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["export", *arguments]) == 2
    return capsys.readouterr().err


def test_bad_input_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "model.onnx")
    given = ("refinedet320-lite0", "--to", "onnx", "--out")
    assert "give it the suffix .onnx" in refused(capsys, *given, str(tmp_path / "model.xml"))
    assert "neither a weight file nor" in refused(capsys, "nothing", "--to", "onnx", "--out", out)
    assert "--compiled: is of --to pt2, not of onnx" in refused(capsys, *given, out, "--compiled")
    assert "no such file" in refused(capsys, *given, out, "--check", str(tmp_path / "none.jpg"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "model.bin").mkdir()
    given = ("refinedet320-lite0", "--to", "openvino", "--out", str(tmp_path / "model.xml"))
    assert "model.bin is a folder; give a file's name" in refused(capsys, *given)
    (tmp_path / "model.bin").rmdir()
    (tmp_path / "model.bin").write_text("somebody's own")
    assert "model.bin, which is written beside it, is there already; give another name" in refused(capsys, *given)
    assert (tmp_path / "model.bin").read_text() == "somebody's own"


@pytest.mark.parametrize(("to", "name"), [("onnx", "a.onnx"), ("openvino", "a.xml"), ("pt2", "a.pt2")])
def test_no_model_of_another_program_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, to: str, name: str
) -> None:
    out = tmp_path / name
    out.write_text("somebody's own")
    given = ("refinedet320-lite0", "--to", to, "--out", str(out))
    assert f"--out {out}: exists, and is no result of this command; give another name" in refused(capsys, *given)
    assert out.read_text() == "somebody's own"
    out.write_bytes(b"\0 vedette_export \0")  # as each of the three formats has it
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: (_ for _ in ()).throw(InputError("went on")))
    assert "went on" in refused(capsys, *given)


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "--help"]) == 0
    assert "Example: vedette export refinedet320-lite0 --to onnx" in capsys.readouterr().out


def test_detect_and_evaluate_take_an_exported_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file finds a dog of 20 × 20 pixels and a cat that fills its input of 100; each is there."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, folder = str(write_onnx(tmp_path / "model.onnx")), tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(folder / "images" / "0.png")
    content = {
        "images": [{"id": 0, "file_name": "0.png", "width": 200, "height": 100}],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 17, "bbox": [0, 0, 200, 100], "iscrowd": 0, "area": 20000},
            {"id": 1, "image_id": 0, "category_id": 18, "bbox": [20, 20, 40, 20], "iscrowd": 0, "area": 800},
        ],
    }
    (folder / "val.json").write_text(json.dumps(content))
    assert run(["detect", str(folder / "images"), "--model", file, "--out", str(tmp_path / "found")]) == 0
    assert "dog 0.90" in capsys.readouterr().out
    numbers = tmp_path / "numbers.json"
    given = ["evaluate", file, "--data", f"{folder}:val", "--metric", "voc12", "--json", str(numbers)]
    assert run([*given, "--workers", "0"]) == 0
    assert json.loads(numbers.read_text())["mAP"] == 1.0
    assert run([*given, "--workers", "0", "--max-detections", "9"]) == 2
    assert "keeps as many as it was exported with" in capsys.readouterr().err
