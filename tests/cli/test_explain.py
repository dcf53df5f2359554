"""vedette explain photo.jpg: a page for each picture, and one clear line for whatever cannot be."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import vedette
from vedette.cli.main import run
from vedette.pages.render import is_our_page
from vedette.weights.files import save_weights

DEMO = Path(vedette.__file__).parent / "assets" / "demo"
CAT = DEMO / "chelsea.jpg"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small SSD of our own."""
    torch.manual_seed(1)
    model = vedette.build("ssd300-timm/resnet10t", num_classes=3)
    file = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_weights(file, model, name="ssd300-timm/resnet10t", classes=("a", "b", "c"), input_spec=model.input_spec)
    return str(file)


def test_a_page_and_its_trace(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, traces = tmp_path / "cat.html", tmp_path / "cat.json"
    how = ["--score", "0.3", "--out", str(page), "--json", str(traces)]
    assert run(["explain", str(CAT), "--model", weights, *how]) == 0
    said = capsys.readouterr().out
    found = vedette.load(weights, device="cpu").detect(CAT, score=0.3)
    assert said == f"{CAT}: {len(found)} object{'' if len(found) == 1 else 's'} found: {page}\n"
    assert is_our_page(page)
    text = page.read_text(encoding="utf-8")
    assert "<h1>What mine finds in chelsea.jpg</h1>" in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text
    (picture,) = json.loads(traces.read_text(encoding="utf-8"))["pictures"]
    assert (picture["file"], picture["page"]) == (str(CAT), str(page))
    assert picture["traces"][0]["model"] == "mine"
    assert picture["traces"][0]["trace"]["format"] == 1
    assert run(["explain", str(CAT), "--model", weights, *how]) == 0  # its own are written over


def test_several_pictures_have_a_page_each_and_a_bad_one_is_told(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("one.jpg", "two.jpg"):
        shutil.copy(CAT, tmp_path / "in" / name)
    (tmp_path / "in" / "bad.jpg").write_text("no picture")
    out = tmp_path / "out"
    assert run(["explain", str(tmp_path / "in"), "--model", weights, "--out", str(out)]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["one.html", "two.html"]
    assert "bad.jpg: not an image" in capsys.readouterr().err


def test_two_detectors_on_one_page(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "both.html"
    beside = ["--beside", weights, "--scales", "300,320", "--flip", "--vote", "--nms", "linear"]
    assert run(["explain", str(CAT), "--model", weights, *beside, "--out", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count('data-pane="') == 2
    assert "4 looks" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere.jpg"], "nowhere.jpg: no such file or folder"),
        ([str(CAT), "--model", "no-such"], "no-such: neither a weight file nor a model's name"),
        ([str(CAT), "--beside", "no-such"], "no-such: neither a weight file nor a model's name"),
        ([str(CAT), "--scales", "a"], "--scales 'a': write sizes in pixels"),
        ([str(CAT), "--score", "2"], "Invalid value for '--score'"),
        ([str(DEMO), "--out", "all.html"], "2 pictures have a page each; give the name of a folder"),
        ([str(CAT), "--out", "mine.html"], "mine.html: exists, and is no page of this command; give another name"),
        ([str(CAT), "--json", "page.html"], "is --json's place too; give each its own"),
        (["--live", "--web", "nowhere"], "nowhere/ort.wasm.bundle.min.mjs: no such file; run `make web`, or give"),
        (["--live", "--web", "other"], "other/ort.wasm.bundle.min.mjs: is not the file of onnxruntime-web"),
        (["--live", "--out", "mine.html"], "mine.html: exists, and is no page of this command; give another name"),
        (["--live", "--beside", "refinedet320-lite0"], "--beside: not of --live; leave it out"),
        (["--live", "--data", "data:val"], "--data: not of --live; leave it out"),
        (["--live", str(CAT)], "say what to explain: IMAGE, --live, or --data PATH with --lost"),
        ([str(CAT), "--out", "step.svg"], "--out step.svg: a page is written; give a name that ends in .html"),
    ],
)
def test_bad_input_gets_one_line(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("a letter", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ort.wasm.bundle.min.mjs").write_text("another", encoding="utf-8")
    assert run(["explain", *arguments]) == 2
    errors = [text for text in capsys.readouterr().err.splitlines() if not text.startswith("note:")]
    assert len(errors) == 1
    assert line in errors[0]
    assert (tmp_path / "mine.html").read_text(encoding="utf-8") == "a letter"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html", "other"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Chelsea, annotated in half of her size: an "a", a difficult "b", an unknown class; a picture of that alone."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    shutil.copy(CAT, root / "images" / "cat.jpg")
    shutil.copy(DEMO / "astronaut.jpg", root / "images" / "other.jpg")
    with Image.open(CAT) as picture:
        width, height = picture.size
    images = [
        {"id": 1, "file_name": "cat.jpg", "width": width / 2, "height": height / 2},
        {"id": 2, "file_name": "other.jpg", "width": 512, "height": 512},
    ]
    rows = [
        (1, 1, [20, 10, 100, 80], 0),
        (1, 2, [0, 0, 30, 20], 1),
        (1, 9, [9, 9, 50, 50], 0),
        (2, 9, [5, 5, 90, 90], 0),
    ]
    annotations = [
        {"id": n, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0, "difficult": difficult}
        for n, (image, category, box, difficult) in enumerate(rows, 1)
    ]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 9, "name": "zebra"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (root / "val.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("image", ["cat.jpg", "images/cat.jpg"])
def test_what_is_annotated_stands_on_the_page(
    image: str, weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, numbers = tmp_path / "cat.html", tmp_path / "cat.json"
    named = image if "/" not in image else str(data / image)
    how = ["--data", f"{data}:val", "--model", weights, "--out", str(page), "--json", str(numbers)]
    assert run(["explain", named, *how]) == 0
    note = "mine: 1 box of classes that the model does not know left out: 1 zebra\n"
    assert note in capsys.readouterr().err
    assert 'data-panel="truth"' in page.read_text(encoding="utf-8")
    (told,) = json.loads(numbers.read_text(encoding="utf-8"))["pictures"][0]["traces"]
    objects = told["taught"]["objects"]
    assert [(one["label"], one["ignored"]) for one in objects] == [(0, False), (1, True)]
    assert objects[0]["box"] == pytest.approx([40, 20, 240, 180], abs=1)  # in the picture's pixels


def test_a_picture_that_is_not_annotated_and_an_unknown_class_are_told(
    weights: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--data", str(data), "--model", weights, "--out", str(tmp_path / "out")]
    assert run(["explain", str(CAT), *out]) == 2
    said = capsys.readouterr().err
    assert f"{CAT}: not among the 2 pictures of --data {data}; name one of them, or leave --data out" in said
    assert run(["explain", "cat.jpg", "other.jpg", *out]) == 1
    said = capsys.readouterr().err
    assert "other.jpg: the model does not know these classes of the data: zebra; it knows a, b, c" in said
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["cat.html"]


def test_without_data_nothing_is_said_of_annotations(weights: str, tmp_path: Path) -> None:
    page = tmp_path / "cat.html"
    assert run(["explain", str(CAT), "--model", weights, "--out", str(page)]) == 0
    assert "Annotated</button>" not in page.read_text(encoding="utf-8")
