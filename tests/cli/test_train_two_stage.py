"""vedette train, detect and evaluate for Fast and Faster R-CNN, FPN and RetinaNet, from pictures to pictures."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import vedette
from vedette.cli.main import run

SMALL = ["--set", "image_size=64", "--set", "max_side=96"]
FPN = ["--set", "width=32", "--set", "rpn_channels=32", "--set", "anchor_sizes=[[8],[16],[32],[48],[64]]"]
NAMES = {
    "fast-rcnn-timm/resnet10t": ["--set", "proposals=50"],
    "faster-rcnn-timm/resnet10t": ["--set", "rpn_channels=32", "--set", "anchor_sizes=[[16,32]]"],
    "faster-rcnn-timm/resnet10t-fpn": [*FPN, "--set", "proposals=[50,20]"],
    "retinanet-timm/resnet10t-fpn": ["--set", "width=32"],
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wide and high pictures with a red or a green box, two classes; the first three are val too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(6):
        size = (120, 80) if number % 2 else (80, 110)
        picture = Image.new("RGB", size, (30, 30, 90))
        picture.paste((200, 30, 40) if number % 2 else (40, 200, 30), (10 + number, 12, 60 + number, 52))
        picture.save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": size[0], "height": size[1]})
        boxes.append({"id": number, "image_id": number, "category_id": number % 2, "bbox": [10 + number, 12, 50, 40]})
    names = [{"id": 0, "name": "leaf"}, {"id": 1, "name": "brick"}]
    for split, count in (("train", 6), ("val", 3)):
        content = {"images": images[:count], "annotations": boxes[:count], "categories": names}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name.startswith("retinanet") else pytest.mark.slow) for name in NAMES]
)
def test_trains_resumes_evaluates_and_detects(name: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", name, "--data", str(data), "--out", str(out), "--backbone", "random", *SMALL, *NAMES[name]]
    words += ["--batch-size", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
    if name.startswith("fast-rcnn"):
        pytest.importorskip("cv2")
    assert run([*words, "--epochs", "1"]) == 0
    assert run([*words[:-2], "--epochs", "2", "--resume"]) == 0
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    file = out / "last.safetensors"
    report = tmp_path / "numbers.json"
    assert run(["evaluate", str(file), "--data", str(data), "--metric", "voc12", "--json", str(report)]) == 0
    assert set(json.loads(report.read_text())["per_class"]) == {"leaf", "brick"}
    assert run(["detect", str(data / "images"), "--model", str(file), "--out", str(tmp_path / "found")]) == 0
    assert len([one for one in (tmp_path / "found").iterdir() if one.suffix == ".jpg"]) == 6


@pytest.mark.parametrize("name", NAMES)
def test_saves_loads_and_detects_the_same(name: str, data: Path, tmp_path: Path) -> None:
    from vedette.infer.detector import Detector
    from vedette.weights.files import save_weights

    if name.startswith("fast-rcnn"):
        pytest.importorskip("cv2")
    torch.manual_seed(0)
    model = vedette.build(name, num_classes=2, image_size=64, max_side=96)
    save_weights(tmp_path / "w.safetensors", model, name=name, classes=("leaf", "brick"), input_spec=model.input_spec)
    loaded = vedette.load(tmp_path / "w.safetensors", device="cpu")
    own = Detector(model, model.input_spec, ("leaf", "brick"), "cpu")  # type: ignore[arg-type]
    assert loaded.input_spec == own.input_spec
    photo = data / "images" / "1.png"
    first, second = own.detect(photo, score=0.005), loaded.detect(photo, score=0.005)
    assert len(first) > 0
    assert torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.source, second.source)


def test_sides_that_cannot_be_are_one_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "retinanet-timm/resnet10t-fpn"
    words = ["train", name, "--data", str(data), "--out", str(tmp_path / "run"), "--backbone", "random", *SMALL]
    words += ["--set", "width=16", "--workers", "0", "--device", "cpu", "--precision", "fp32", "--epochs", "1"]
    assert run([*words, "--set", "max_side=50"]) == 2
    assert "max_side is 50: give no less than image_size, 64" in capsys.readouterr().err


def test_anchors_larger_than_the_images_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "faster-rcnn-timm/resnet10t", "--data", str(data), "--out", str(tmp_path / "run"), *SMALL]
    words += ["--backbone", "random", "--workers", "0", "--device", "cpu", "--epochs", "1", "--set", "rpn_channels=16"]
    assert run(words) == 2
    error = capsys.readouterr().err
    assert "image_size 64: no anchor lies inside an image of 64 by " in error
    assert run([*words, "--set", "anchor_sizes=[[48]]", "--start-size", "32"]) == 2
    assert "--start-size 32: no anchor lies inside an image of 32 by " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert run([*words, "--set", "cross_border=true"]) == 0


@pytest.mark.slow
def test_sppnet_trains_in_stages_goes_on_and_detects(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("sklearn")
    out = tmp_path / "run"
    words = ["train", "sppnet-timm/resnet10t", "--data", str(data), "--out", str(out), "--backbone", "random"]
    words += ["--set", "scales=[64,96]", "--set", "window=48", "--set", "hidden=32", "--set", "proposals=50"]
    words += ["--batch-size", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
    assert run([*words, "--epochs", "1"]) == 0
    assert run([*words, "--epochs", "12", "--resume"]) == 0
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 1, *range(2, 13), 12]
    assert lines[-1]["mAP"] > 0.9
    found = vedette.load(out, device="cpu").detect(data / "images" / "0.png", score=0.01)
    assert bool((found.source >= 0).all())
    again = vedette.load(out / "last.safetensors", device="cpu").detect(data / "images" / "0.png", score=0.01)
    assert torch.equal(again.boxes, found.boxes)
    assert run(["evaluate", str(out), "--data", str(data), "--device", "cpu", "--workers", "0"]) == 0


def test_sppnet_from_scratch_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "sppnet-zf5", "--data", str(data), "--out", str(tmp_path / "run")]
    assert run([*words, "--scratch"]) == 2
    assert "the convolutions of sppnet-zf5 are not trained, so they need weights" in capsys.readouterr().err
    assert run(words) == 2
    assert "nobody hands out ZF5's; give the path of a file" in capsys.readouterr().err


def four_steps(name: str, data: Path, out: Path) -> list[str]:
    words = ["train", name, "--data", str(data), "--out", str(out), *SMALL, *NAMES[name]]
    return [*words, "--batch-size", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faster-rcnn-timm/resnet10t", "faster-rcnn-timm/resnet10t-fpn"])
def test_four_steps_from_pictures_to_pictures(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vedette.train.four_step import FourStepTraining

    out = tmp_path / "run"
    words = four_steps(name, data, out)
    begin = ["--recipe", "four-step", "--epochs", "1", "--backbone", "random"]
    with monkeypatch.context() as cut:
        cut.setattr(FourStepTraining, "_propose", lambda *_: int("no power"))
        with pytest.raises(ValueError, match="no power"):
            run([*words, *begin])
    assert json.loads((out / "run.json").read_text())["recipe"]["alternating"] is True
    printed = capsys.readouterr().out
    assert "alternating True" in printed
    assert "step 1: the RPN, from the start weights, 1 of 1 epoch\n" in printed
    assert run([*words, *begin]) == 2
    assert "already holds a run: go on with --resume" in capsys.readouterr().err
    assert run([*words, "--resume", "--epochs", "2"]) == 2
    assert "--epochs 2: the run was started with 1; leave --epochs out" in capsys.readouterr().err
    assert run([*words, "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "step 1: the RPN, from the start weights, 0 of 1 epoch\n" in printed
    assert [printed.count(f"step {number}: epoch") for number in (1, 2, 3, 4)] == [0, 1, 1, 1]
    assert [printed.count(f"step {number}: epoch 1.00  class") for number in (2, 4)] == [1, 1]
    assert printed.count("mAP") == 2  # of the networks of steps 1 and 2, and of step 4's
    found = tmp_path / "found"
    assert run(["detect", str(data / "images"), "--model", str(out), "--out", str(found), "--score", "0.01"]) == 0
    assert json.loads((found / "detections.json").read_text())
    assert run(["evaluate", str(out / "last.safetensors"), "--data", str(data), "--workers", "0"]) == 0
    third = tmp_path / "third"
    again = [*four_steps(name, data, third), "--recipe", "four-step", "--epochs", "1"]
    assert run([*again, "--init", str(out)]) == 0
    given = vedette.load(out, device="cpu").model.state_dict()
    start = vedette.load(third / "start.safetensors", device="cpu").model.state_dict()
    assert all(torch.equal(tensor, given[key]) for key, tensor in start.items())


def test_four_steps_are_refused_in_a_line_where_they_cannot_be(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--data", str(data), "--out", str(tmp_path / "run"), "--recipe", "four-step"]
    for name in ("ssd300-lite0", "retinanet-timm/resnet10t-fpn", "fast-rcnn-lite0", "rcnn-lite0"):
        assert run(["train", name, *more]) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith(
            f"error: --recipe four-step: {name} has no RPN and detector that take turns; these have"
        )
        assert error.endswith("faster-rcnn-lite0-fpn, faster-rcnn-timm/<name>-fpn, faster-rcnn-timm/<name>")
        assert "\n" not in error
    assert run(["train", "faster-rcnn-lite0", *more, "--schedule", "paper"]) == 2
    assert "--schedule paper is --recipe paper, and --recipe is four-step" in capsys.readouterr().err
    words = four_steps("faster-rcnn-timm/resnet10t", data, tmp_path / "run")
    monkeypatch.setattr("vedette.train.trainings.number_of_processes", lambda: 2)
    assert run([*words, "--recipe", "four-step", "--backbone", "random"]) == 2
    error = capsys.readouterr().err.strip()
    assert error == "error: --recipe four-step is trained by one process: start it without torchrun"
    assert not (tmp_path / "run" / "run.json").exists()
