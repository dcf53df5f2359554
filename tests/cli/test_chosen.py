"""vedette evaluate --choose-thresholds, from the data to a weight file that detect goes by."""

import json
from pathlib import Path

import pytest
from PIL import Image

import vedette
from vedette.cli.main import run
from vedette.infer.load import load
from vedette.weights.files import read_weights, save_weights

Captured = pytest.CaptureFixture[str]
RULE = ["--choose-thresholds", "best-f1"]
COMMAND = ["evaluate", "own.safetensors", "--data", "data", "--workers", "0", "--device", "cpu"]


COLOURS = ("red", "blue")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[list[float]]]:
    """Weights of a detector that was not trained, and the best box of each class that it finds in a red picture."""
    file = tmp_path_factory.mktemp("weights") / "own.safetensors"
    model = vedette.build("ssd300-lite0", num_classes=2, weights_backbone=None)
    save_weights(file, model, name="ssd300-lite0", classes=("cat", "dog"), input_spec=model.input_spec)
    found = load(file, device="cpu").detect(Image.new("RGB", (60, 40), COLOURS[0]), score=0.01)
    return file.read_bytes(), [found.boxes[found.labels == label][0].tolist() for label in (0, 1)]


@pytest.fixture
def weights(made: tuple[bytes, list[list[float]]]) -> bytes:
    return made[0]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: tuple[bytes, list[list[float]]]) -> None:
    """Two pictures, the first annotated with what is found on it best: that is hit, whatever else is found."""
    monkeypatch.chdir(tmp_path)
    Path("own.safetensors").write_bytes(made[0])
    Path("data/images").mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (60, 40), COLOURS[number]).save(f"data/images/{number}.png")
    rows = [
        {"id": 1 + label, "image_id": 0, "category_id": label, "area": 1, "iscrowd": 0,
         "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for label, (x1, y1, x2, y2) in enumerate(made[1])
    ]  # fmt: skip
    images = [{"id": number, "file_name": f"{number}.png", "width": 60, "height": 40} for number in range(2)]
    categories = [{"id": label, "name": name} for label, name in enumerate(("cat", "dog"))]
    content = {"images": images, "categories": categories, "annotations": rows}
    Path("data/val.json").write_text(json.dumps(content))


def test_a_new_file_that_detect_goes_by_and_evaluate_does_not(capsys: Captured, weights: bytes) -> None:
    assert run([*COMMAND, "--json", "before.json"]) == 0
    assert run([*COMMAND, *RULE, "--out", "new.safetensors"]) == 0
    assert capsys.readouterr().out.endswith("scores: new.safetensors\n")
    assert Path("own.safetensors").read_bytes() == weights
    thresholds = load("new.safetensors", device="cpu").thresholds
    assert thresholds is not None
    best = json.loads(Path("before.json").read_text())["report"]["scores"]["per_class"]
    assert thresholds == (best["cat"]["best_f1"]["score"], best["dog"]["best_f1"]["score"])
    assert run(["detect", "data/images", "--model", "new.safetensors", "--out", "found"]) == 0
    assert "note: least scores are those chosen for the classes: cat 0." in capsys.readouterr().err
    rows = json.loads(Path("found/detections.json").read_text())
    assert rows
    assert all(row["score"] >= thresholds[("cat", "dog").index(row["class_name"])] for row in rows)
    again = ["evaluate", "new.safetensors", *COMMAND[2:], "--json", "after.json"]
    assert run(again) == 0
    before, after = (json.loads(Path(f"{name}.json").read_text()) for name in ("before", "after"))
    assert max(thresholds) > 0.01  # or they would be of no consequence
    assert {**before, "model": ""} == {**after, "model": ""}


def test_in_place() -> None:
    assert run([*COMMAND, *RULE, "--in-place"]) == 0
    assert read_weights("own.safetensors").thresholds is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--choose-thresholds", "f1"], "--choose-thresholds 'f1': write best-f1, or precision=0.9"),
        (RULE, "--choose-thresholds: give --out FILE for new weights, or --in-place"),
        ([*RULE, "--out", "new.safetensors", "--in-place"], "--choose-thresholds: give --out FILE"),
        ([*RULE, "--out", "data/val.json"], "--out data/val.json: is there already; give the name of a new file"),
        ([*RULE, "--out", "data/val.json/new"], "--out data/val.json/new: "),
        (["--out", "new.safetensors"], "--out: is for --choose-thresholds; give that too"),
        (["--in-place"], "--in-place: is for --choose-thresholds; give that too"),
        (["own.safetensors", *RULE, "--in-place"], "--choose-thresholds: chooses for one model; name one"),
    ],
)
def test_what_cannot_be_is_told_before_the_work(arguments: list[str], message: str, capsys: Captured) -> None:
    assert run([*COMMAND, *arguments]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(f"error: {message}")
    assert written.err.count("\n") == 1
    assert written.out == ""


def test_bundled_and_exported_files_are_not_written(capsys: Captured) -> None:
    assert run(["evaluate", "refinedet320-lite0", "--data", "data", *RULE, "--in-place"]) == 2
    assert "belongs to the package; give --out FILE" in capsys.readouterr().err
    Path("own.onnx").touch()
    assert run(["evaluate", "own.onnx", "--data", "data", *RULE, "--in-place"]) == 2
    assert "own.onnx is exported; choose for its weights, and export these again" in capsys.readouterr().err
