"""vedette evaluate on a data set of three pictures, with a detector that finds what it is told."""

import html
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from vedette.cli import evaluate as command
from vedette.errors import InputError
from vedette.structures import Detections, InputSpec

CLASSES = ("dog", "cow", "cat")


class Told(nn.Module):
    """Finds a dog in the upper left quarter of every picture, and a cat in the whole of it."""

    config = SimpleNamespace(nms="hard", nms_iou=0.45, keep=200)

    def forward(self, images: torch.Tensor, sizes: None, proposals: None) -> torch.Tensor:
        return images

    def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
        boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]]) * predictions.shape[-1]
        labels = torch.tensor([0, 2])
        return [Detections(boxes, torch.tensor([0.9, 0.6]), labels, labels) for _ in predictions]


@pytest.fixture
def data(tmp_path):
    """Cats fill the first two pictures, dogs the upper left quarter of the first; the third is empty."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    for index in range(3):
        Image.new("RGB", (100, 60)).save(root / "images" / f"{index}.png")
    rows = [(0, 7, [0, 0, 100, 60]), (0, 9, [0, 0, 50, 30]), (1, 7, [0, 0, 100, 60])]
    content = {
        "images": [{"id": index, "file_name": f"{index}.png", "width": 100, "height": 60} for index in range(3)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {
                "id": 1 + number,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number, (image, category, box) in enumerate(rows)
        ],
    }
    (root / "val.json").write_text(json.dumps(content))
    return root


def a_detector(model, classes):
    return SimpleNamespace(network=model, input_spec=InputSpec(size=64), device=torch.device("cpu"), classes=classes)


@pytest.fixture
def run(monkeypatch):
    """(arguments) → the command's result; the detector knows dogs, cows and cats."""
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: a_detector(Told(), CLASSES))
    monkeypatch.setattr("vedette.zoo.weight_file", Path)
    app = typer.Typer()
    app.command()(command.evaluate)
    return lambda *arguments: CliRunner().invoke(app, ["told", *map(str, arguments), "--workers", "0"])


@pytest.mark.parametrize("metric", ["voc07", "voc12"])
def test_measures_classes_by_name(run, data, tmp_path, metric):
    out = tmp_path / "sub" / "result.json"
    result = run("--data", data, "--metric", metric, "--json", out)
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    assert content["metric"] == metric
    assert content["per_class"] == {"dog": 1.0, "cow": None, "cat": 1.0}
    assert content["mAP"] == 1.0
    assert content["images"] == 3
    assert "1.0000" in result.output
    assert "—" in result.output


def test_coco_has_its_table(run, data, tmp_path):
    out = tmp_path / "result.json"
    result = run("--data", f"{data}:val", "--metric", "coco", "--json", out)
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    assert content["mAP"] == content["table"]["ap"] == pytest.approx(1.0)
    assert content["table"]["ap_small"] is None
    assert "ar100" in result.output


def test_several_passes(run, data, tmp_path):
    out = tmp_path / "result.json"
    options = ["--scales", "128,64", "--flip", "--vote", "--nms", "hard"]
    result = run("--data", data, "--json", out, *options)
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    assert content["input"] == "128, 64 px, mirrored too, boxes vote"
    assert content["nms"] == "hard"
    # in the mirror image too a dog is found on the left: now there are as many wrong ones, with the same score
    assert 0.0 < content["per_class"]["dog"] < 1.0
    assert content["per_class"]["cat"] == 1.0


def test_files_of_results(run, data, tmp_path):
    for metric, names in (("coco", ["results.json"]), ("voc12", ["cat", "cow", "dog"])):
        result = run("--data", f"{data}:val", "--metric", metric, "--results", tmp_path / metric)
        assert result.exit_code == 0, result.output
        wanted = names if metric == "coco" else [f"comp4_det_val_{name}.txt" for name in names]
        assert sorted(file.name for file in (tmp_path / metric).iterdir()) == wanted
    for number, source in enumerate((data, data / "val.json")):  # the split that was read, also where none was named
        result = run("--data", source, "--results", tmp_path / f"{number}")
        assert result.exit_code == 0, result.output
        assert {file.name.split("_")[2] for file in (tmp_path / f"{number}").iterdir()} == {"val"}
    rows = json.loads((tmp_path / "coco" / "results.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows[:2]] == [(0, 9), (0, 7)]


@pytest.mark.parametrize(
    ("name", "content"),
    [("results.json", "[1, 2]"), ("results.json", '{"mAP": 0.3}'), ("comp4_det_val_cat.txt", "cats that were seen\n")],
)
def test_only_results_are_written_over_by_results(run, data, tmp_path, name, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text(content)
    for metric in ("coco", "voc12"):
        exception = run("--data", f"{data}:val", "--metric", metric, "--results", tmp_path / "mine").exception
        assert str(exception) == f"--results {tmp_path / 'mine'}: {name} there holds no results; give another folder"
    assert (tmp_path / "mine" / name).read_text() == content
    for metric in ("coco", "voc12", "coco", "voc12"):
        assert run("--data", f"{data}:val", "--metric", metric, "--results", tmp_path / "new").exit_code == 0


def test_two_results_want_two_places(run, data, tmp_path):
    result = run("--data", data, "--report", tmp_path / "same", "--results", tmp_path / "same")
    assert "--report" in str(result.exception)
    assert "give each its own" in str(result.exception)


def test_a_rule_of_vocs_is_refused_beside_cocos_metric(run, data):
    result = run("--data", data, "--metric", "coco", "--overlap", "from")
    assert isinstance(result.exception, InputError)
    assert "--overlap from: the coco metric has its own rule" in str(result.exception)


def test_how_hits_and_scores_count(run, data, tmp_path, monkeypatch):
    content = json.loads((data / "val.json").read_text())
    content["annotations"][1]["bbox"] = [0, 0, 50, 60]  # the dog that is found fills half of it
    (data / "val.json").write_text(json.dumps(content))
    out = tmp_path / "result.json"
    for options, dog in (([], 0.0), (["--overlap", "from"], 1.0)):
        run("--data", data, "--json", out, "--report", tmp_path / "report", *options)
        assert json.loads(out.read_text())["per_class"]["dog"] == dog
        page = html.unescape((tmp_path / "report" / "report.html").read_text())
        assert ("as in VOC's own devkit" in page) == bool(options)
        assert ("recall at IoU ≥ 0.5" in page) == bool(options)
    assert json.loads(out.read_text())["overlap"] == "from"
    asked = []
    found = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), torch.zeros(0).long())
    monkeypatch.setattr(Told, "detect", lambda _, seen, score: asked.append(score) or [found] * len(seen))
    for options in ([], ["--score", "0"]):
        run("--data", data, *options)
    assert asked == [0.01, 0.0]


def test_without_options_the_facts_are_as_before(run, data, tmp_path):
    run("--data", data, "--json", tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["input"] == "64 px"
    assert "nms" not in content
    run("--data", data, "--json", tmp_path / "b.json", "--scales", "64")
    assert json.loads((tmp_path / "b.json").read_text()) == content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scales", "64,x"], "--scales '64,x': write sizes"),
        (["--scales", "4096"], "scales: 4096 is no size"),
        (["--vote"], "vote: one pass"),
    ],
)
def test_passes_that_cannot_be_are_refused_before_the_data_is_read(run, data, options, message):
    exception = run("--data", data / "nowhere", *options).exception
    assert isinstance(exception, InputError)
    assert str(exception).startswith(message)


def test_writes_the_report(run, data, tmp_path):
    result = run("--data", data, "--report", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert "report.html" in result.output
    assert "told" in (tmp_path / "report" / "report.html").read_text()


def test_numbers_say_scores_errors_and_confusions(run, data, tmp_path):
    """Dogs at 0.9, a cat at 0.6 in each of three pictures; a dog in the first, cats in the first two."""
    run("--data", data, "--json", tmp_path / "a.json", "--at-precision", 0.6, "--at-recall", 0.9)
    told = json.loads((tmp_path / "a.json").read_text())["report"]
    assert told["score"] == pytest.approx(0.6)
    assert told["scores"]["per_class"]["cow"] == {"best_f1": None, "at_precision": None, "at_recall": None}
    dog = told["scores"]["per_class"]["dog"]
    assert dog["at_precision"] is None
    assert (
        dog["at_recall"]
        == dog["best_f1"]
        == pytest.approx({"score": 0.9, "precision": 1 / 3, "recall": 1.0, "f1": 0.5})
    )
    assert told["scores"]["per_class"]["cat"]["at_precision"]["precision"] == pytest.approx(2 / 3)
    assert told["errors"]["both"]["count"] == 1  # a dog in a quarter of the cat
    assert told["errors"]["background"]["count"] == 2
    assert told["confusions"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0], [2, 0, 1, 0]]


def test_the_report_counts_from_the_score_that_is_asked_for(run, data, tmp_path):
    run("--data", data, "--report", tmp_path / "report", "--at-score", 0.7)
    assert "<b>score ≥ 0.700</b>: as asked for" in (tmp_path / "report" / "report.html").read_text()


@pytest.fixture
def several(monkeypatch):
    """(arguments) → the command's result; `blind` takes cats for bees, of which the data know nothing."""

    class Blind(Told):
        def detect(self, predictions, score):
            return [replace(one, labels=torch.tensor([1, 0])) for one in super().detect(predictions, score)]

    def load(model, **_):
        return a_detector(Blind(), ("bee", "dog", "cat")) if model == "blind" else a_detector(Told(), CLASSES)

    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.setattr("vedette.zoo.weight_file", Path)
    app = typer.Typer()
    app.command()(command.evaluate)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--workers", "0"])


@pytest.mark.parametrize("metric", ["voc12", "coco"])
def test_models_are_compared_class_by_class(several, data, tmp_path, metric):
    out, report = tmp_path / "out.json", tmp_path / "report"
    options = ("--metric", metric, "--json", out, "--report", report, "--resamples", 100, "--seed", 3)
    result = several("told", "blind", "told", "--data", data, *options)
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    assert [row["model"] for row in content["models"]] == ["told", "blind", "told"]
    assert [row["mAP"] for row in content["models"]] == pytest.approx([1, 0.5, 1])
    assert (content["metric"], content["images"], content["resamples"], content["seed"]) == (metric, 3, 100, 3)
    to_blind, to_itself = content["comparisons"]
    assert (to_blind["first"], to_blind["other"]) == ("told", "blind")
    assert to_blind["per_class"]["dog"]["value"] == 0
    assert to_blind["per_class"]["cat"]["value"] == pytest.approx(-1)
    assert to_blind["mAP"]["value"] == pytest.approx(-0.5)
    assert set(to_blind["per_class"]) == {"dog", "cat"}
    assert to_itself["mAP"] == {"value": 0, "low": 0, "high": 0, "p": 1}
    assert "-1.0000 to -1.0000" in result.output.replace("\n", " ")
    page = " ".join((report / "report.html").read_text().split())
    assert "told finds 2 objects in 2 images that blind misses" in page
    assert "blind finds 0 objects in 0 images that told misses" in page
    assert {file.name for file in (report / "pictures").iterdir()} == {
        f"0000{i}-{m}-{i}.jpg" for i in (0, 1) for m in (1, 2, 3)
    }


def test_a_comparison_may_take_the_place_of_a_report(several, data, tmp_path):
    for models in (["told"], ["told", "blind"], ["told"]):
        assert several(*models, "--data", data, "--report", tmp_path / "report").exit_code == 0
        assert (tmp_path / "report" / "pictures.html").exists() == (len(models) == 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--results", "results"], "--results: holds the detections of one model"), (["--json", "one.json"], "no result")],
)
def test_what_several_models_cannot_have_is_refused(several, data, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    several("told", "--data", data, "--json", "one.json")
    exception = several("told", "blind", "--data", data, *options).exception
    assert isinstance(exception, InputError)
    assert message in str(exception)


def test_unknown_classes_are_named(run, data, monkeypatch):
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: a_detector(Told(), ("dog", "cow")))
    result = run("--data", data)
    assert isinstance(result.exception, InputError)
    assert "cat" in str(result.exception)


def test_bad_input_is_one_line(run, data, tmp_path):
    (tmp_path / "file").write_text("")
    for wrong in (["--data", tmp_path / "nowhere"], ["--data", data, "--report", tmp_path / "file"]):
        exception = run(*wrong).exception
        assert isinstance(exception, InputError)
        assert "\n" not in str(exception)
    assert isinstance(run("--data", data, "--json", tmp_path / "file" / "x.json").exception, InputError)
    for option in ("--report", "--results"):
        for folder in (data / "images", data / "images" / "report"):
            exception = run("--data", data, option, folder).exception
            assert str(exception) == f"{option} {folder}: pictures of --data lie there; give another folder"


def test_hotcoco_is_missed_before_the_work(run, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: pytest.fail("began to work"))
    exception = run("--data", data, "--metric", "coco").exception
    assert isinstance(exception, InputError)
    assert "pip install" in str(exception)


def test_help_does_not_import_torch():
    code = "import sys, vedette.cli.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("option", "place", "why"),
    [
        ("--json", ".", "is a folder; give a file's name"),
        ("--json", "taken", "exists, and is no result of this command"),
        ("--json", "data/val.json", "exists, and is no result of this command"),
        ("--json", "taken/below", "taken is a file; give a place in a folder"),
        ("--results", "taken", "taken is a file; give a place in a folder"),
        ("--results", "taken/below", "taken is a file; give a place in a folder"),
        ("--report", "taken", "taken is a file; give a place in a folder"),
        ("--report", "/proc/x", "nothing can be written in /proc"),
        ("--report", "page", "report.html is a folder, where a file is to be written"),
        ("--report", "shown", "pictures is a file, where a folder is to be made"),
        ("--report", "mine", "report.html is no page of a report; give another folder"),
    ],
)
def test_what_has_no_place_is_refused_before_the_work(run, data, tmp_path, monkeypatch, option, place, why):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "page" / "report.html").mkdir(parents=True)
    for folder, name in (("shown", "pictures"), ("mine", "report.html")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("mine")
    monkeypatch.setattr(Told, "detect", None)  # whoever looks at a picture fails
    result = run("--data", data, option, tmp_path / place)
    assert isinstance(result.exception, InputError)
    assert why in str(result.exception)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("option", ["--resamples", "--seed"])
def test_options_of_a_comparison_need_two_models(option, run, data):
    result = run("--data", data, option, 200)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{option}: is of a comparison; leave it out, or name two models"
