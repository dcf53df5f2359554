"""vedette train, from a folder of pictures to a weight file that detects."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path

import pytest
import torch
from PIL import Image

import vedette
from vedette.cli.main import run
from vedette.cli.train import _of_recipe
from vedette.cli.train import train as train_command
from vedette.train.around import Around
from vedette.train.plan import Wanted, recipe_of
from vedette.train.recipe import Recipe, RecipeKind
from vedette.train.run import continued
from vedette.train.run_file import Run
from vedette.weights.files import read_weights, save_weights

TINY = ["--set", "image_size=64", "--set", "tcb_channels=8", "--set", "extra_channels=[8, 16]"]
QUICK = [*TINY, "--backbone", "random", "--batch-size", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
MODEL = "refinedet320-timm/resnet10t"


def write_data(folder: Path, classes: tuple[str, ...] = ("square", "disc"), count: int = 5) -> Path:
    """A COCO folder with a train and a val split of painted squares."""
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(count):
        picture = Image.new("RGB", (60, 50), (20, 90, 20))
        picture.paste((200, 30, 40 * (number % 5)), (10 + number, 12, 34 + number, 40))
        picture.save(folder / "images" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 60, "height": 50})
        boxes.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1 + number % len(classes),
                "bbox": [10 + number, 12, 24, 28],
            }
        )
    categories = [{"id": 1 + label, "name": name} for label, name in enumerate(classes)]
    for split in ("train", "val"):
        (folder / f"{split}.json").write_text(
            json.dumps({"images": images, "annotations": boxes, "categories": categories})
        )
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def train(data: Path, out: Path, *more: str) -> int:
    return run(["train", MODEL, "--data", str(data), "--out", str(out), *QUICK, *more])


def test_trains_resumes_detects_and_starts_another(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(data, out, "--epochs", "1") == 0
    printed = capsys.readouterr().out
    assert "5 images of 2 classes" in printed
    assert "lr 0.00025 " in printed  # batches of 2 where the recipe has 32
    assert "mAP" in printed
    assert json.loads((out / "run.json").read_text())["recipe"]["epochs"] == 1
    assert train(data, out, "--epochs", "2", "--resume") == 0
    assert train(data, out, "--epochs", "2", "--resume", "--recipe", "paper") == 0
    told = "note: --resume goes on as the run was started; --recipe, --backbone are not looked at"
    assert told in capsys.readouterr().out
    assert train(data, out, "--resume", "--set", "tcb=false") == 2
    assert "leave --set out of --resume" in capsys.readouterr().err
    assert train(write_data(tmp_path / "more"), out, "--resume") == 2
    assert f"--data: the run was started on {data}; give that" in capsys.readouterr().err
    assert train(data, out, "--resume", "--metric", "coco") == 2
    assert "leave --metric out" in capsys.readouterr().err
    assert train(data, out, "--resume", "--optimizer", "sgd") == 2
    assert "the run was started with adamw; leave --optimizer out" in capsys.readouterr().err
    for options in (["--head-lr", "10"], ["--one-rate"]):  # other groups of parameters
        assert train(data, out, "--resume", *options) == 2
        assert f"leave {options[0]} out" in capsys.readouterr().err
    assert train(data, out, "--resume", "--epochs", "1") == 2
    assert "has done 2 already" in capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]

    detector = vedette.load(out / "best.safetensors", device="cpu")
    assert detector.classes == ("square", "disc")
    assert detector.category_ids == (1, 2)
    found = detector.detect(data / "images" / "0.jpg", score=0.0)
    assert len(found) > 0

    other = write_data(tmp_path / "other", ("square", "disc", "star"))
    assert train(other, tmp_path / "third", "--epochs", "1", "--init", str(out / "last.safetensors")) == 0
    assert read_weights(tmp_path / "third" / "last.safetensors").classes == ("square", "disc", "star")


def test_a_run_without_a_finished_epoch_cannot_be_gone_on_with(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr(
        "vedette.papers.refinedet.RefineDet.loss",
        lambda model, found, targets: {"odm_class": found.odm.logits.sum() * torch.nan},
    )
    assert train(data, out, "--epochs", "1") == 2
    error = capsys.readouterr().err
    assert "the loss is not finite" in error
    assert "--resume" not in error
    assert train(data, out, "--resume") == 2
    assert "nothing was saved yet, so there is nothing to go on from" in capsys.readouterr().err


def a_run(classes: tuple[str, ...]) -> Run:
    return Run(model=MODEL, config={}, classes=classes, data=(), val=None, metric="voc12", recipe=Recipe(), version="0")


def test_a_whole_detector_gives_all_but_its_class_layers(tmp_path: Path) -> None:
    settings = {"image_size": 64, "tcb_channels": 8, "extra_channels": (8, 16), "aspect_ratios": (1.0, 0.5, 2.0)}
    given = vedette.build(MODEL, num_classes=2, **settings)
    torch.nn.init.normal_(given.odm.logits[0].weight)  # new ones begin at 0
    path = tmp_path / "given.safetensors"
    spec = replace(given.input_spec, mean=(0.1, 0.2, 0.3), range=255.0)
    save_weights(path, given, name=MODEL, classes=("square", "disc"), input_spec=spec)

    said: list[str] = []
    around = Around(folder=tmp_path, device="cpu", say=said.append)
    same = continued(a_run(("square", "disc")), path, around)
    assert torch.equal(same.odm.logits[0].weight, given.odm.logits[0].weight)
    assert not said
    other = continued(a_run(("disc", "cube")), path, around)
    assert said == ["note: given.safetensors does not know cube: these classes begin anew"]
    assert torch.equal(other.arm.logits[0].weight, given.arm.logits[0].weight)
    rows, own = (model.odm.logits[0].weight.view(3, 3, -1) for model in (given, other))  # 3 anchors × (background, 2)
    assert torch.equal(own[:, :2], rows[:, [0, 2]])
    assert not own[:, 2].any()
    assert other.config.aspect_ratios == (1.0, 0.5, 2.0)  # layers, anchors and input are the file's
    assert torch.equal(other.anchors, given.anchors)
    assert other.input_spec == spec


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", "0"], "epochs is 0: give a number from 1"),
        (["--start-size", "100"], "--start-size 100: give a multiple of 64"),
        (["--set", "image_size=300"], "image_size is 300: give a multiple of 64"),
        (["--set", "num_classes=5"], "the number of classes is that of the data"),
        (["--set", "nms=fast"], "nms is 'fast': give one of hard, linear, gaussian"),
        (["--set", "tcb"], "--set tcb: write FIELD=VALUE"),
        (["--set", "wings=2"], "has no field 'wings': `vedette config"),
        (["--val", "nowhere"], "nowhere"),
        (["--init", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--init", ""], "an empty name is no model"),
        (["--resume"], "no run is there"),
        (["--device", "cuda:77"], "cuda:77"),
        (["--accumulate", "3"], "accumulate is 3: an epoch has 2 batches"),
        (["--set", "nms_iou=2"], "nms_iou is 2: give a number from 0 to 1"),
        (["--set", "keep=2.5"], "keep is 2.5: give a whole number"),
        (["--lr", "-1"], "lr is -1.0: give a number from"),
        (
            ["--scratch"],
            "--scratch starts without any weights: leave --init and --backbone out",
        ),  # QUICK has --backbone
        (["--schedule", "paper", "--recipe", "scaled"], "give one of them"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert train(data, tmp_path / "run", *more) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert "\n" not in error
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_run_goes_on_from_any_folder(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(data.parent)
    assert train(Path(data.name), out, "--val", f"{data.name}:val", "--epochs", "1") == 0
    monkeypatch.chdir(elsewhere)
    assert train(data, out, "--epochs", "2", "--resume") == 0
    assert run(["train", MODEL, "--data", f"{data}:train", "--out", str(out), *QUICK, "--epochs", "3", "--resume"]) == 0
    assert run(["train", MODEL, "--data", f"{data}:val", "--out", str(out), *QUICK, "--epochs", "4", "--resume"]) == 2


def test_a_run_is_not_written_among_the_pictures(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, data / "images") == train(data, data / "images" / "run") == 2
    told = capsys.readouterr().err
    assert f"--out {data / 'images'}: pictures of --data lie there; give another folder" in told
    assert f"--out {data / 'images' / 'run'}: pictures of --data lie there; give another folder" in told
    assert sorted(file.suffix for file in (data / "images").iterdir()) == [".jpg"] * 5


def test_a_run_is_never_written_over(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "last.pt").write_bytes(b"an epoch's work")
    assert train(data, out) == 2
    assert "already holds a run: go on with --resume" in capsys.readouterr().err
    assert (out / "last.pt").read_bytes() == b"an epoch's work"


def test_an_unknown_model_names_the_known(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "refinedet99", "--data", str(data), "--out", str(tmp_path / "run")]) == 2
    assert "there is no model 'refinedet99'; the names: ssd300-vgg16" in capsys.readouterr().err
    for name, fault in (("zzz", "timm has no model 'zzz'"), ("vit_tiny_patch16_224", "a pyramid needs [8, 16, 32]")):
        assert run(["train", f"refinedet320-timm/{name}", "--data", str(data), "--out", str(tmp_path / "run")]) == 2
        assert fault in capsys.readouterr().err


def test_options_of_the_recipe_are_those_of_its_names() -> None:
    of_recipe = {"lr": 0.1, "clip_norm": 0.0, "freeze_stem": False}
    assert _of_recipe(of_recipe | {"model": "one"}) == of_recipe
    assert _of_recipe({"schedule": "step", "seed": 0}) == {"schedule": "step", "seed": 0}
    assert _of_recipe({"schedule": "paper"}) == {}
    without = {field.name for field in fields(Recipe)} - signature(train_command).parameters.keys()
    assert without == {"drops", "alternating"}  # a field that is renamed loses its option


@pytest.mark.parametrize("native", ["bf16", "fp32"])
def test_the_precision_is_the_devices_unless_given(monkeypatch: pytest.MonkeyPatch, native: str) -> None:
    monkeypatch.setattr("vedette.train.plan.fast_precision", lambda device: native)
    given: list[dict[str, str]] = [{}, {"precision": "fp32"}, {"precision": "bf16"}]
    wanted = [Wanted(model=MODEL, data=(), recipe=one) for one in given]
    assert [recipe_of(one, 100, "cpu").precision for one in wanted] == [native, "fp32", "bf16"]


@pytest.mark.parametrize(
    ("model", "kind", "optimizer", "lr", "epochs"),
    [
        ("refinedet320-lite0", None, "adamw", 1e-3, 23),
        ("ssd300-vgg16", None, "sgd", 1e-3, 23),
        ("m2det320-timm/resnet18", None, "sgd", 2e-3, 23),
        ("m2det320-lite0", "fine-tuning", "adamw", 1e-3, 23),
        ("refinedet512-vgg16", "paper", "sgd", 1e-3, 590),
        ("m2det512-vgg16", "paper", "sgd", 2e-3, 2704),
        ("rcnn-alexnet", None, "sgd", 1e-3, 23),
        ("rcnn-timm/resnet18", "paper", "sgd", 1e-3, 22),
    ],
)
def test_each_model_has_its_papers_recipe(
    model: str, kind: RecipeKind | None, optimizer: str, lr: float, epochs: int
) -> None:
    recipe = recipe_of(Wanted(model=model, data=(), kind=kind), 6504, "cpu")
    assert (recipe.optimizer, recipe.lr, recipe.epochs) == (optimizer, lr, epochs)


def test_from_scratch_all_layers_are_normalised_and_learn(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = [*TINY, "--batch-size", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32", "--epochs", "1"]
    assert run(["train", MODEL, "--data", str(data), "--out", str(out), "--scratch", *settings]) == 0
    printed = capsys.readouterr().out
    assert "freeze_stem False" in printed
    assert "backbone_lr 1.0" in printed
    assert "train_norm True" in printed
    stored = read_weights(out / "last.safetensors")
    assert stored.config["train_norm"]
    assert stored.config["norm"]
    statistics = [t for name, t in stored.tensors.items() if name.startswith("backbone.") and "running_mean" in name]
    assert statistics
    assert all(bool((t != 0).any()) for t in statistics)
    assert vedette.load(out / "last.safetensors", device="cpu").detect(data / "images" / "0.jpg", score=0.0) is not None


@pytest.mark.parametrize("way", ["--show", "--dry-run", "--find-lr"])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "wings=2"], "has no field 'wings'"),
        (["--accumulate", "3"], "accumulate is 3: an epoch has 2 batches"),
        (["--start-size", "100"], "--start-size 100: give a multiple of 64"),
        (["--val", "nowhere"], "nowhere"),
        (["--set", "image_size=640000"], "image_size 640000: a batch of 2 such images takes "),
        (["--start-size", "99968"], "--start-size 99968: a batch of 2 such images takes "),
        (["--init", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--backbone", "nowhere.pth"], "nowhere.pth: no such file"),
    ],
)
def test_whatever_does_not_train_refuses_what_training_would(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str, more: list[str], message: str
) -> None:
    assert train(data, tmp_path / "run", way, *more) == 2
    written = capsys.readouterr()
    assert message in written.err
    assert '"recipe"' not in written.out
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_go_on_is_not_shown(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert train(data, out, "--epochs", "2") == 0
    assert train(data, out, "--epochs", "3", "--resume", "--show") == 0
    capsys.readouterr()
    assert train(data, out, "--epochs", "1", "--resume", "--show") == 2
    assert "has done 2 already" in capsys.readouterr().err
    (out / "last.pt").unlink()
    (out / "previous.pt").unlink()
    assert train(data, out, "--epochs", "3", "--resume", "--show") == 2
    assert "last.pt: is missing" in capsys.readouterr().err


def test_an_absent_module_is_not_shown(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "absent_module:build", "--data", str(data), "--out", str(tmp_path / "run"), "--show"]) == 2
    assert "there is no module absent_module in" in capsys.readouterr().err


def test_the_missing_package_is_told_before_torch_is_imported(data: Path, tmp_path: Path) -> None:
    words = ["train", "MODEL", "--data", str(data), "--out", str(tmp_path / "run")]
    code = (
        "import sys\nfrom vedette.cli.main import run\nfrom vedette.weights import package\n"
        "package.PACKAGE = 'not_installed'\n"
        f"words = {words!r}\n"
        "for model, *more in (['ssd300-lite0'], ['ssd300-timm/tf_efficientnet_lite0'],\n"
        "                     ['refinedet320-lite0', '--backbone', 'imagenet'],\n"
        "                     ['refinedet320-lite0', '--recipe', 'scaled']):\n"
        "    words[1] = model\n"
        "    assert run([*words, *more]) == 2, model\n"
        "    assert not {'torch', 'timm'} & set(sys.modules), model\n"
        "for more in ([], ['--show', '--backbone', 'random']):\n"  # what the bundled detector, or chance, begins
        "    words[1] = 'refinedet320-lite0'\n"
        "    assert run([*words, '--device', 'cpu', '--show', *more]) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('pip install "vedette[demo]"') == 4


@pytest.mark.parametrize(
    "more", [["--val", "x"], ["--metric", "coco"], ["--set", "keep=3"], ["--lr", "1"], ["--resume"]]
)
def test_a_run_is_repeated_as_it_was(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert run(["train", "--from-run", str(tmp_path), "--out", str(tmp_path / "new"), *more]) == 2
    assert "--from-run repeats a run as it was: leave " in capsys.readouterr().err
    assert run(["train", MODEL, "--data", str(data), "--out", str(tmp_path / "new"), "--dry-run", "--resume"]) == 2
    assert "--dry-run tries a new run in one process" in capsys.readouterr().err


def test_a_training_goes_on_where_nobody_reads_its_lines_any_more() -> None:
    program = "from vedette.cli.train import _say; [_say('a line', err=False) for _ in range(3)]; open('done', 'w')"
    read, write = os.pipe()
    os.close(read)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, cwd=folder, check=False
        )
        os.close(write)
        assert (done.returncode, done.stderr, os.listdir(folder)) == (0, b"", ["done"])
