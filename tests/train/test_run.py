"""A training as a record: what a script starts is what the command line does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import vedette
from cli.test_train import MODEL, write_data
from vedette.data.read import read_dataset
from vedette.errors import InputError
from vedette.train.around import Around
from vedette.train.plan import Wanted, plan, repeated
from vedette.train.recipe import Recipe
from vedette.train.run import start
from vedette.train.run_file import Run
from vedette.train.try_out import try_out

CONFIG = {"image_size": 64, "tcb_channels": 8, "extra_channels": [8, 16]}
RECIPE = {"epochs": 1, "batch_size": 2, "workers": 0, "precision": "fp32"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def around(folder: Path, **more: Any) -> Around:
    return Around(folder=folder, device="cpu", **more)


def wanted(data: Path, **more: Any) -> Wanted:
    return Wanted(model=MODEL, data=[str(data)], config=CONFIG, recipe=RECIPE, backbone="random", **more)


def test_a_planned_run_is_started_stored_and_gone_on_with(data: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "run", list[str]()
    run, dataset = plan(wanted(data), around(out))
    assert (run.metric, run.val, run.backbone, run.init) == ("voc12", f"{data}:val", "random", None)
    best = start(run, around(out, say=lines.append), dataset)
    assert best == out / "best.safetensors"
    begun = Run.read(out)
    assert begun.detector["image_size"] == begun.input_spec["size"] == 64
    assert replace(begun, detector={}, input_spec={}, sessions=()) == run
    assert lines[0] == f"{MODEL} on 5 images of 2 classes, cpu"
    further = replace(wanted(data), recipe=RECIPE | {"epochs": 2})
    again, _ = plan(further, around(out, resume=True))
    assert again == replace(begun, recipe=replace(run.recipe, epochs=2))
    start(again, around(out, resume=True, say=lines.append))
    assert [json.loads(line)["epoch"] for line in (out / "log.jsonl").read_text().splitlines()] == [1, 2]
    assert vedette.load(best, device="cpu").classes == ("square", "disc")


def test_a_run_begins_with_what_its_record_says(data: Path, tmp_path: Path) -> None:
    run, dataset = plan(wanted(data), around(tmp_path / "a"))
    first = start(run, around(tmp_path / "a", say=lambda line: None), dataset)
    again = start(run, around(tmp_path / "b", say=lambda line: None))
    assert all(torch.equal(tensor, load_file(again)[name]) for name, tensor in load_file(first).items())
    third, _ = plan(replace(wanted(data), backbone="imagenet", init=str(first)), around(tmp_path / "c"))
    slow = replace(third, recipe=replace(third.recipe, lr=1e-12, ema=0.0))
    kept = load_file(start(slow, around(tmp_path / "c", say=lambda line: None), dataset))
    assert torch.allclose(kept["odm.logits.0.weight"], load_file(first)["odm.logits.0.weight"], atol=1e-6)


def test_a_model_without_a_name_is_trained(data: Path, tmp_path: Path) -> None:
    model = vedette.build(MODEL, num_classes=2, **CONFIG)  # type: ignore[arg-type]
    run = Run(
        model=MODEL,
        config={},
        classes=("square", "disc"),
        data=("nowhere",),
        val=None,
        metric="voc12",
        recipe=Recipe(**RECIPE),  # type: ignore[arg-type]
        version="0",
    )
    lines: list[str] = []
    best = start(run, around(tmp_path / "run", say=lines.append), read_dataset(data, "train"), model)
    assert lines[0].startswith("note: no validation data")
    assert vedette.load(best, device="cpu").model.config == model.config  # type: ignore[union-attr]


def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("mine")
    run = Run(model=MODEL, config={}, classes=(), data=(), val=None, metric="coco", recipe=Recipe(), version="0")
    with pytest.raises(InputError, match="already holds a run"):
        start(run, around(tmp_path))
    with pytest.raises(InputError, match="already holds a run"):
        plan(wanted(data), around(tmp_path))


def test_one_process_of_several_speaks_and_writes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    around(tmp_path).tell("heard twice")
    monkeypatch.setenv("RANK", "0")
    around(tmp_path).tell("heard once")
    assert capsys.readouterr().out == "heard once\n"
    with around(tmp_path).watch(3, "images") as bar:
        bar.reach(1, 3)


def test_an_older_record_does_not_say_how_it_began(data: Path, tmp_path: Path) -> None:
    run, _ = plan(wanted(data), around(tmp_path / "run"))
    run.save(tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    del stored["init"], stored["backbone"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(stored))
    assert Run.read(tmp_path / "run") == replace(run, backbone="imagenet")


@pytest.mark.parametrize("flag", ["iscrowd", "gone"])
def test_a_training_with_nothing_to_learn_from_is_refused(data: Path, tmp_path: Path, flag: str) -> None:
    content = json.loads((data / "train.json").read_text())
    for row in content["annotations"]:
        row["iscrowd"] = 1
    if flag == "gone":
        content["annotations"] = []
    (data / "train.json").write_text(json.dumps(content))
    out = tmp_path / "run"
    run, dataset = plan(wanted(data), around(out))
    with pytest.raises(InputError, match="nothing to learn from in 5 images: no box"):
        start(run, around(out), dataset)
    assert not out.exists()


def test_images_without_boxes_are_counted(data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "train.json").read_text())
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != content["images"][0]["id"]]
    (data / "train.json").write_text(json.dumps(content))
    lines: list[str] = []
    run, dataset = plan(wanted(data), around(tmp_path / "run"))
    start(run, around(tmp_path / "run", say=lines.append), dataset)
    assert lines[0] == "note: 1 of 5 images have no box to learn from"


def test_other_data_and_another_seed_are_named_on_resume(data: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "run", data / "train.json"
    run, dataset = plan(wanted(data), around(out))
    start(run, around(out), dataset)
    before = file.read_text()
    content = json.loads(before)
    content["annotations"][0]["bbox"][2] -= 1
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"its annotations changed since the run began; .* --resume-anyway"):
        plan(wanted(data), around(out, resume=True))
    assert plan(wanted(data), around(out, resume=True, anyway=True))[0].fingerprint != run.fingerprint
    content = json.loads(before)
    gone = content["images"].pop()["id"]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != gone]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"--data: 4 images, and the run was started on 5; .* --resume-anyway"):
        plan(wanted(data), around(out, resume=True))
    file.write_text(before)
    other = replace(wanted(data), recipe=RECIPE | {"seed": 3})
    with pytest.raises(InputError, match=r"--seed 3: the run was started with 0; .* --resume-anyway"):
        plan(other, around(out, resume=True))
    assert plan(other, around(out, resume=True, anyway=True))[0].recipe.seed == 3
    assert plan(wanted(data), around(out, resume=True))[0].recipe.seed == 0


def test_a_run_says_what_it_was_made_with_each_time(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run, dataset = plan(wanted(data), around(out))
    start(run, around(out), dataset)
    further = replace(wanted(data), recipe=RECIPE | {"epochs": 2})
    start(plan(further, around(out, resume=True))[0], around(out, resume=True), dataset)
    first, second = Run.read(out).sessions
    assert first["torch"] == torch.__version__
    assert first["vedette"] == vedette.__version__
    assert first["device"].startswith("cpu (")
    assert (first["threads"], first["processes"]) == (torch.get_num_threads(), 1)
    assert first["at"] <= second["at"]


def test_a_run_is_repeated_from_its_folder(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run, dataset = plan(wanted(data), around(first))
    start(run, around(first), dataset)
    said: list[str] = []
    start(*_swapped(repeated(first, around(second, say=said.append)), around(second)))
    assert not said
    one, other = (load_file(folder / "last.safetensors") for folder in (first, second))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (first / "last.safetensors").read_bytes() == (second / "last.safetensors").read_bytes()


def _swapped(planned: tuple[Run, Any], surroundings: Around) -> tuple[Run, Around, Any]:
    return planned[0], surroundings, planned[1]


def test_a_dry_run_takes_a_batch_through_everything_and_leaves_a_picture(data: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "run", list[str]()
    run, dataset = plan(wanted(data), around(out))
    picture = try_out(run, around(out, say=lines.append), dataset)
    assert [file.name for file in out.iterdir()] == ["dry-run.jpg"]
    with Image.open(picture) as sheet:
        assert sheet.size == (2 * 68 + 4, 68 + 4)  # two pictures of 64 pixels
        assert len(sheet.getcolors(1 << 20)) > 50
    assert any("mAP" in line for line in lines)  # measured too
    broken = replace(wanted(data), recipe=RECIPE | {"lr": 1e3, "batch_size": 4})
    run, dataset = plan(broken, around(out))
    start(run, around(out), dataset)  # nothing that the trial left is in the way


def test_a_finished_run_keeps_the_record_of_what_made_it(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run, dataset = plan(wanted(data), around(out))
    start(run, around(out), dataset)
    before = (out / "run.json").read_text()
    other = replace(wanted(data), recipe=RECIPE | {"lr": 0.1, "batch_size": 4})
    start(plan(other, around(out, resume=True))[0], around(out, resume=True), dataset)
    assert (out / "run.json").read_text() == before


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_a_log_of_something_else_is_not_written_over(data: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text('{"mine": 1}\n')
    with pytest.raises(InputError, match=f"holds a {name} of something else"):
        plan(wanted(data), around(tmp_path / "run"))
    assert (tmp_path / "run" / name).read_text() == '{"mine": 1}\n'


@pytest.mark.parametrize("text", ['"x"', "3", "[]", "{}", '{"recipe": 3}', "null"])
def test_a_run_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: cannot be read"):
        Run.read(tmp_path)


def test_a_dry_run_passes_over_images_that_teach_nothing(data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "train.json").read_text())
    crowded = {image["id"] for image in content["images"][:3]}
    for row in content["annotations"]:
        row["iscrowd"] = int(row["image_id"] in crowded)
    (data / "train.json").write_text(json.dumps(content))
    run, dataset = plan(wanted(data), around(tmp_path / "run"))
    assert try_out(run, around(tmp_path / "run"), dataset).is_file()
