"""R-CNN's stages: from a folder of pictures to a weight file, and on from wherever it stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import vedette
from vedette.cli.main import run
from vedette.data.loader import Batch
from vedette.data.read import read_dataset
from vedette.data.selective_search import proposals_of
from vedette.errors import InputError
from vedette.ops.boxes import iou
from vedette.ops.images import Normalize
from vedette.papers.rcnn import RCNN
from vedette.structures import Target, TargetBatch
from vedette.train.around import Around
from vedette.train.loop import Training
from vedette.train.rcnn import FEATURES, REGRESSOR, SVM, RCNNTraining
from vedette.train.recipe import Recipe

MODEL = "rcnn-timm/resnet10t"
TINY = ["--set", "warp_size=64", "--set", "context=4", "--set", "proposals=60", "--set", "positives=8"]
QUICK = [*TINY, "--backbone", "random", "--device", "cpu", "--precision", "fp32", "--workers", "0", "--lr", "3e-3"]
BOXES = {"square": [12, 10, 30, 30], "bar": [60, 8, 16, 44]}  # x, y, width, height


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vedette" / "proposals"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pictures, one of them with nothing but an object of a single pixel; the other with a square and a bar."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    picture = Image.new("RGB", (100, 70), (20, 90, 20))
    picture.paste((220, 30, 30), (12, 10, 42, 40))
    picture.paste((30, 30, 220), (60, 8, 76, 52))
    picture.save(folder / "images" / "a.png")
    Image.new("RGB", (64, 80), (20, 90, 20)).save(folder / "images" / "b.png")
    rows = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": BOXES["square"]},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": BOXES["bar"]},
        {"id": 3, "image_id": 2, "category_id": 2, "bbox": [40, 40, 1, 1]},
    ]
    images = [
        {"id": 1, "file_name": "a.png", "width": 100, "height": 70},
        {"id": 2, "file_name": "b.png", "width": 64, "height": 80},
    ]
    categories = [{"id": 1, "name": "square"}, {"id": 2, "name": "bar"}]
    for split, kept in (("train", rows), ("val", rows[:2])):
        content = {"images": images[: len(kept) - 1], "annotations": kept, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def train(data: Path, out: Path, *more: str) -> int:
    return run(["train", MODEL, "--data", str(data), "--out", str(out), *QUICK, *more])


@pytest.mark.slow
def test_one_image_is_learnt_stored_and_found_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(data, out, "--epochs", "12") == 0
    printed = capsys.readouterr().out
    for stage in range(1, 6):
        assert f"stage {stage}: " in printed
    assert "mAP" in printed
    assert not (out / FEATURES).exists()
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [*range(1, 13), 12]
    assert lines[-1]["mAP"] > 0.9

    detector = vedette.load(out / "best.safetensors", device="cpu")
    assert bool(detector.model.svm_fitted)
    assert bool(detector.model.regressor.weight.any())
    found = detector.detect(data / "images" / "a.png", score=0.05)
    corners = {name: torch.tensor([[x, y, x + w, y + h]]).float() for name, (x, y, w, h) in BOXES.items()}
    for name, box in corners.items():
        best = found.names.index(name)
        assert iou(found.boxes[best : best + 1], box).item() > 0.7
    assert bool((found.source >= 0).all())
    again = vedette.load(out / "last.safetensors", device="cpu").detect(data / "images" / "a.png", score=0.05)
    assert torch.equal(again.boxes, found.boxes)
    assert torch.equal(again.scores, found.scores)
    softmax = vedette.load(out / "best.safetensors", device="cpu", scorer="softmax", regress=False)
    assert not torch.equal(softmax.detect(data / "images" / "a.png", score=0.01).scores[:2], found.scores[:2])

    assert run(["evaluate", str(out), "--data", str(data), "--device", "cpu", "--workers", "0"]) == 0
    assert run(["detect", str(data / "images"), "--model", str(out), "--out", str(tmp_path / "seen")]) == 0


def training(data: Path, out: Path, say: Any = lambda line: None, epochs: int = 1, **more: Any) -> RCNNTraining:
    torch.manual_seed(0)
    settings = {"warp_size": 32, "context": 2, "proposals": 30, "positives": 1, "negatives": 1}
    model: Any = vedette.build(MODEL, num_classes=2, **settings)
    recipe = Recipe(epochs=epochs, batch_size=2, workers=0, precision="fp32", freeze_stem=False, **{"ema": 0.0} | more)

    class Silent:
        def __enter__(self) -> "Silent":
            return self

        def __exit__(self, *raised: object) -> None: ...

        def reach(self, done: int, total: int) -> None:
            assert done <= total

    return RCNNTraining(
        model,
        read_dataset(data, "train"),
        recipe,
        Around(folder=out, device="cpu", say=say, watch=lambda total, unit: Silent()),
        validate=None,
        save_weights=lambda path, model: path.write_text("weights"),
    )


def weights(model: RCNN) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("stage", ["_extract", "_fit_svms", "_fit_regression"])
def test_each_stage_goes_on_where_it_stopped(
    data: Path, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training(data, tmp_path / "whole")
    whole.run()

    class Stopped(Exception): ...

    def stop(*arguments: object) -> None:
        raise Stopped

    stopped = training(data, tmp_path / "run")
    monkeypatch.setattr(stopped, stage, stop)
    with pytest.raises(Stopped):
        stopped.run()
    monkeypatch.setattr(Training, "train_step", stop)  # what was done is not done again
    if stage != "_extract":
        monkeypatch.setattr(RCNNTraining, "_features_of", stop)
    if stage == "_fit_regression":
        monkeypatch.setattr(RCNNTraining, "_fit_svms", stop)
    resumed = training(data, tmp_path / "run")
    resumed.resume()
    resumed.run()
    for name, tensor in weights(whole.model).items():
        assert torch.allclose(weights(resumed.model)[name], tensor, atol=1e-6), name


@pytest.mark.slow
def test_two_epochs_are_one_and_another(data: Path, tmp_path: Path) -> None:
    """Windows, order and mirroring are the epoch's own."""
    whole = training(data, tmp_path / "whole", epochs=2, warmup=0.0)
    half = training(data, tmp_path / "half", epochs=2, warmup=0.0)
    whole.run()
    assert whole.tuning.epochs.loader.sampler.epoch == 1
    half.tuning.recipe, recipe = Recipe(epochs=1, batch_size=2, workers=0, precision="fp32"), half.tuning.recipe
    half.run()
    assert (tmp_path / "half" / SVM).is_file()
    again = training(data, tmp_path / "half", epochs=2, warmup=0.0)
    again.resume()
    assert again.recipe == recipe
    again.run()  # the SVMs are those of the new weights
    for name, tensor in weights(whole.model).items():
        assert torch.allclose(weights(again.model)[name], tensor, atol=1e-6), name


def test_the_average_is_what_is_kept(data: Path, tmp_path: Path) -> None:
    one = training(data, tmp_path / "run", epochs=2, ema=0.9)
    one.run()
    stored = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    head = one.model.head.weight
    assert torch.equal(head, stored["average"]["module.head.weight"])
    assert not torch.equal(head, stored["model"]["head.weight"])


def test_svms_that_a_model_brings_do_not_score_before_they_are_fitted_anew(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = vedette.build(MODEL, num_classes=2)
    model.svm_fitted.fill_(True)
    recipe = Recipe(epochs=1, workers=0, ema=0.9)
    dataset = read_dataset(data, "train")
    around = Around(folder=tmp_path / "run", device="cpu")
    begun = RCNNTraining(model, dataset, recipe, around, validate=None, save_weights=print).tuning
    assert not bool(model.svm_fitted)
    assert begun.average is not None
    assert not bool(begun.average.module.svm_fitted)


def test_a_resumed_run_takes_another_rate(data: Path, tmp_path: Path) -> None:
    training(data, tmp_path / "run", epochs=1, warmup=0.0).run()
    resumed = training(data, tmp_path / "run", epochs=2, warmup=0.0, lr=3e-4)
    before = [group["initial_lr"] for group in resumed.tuning.optimizer.param_groups]
    resumed.resume()
    after = [group["initial_lr"] for group in resumed.tuning.optimizer.param_groups]
    assert after == before == resumed.tuning.schedule.base_lrs


def test_fewer_epochs_than_done_and_a_damaged_file_are_told(data: Path, tmp_path: Path) -> None:
    first = training(data, tmp_path / "run", epochs=2)
    first._fit_svms = lambda: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(ZeroDivisionError):
        first.run()
    with pytest.raises(InputError, match=r"epochs is 1: the run in .* has done 2 already"):
        training(data, tmp_path / "run").resume()
    file = tmp_path / "run" / FEATURES / "000001.safetensors"
    file.write_bytes(b"half")
    again = training(data, tmp_path / "run", epochs=2)
    again.resume()
    with pytest.raises(InputError, match=r"000001\.safetensors: is damaged .* go on with --resume"):
        again.run()
    third = training(data, tmp_path / "run", epochs=2)
    third.resume()
    third.run()
    assert (tmp_path / "run" / REGRESSOR).is_file()


@pytest.mark.parametrize("name", [SVM, REGRESSOR])
@pytest.mark.parametrize("content", ["half", "other shapes", "other names"])
def test_fits_that_are_no_fits_are_removed_and_made_again(data: Path, tmp_path: Path, name: str, content: str) -> None:
    training(data, tmp_path / "run").run()
    file = tmp_path / "run" / name
    if content == "half":
        file.write_bytes(b"half")
    else:
        save_file({"weight" if content == "other shapes" else "w": torch.zeros(2, 5), "bias": torch.zeros(2)}, file)
    again = training(data, tmp_path / "run")
    again.resume()
    with pytest.raises(InputError, match=rf"{name}: is damaged .* and was removed; go on with --resume$"):
        again.run()
    third = training(data, tmp_path / "run")
    third.resume()
    third.run()
    assert file.is_file()


@pytest.mark.parametrize("name", ["features/mine.txt", SVM, "best.safetensors"])
def test_nothing_that_lies_in_the_folder_is_lost(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = tmp_path / "run" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert train(data, tmp_path / "run") == 2
    assert "already holds a run" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_features_are_those_of_gt_boxes_and_proposals(data: Path, tmp_path: Path) -> None:
    one = training(data, tmp_path / "run")
    one.model.eval()
    pixels = (torch.rand(3, 60, 90) * 255).byte()
    target = Target(
        torch.tensor([[10.0, 10.0, 30.0, 30.0], [50.0, 10.0, 70.0, 30.0], [40.0, 40.0, 44.0, 44.0]]),
        torch.tensor([1, 0, 1]),
        torch.tensor([False, True, False]),
    )
    proposals = torch.tensor([[10.0, 10.0, 30.0, 28.0], [50.0, 10.0, 70.0, 29.0], [10.0, 10.0, 22.0, 30.0]])
    shape = torch.tensor([[60, 90]])
    batch = Batch(pixels[None], TargetBatch.of([target]), [0], ["a.jpg"], shape.flip(1), shape, [proposals])
    with torch.no_grad():
        found = one._features_of(batch)
    assert found["labels"].tolist() == [1, 1, -1, -1, -1]  # the ignored box is no example
    overlap = [[0, 1], [0, 1], [0, 0.9], [0.95, 0], [0, 0.6]]
    assert torch.allclose(found["overlap"], torch.tensor(overlap, dtype=torch.float32))  # but hides its proposals
    assert found["near_labels"].tolist() == [1, 1, 1]  # the two gt boxes and the first proposal; 0.6 is not above
    assert found["fc7"].dtype == torch.float16
    decoded = one.model.coder.decode(found["deltas"], torch.cat([target.boxes[[0, 2]], proposals[:1]]))
    assert torch.allclose(decoded, target.boxes[[0, 2, 0]], atol=1e-4)
    with torch.no_grad():
        images = Normalize(one.model.input_spec)(pixels)[None]
        looks = one.model.features(images, proposals, torch.zeros(3, dtype=torch.int64), batch.shapes)
    assert torch.allclose(found["fc7"][2:].float(), looks.fc7, rtol=1e-2, atol=1e-3)
    assert torch.allclose(found["pool5"][2].float(), looks.pool5[0], rtol=1e-2, atol=1e-3)
    assert torch.allclose(found["norms"][2:], looks.pool5.norm(dim=1), rtol=1e-2)


def test_the_regression_goes_by_the_mean_length_of_all_windows(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, asked = training(data, tmp_path / "run"), []
    norms = [[torch.tensor([1.0, 3.0])], [torch.tensor([8.0])]]
    monkeypatch.setattr(one, "_stored", lambda *names: iter(norms) if names == ("norms",) else iter([]))
    monkeypatch.setattr("vedette.train.rcnn.fit_box_regression", lambda *given, norm: asked.append(norm))
    one._fit_regression()
    assert asked == [4.0]


def test_the_proposals_are_those_of_the_cache(data: Path, tmp_path: Path, cache: Path) -> None:
    dataset = read_dataset(data, "train")
    found = proposals_of(dataset, limit=30, workers=0)
    stored = sorted(cache.iterdir())
    one = training(data, tmp_path / "run")
    one._propose()
    assert all(torch.equal(a, b) for a, b in zip(one.proposals, found, strict=True))
    assert sorted(cache.iterdir()) == stored


def test_the_fits_are_kept(data: Path, tmp_path: Path) -> None:
    one = training(data, tmp_path / "run")
    one.run()
    assert torch.equal(load_file(tmp_path / "run" / SVM)["weight"], one.model.svm.weight)
    assert torch.equal(load_file(tmp_path / "run" / REGRESSOR)["bias"], one.model.regressor.bias)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--start-size", "64"], "--start-size: RCNN is trained in stages"),
        (["--max-zoom-out", "3"], "--max-zoom-out: RCNN"),
        (["--set", "warp_size=0"], "warp_size is 0"),
        (["--set", "image_size=300"], "has no field 'image_size'"),
        (["--resume"], "no run is there"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert train(data, tmp_path / "run", *more) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
