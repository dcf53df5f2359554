import json
import pickle
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vedette.errors import InputError
from vedette.pages import fonts
from vedette.structures import Detections, InputSpec, Target, TargetBatch, check_spec, check_targets, pad_targets

CPU = torch.device("cpu")
BOXES = torch.tensor([[10.0, 10.0, 50.0, 40.0], [0.0, 5.0, 20.0, 25.0], [5.0, 5.0, 8.0, 9.0]])


def found(**changes: object) -> Detections:
    values = {
        "boxes": BOXES,
        "scores": torch.tensor([0.9, 0.8, 0.3]),
        "labels": torch.tensor([1, 0, 1]),
        "source": torch.tensor([7, 3, 99]),
        "classes": ("cat", "dog"),
    }
    return Detections(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("boxes", "labels", "ignore", "message"),
    [
        (torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64), None, r"shape \(G, 4\), not \(2, 5\)"),
        (torch.zeros(4), torch.zeros(1, dtype=torch.int64), None, r"shape \(G, 4\)"),
        (BOXES.int(), torch.zeros(3, dtype=torch.int64), None, "floating point"),
        (BOXES, torch.zeros(2, dtype=torch.int64), None, r"shape \(3,\)"),
        (BOXES, torch.zeros(3), None, "int64"),
        (BOXES, torch.zeros(3, dtype=torch.int64), torch.zeros(3), "bool"),
        (BOXES, torch.zeros(3, dtype=torch.int64), torch.zeros(2, dtype=torch.bool), "bool"),
        (BOXES[:, [2, 1, 0, 3]], torch.zeros(3, dtype=torch.int64), None, r"boxes\[0\].* x1 < x2"),
        (BOXES[:, [0, 1, 0, 3]], torch.zeros(3, dtype=torch.int64), None, r"boxes\[0\]"),
        (BOXES.where(BOXES != 25, torch.nan), torch.zeros(3, dtype=torch.int64), None, r"boxes\[1\]"),
        (BOXES.where(BOXES != 25, torch.inf), torch.zeros(3, dtype=torch.int64), None, r"boxes\[1\]"),
        (BOXES, torch.tensor([0, -1, 2]), None, "found -1"),
    ],
)
def test_target_refuses(boxes: Tensor, labels: Tensor, ignore: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target(boxes, labels, ignore)


def test_target_without_boxes() -> None:
    target = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    assert len(target.boxes) == 0


def test_target_moves_all_its_tensors() -> None:
    target = Target(BOXES, torch.tensor([0, 1, 2]), torch.tensor([True, False, False]))
    moved = target.to("meta")
    assert {moved.boxes.device.type, moved.labels.device.type, moved.ignore.device.type} == {"meta"}
    assert target.boxes.device.type == "cpu"
    assert Target(BOXES, torch.tensor([0, 1, 2])).to("cpu").ignore is None


def test_names() -> None:
    assert found().names == ["dog", "cat", "dog"]
    assert found(classes=None).names == ["class 1", "class 0", "class 1"]


@pytest.mark.parametrize(
    ("index", "sources"),
    [
        (torch.tensor([2, 0]), [99, 7]),
        (torch.tensor([True, False, True]), [7, 99]),
        (slice(0, 2), [7, 3]),
        (1, [3]),
        (-1, [99]),
        (np.int64(1), [3]),
        (np.array([2, 0]), [99, 7]),
        (np.array([True, False, True]), [7, 99]),
        ([2, 0], [99, 7]),
    ],
)
def test_indexing(index: Any, sources: list[int]) -> None:
    picked = found()[index]
    assert picked.source.tolist() == sources
    assert picked.boxes.shape == (len(sources), 4)
    assert len(picked) == len(picked.scores) == len(picked.labels) == len(picked.names) == len(sources)
    assert picked.classes == ("cat", "dog")


def test_an_index_beyond_the_end() -> None:
    with pytest.raises(IndexError):
        found()[3]


def test_iteration_gives_one_detection_after_the_other() -> None:
    assert [one.names for one in found()] == [["dog"], ["cat"], ["dog"]]


def test_a_notebook_shows_a_picture_and_a_table_or_the_table_alone() -> None:
    whole = found(image=Image.new("RGB", (60, 50), "green"))
    assert "<img" in whole._repr_html_()
    assert "<td>0.900</td><td>10, 10, 50, 40</td>" in whole._repr_html_()
    with_picture = whole._repr_png_()
    assert with_picture is not None
    assert Image.open(BytesIO(with_picture)).size == (60, 50)
    assert "<img" not in found()._repr_html_()
    assert found()._repr_png_() is None


def test_draw_needs_a_picture() -> None:
    with pytest.raises(InputError, match=r"hold no image \(keep_image=False\): give it, found.draw\(image\)"):
        found().draw()
    with pytest.raises(InputError, match="draw\\(\\) takes a PIL image, not str"):
        found().draw("photo.jpg")  # type: ignore[arg-type]
    picture = Image.new("RGB", (60, 50))
    assert found().draw(picture).size == (60, 50)
    assert found(image=picture).draw().tobytes() == found().draw(picture).tobytes()
    assert found(image=picture).draw(Image.new("RGB", (99, 98))).size == (99, 98)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_save(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    found(image=Image.new("RGB", (60, 50))).save(path)
    with Image.open(path) as written:
        assert written.size == (60, 50)


def test_a_given_picture_is_turned_as_it_was_to_detect(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 90)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as lying:
        assert found().draw(lying).size == (90, 60)
        found().save(tmp_path / "b.png", lying)
    with Image.open(tmp_path / "b.png") as written:
        assert written.size == (90, 60)


def test_names_that_no_font_has_are_drawn_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    captions: list[str] = []
    monkeypatch.setattr("vedette.structures.draw_boxes", lambda image, boxes, texts, labels: captions.extend(texts))
    monkeypatch.setattr("vedette.pages.fonts._system_files", list)
    fonts._fonts_behind.cache_clear()
    found(classes=("猫", "dog"), image=Image.new("RGB", (60, 50))).draw()
    fonts._fonts_behind.cache_clear()
    assert captions == ["dog 0.90", "class 0 0.80", "dog 0.30"]


def test_a_named_font_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_FONT", "/none/x.ttf")
    for classes in (("cat", "dog"), None):
        with pytest.raises(InputError, match=r"^/none/x\.ttf: VEDETTE_FONT names it, and it is no font"):
            found(classes=classes, image=Image.new("RGB", (60, 50))).draw()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out", "no suffix names a format that pictures are written in; give .jpg, .png or .webp"),
        ("out.xyz", ".xyz names no format that pictures are written in; give"),
        ("out.psd", ".psd names no format that pictures are written in; give"),  # it can be read
        ("none/out.jpg", r"cannot be written \(No such file or directory\)"),
        ("out.xbm", "cannot be written .as XBM: cannot write mode RGB as XBM"),
    ],
)
def test_a_picture_that_cannot_be_saved(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path / name}: {reason}"):
        found(image=Image.new("RGB", (60, 50))).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [torch.tensor([True, False, True]), slice(0, 3, 2), [0, 2]])
def test_the_datas_own_ids_stay_with_the_detections(index: Any) -> None:
    own = found(category_ids=(17, 18))
    for kept in (own[index], pickle.loads(pickle.dumps(own))[index], replace(own, image=None)[index]):
        assert kept.category_ids == (17, 18)
        assert [row["category_id"] for row in kept.to_coco()] == [18, 18]


def test_the_rows_of_coco_are_json_whatever_the_numbers_are_numpys() -> None:
    rows = found().to_coco(np.int64(3), category_ids=np.array([17, 18]))  # type: ignore[arg-type]
    assert [(row["image_id"], row["category_id"]) for row in json.loads(json.dumps(rows))] == [
        (3, 18),
        (3, 17),
        (3, 18),
    ]


def test_to_coco() -> None:
    rows = found().to_coco("a", category_ids=[17, 18])
    assert [row["category_id"] for row in rows] == [18, 17, 18]
    assert rows[0]["image_id"] == "a"
    assert rows[0]["bbox"] == [10.0, 10.0, 40.0, 30.0]
    assert rows[0]["score"] == pytest.approx(0.9)
    assert [row["category_id"] for row in found().to_coco()] == [1, 0, 1]
    assert found()[:0].to_coco() == []


def test_to_supervision() -> None:
    supervision = pytest.importorskip("supervision")
    theirs = found().to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.xyxy.tolist() == BOXES.tolist()
    assert theirs.class_id.tolist() == [1, 0, 1]
    assert list(theirs[theirs.confidence > 0.85].data["class_name"]) == ["dog"]
    dogs = theirs[theirs["class_name"] == "dog"]
    assert dogs.class_id.tolist() == [1, 1]
    none = found()[:0].to_supervision()
    assert len(none) == 0
    assert len(none[none["class_name"] == "dog"]) == 0
    both = supervision.Detections.merge([theirs, none, theirs])
    assert both["class_name"].tolist() == 2 * found().names


@pytest.mark.parametrize(("name", "given"), [("boxes", [[0.0, 0.0, 1.0, 1.0]]), ("labels", [0]), ("ignore", [True])])
def test_a_target_says_that_it_wants_tensors(name: str, given: object) -> None:
    fields: dict[str, Any] = {"boxes": torch.tensor([[0.0, 0.0, 1.0, 1.0]]), "labels": torch.tensor([0])}
    with pytest.raises(TypeError, match=rf"Target\.{name} must be a tensor, not list: wrap it"):
        Target(**(fields | {name: given}))


def test_targets_are_padded() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64), torch.tensor([6]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    boxes = torch.tensor([[5.0, 6, 7, 8], [-1, -2, 9, 9]])
    two = Target(boxes, torch.tensor([0, 2]), torch.tensor([False, True]))
    batch = pad_targets([one, none, two], CPU)
    assert batch.boxes.tolist() == [[[1, 2, 3, 4], [0] * 4], [[0] * 4, [0] * 4], [[5, 6, 7, 8], [-1, -2, 9, 9]]]
    assert batch.labels.tolist() == [[6, 0], [0, 0], [0, 2]]
    assert batch.valid.tolist() == [[True, False], [False, False], [True, True]]
    assert batch.ignore.tolist() == [[False, False], [False, False], [False, True]]
    assert [t.dtype for t in batch] == [torch.float32, torch.int64, torch.bool, torch.bool, torch.int64]


def test_padding_no_targets() -> None:
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    for targets, images in (([], 0), ([none, none], 2)):
        batch = pad_targets(targets, CPU)
        assert [tuple(t.shape) for t in batch] == [(images, 0, 4), (images, 0), (images, 0), (images, 0), (images,)]
        assert [t.dtype for t in batch] == [torch.float32, torch.int64, torch.bool, torch.bool, torch.int64]


def test_padding_goes_to_the_device_asked_for() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([6]))
    for targets in ([], [one]):
        assert {t.device.type for t in pad_targets(targets, torch.device("meta"))} == {"meta"}


def test_refuses_targets_that_do_not_fit_the_images_or_the_classes() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([6, 0]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    check_targets([none, one], images=2, num_classes=7)
    check_targets([], images=0, num_classes=7)
    with pytest.raises(ValueError, match=r"targets\[1\] has label 6; the model has 0..5"):
        check_targets([none, one], images=2, num_classes=6)
    for targets in ([one], [none, one, none]):
        with pytest.raises(ValueError, match=f"{len(targets)} targets for 2 images"):
            check_targets(targets, images=2, num_classes=7)


def test_targets_padded_already_are_taken_as_they_are() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([6, 0]), torch.tensor([False, True]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    batch = TargetBatch.of([one, none])
    for given, expected in zip(pad_targets(batch, CPU)[:-1], pad_targets([one, none], CPU)[:-1], strict=True):
        assert torch.equal(given, expected)
    assert {t.device.type for t in pad_targets(batch, torch.device("meta"))} == {"meta"}
    check_targets(batch, images=2, num_classes=7)
    with pytest.raises(ValueError, match=r"targets\[0\] has label 6; the model has 0..5"):
        check_targets(batch, images=2, num_classes=6)
    with pytest.raises(ValueError, match="2 targets for 3 images"):
        check_targets(batch, images=3, num_classes=7)


def test_pinned_memory_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self.add(1))  # without a GPU nothing can be pinned
    batch = TargetBatch(torch.zeros(1, 1, 4), *(torch.zeros(1, 1).long() for _ in range(4)))
    pinned = batch.pin_memory()
    assert isinstance(pinned, TargetBatch)
    assert all(bool((t == 1).all()) for t in pinned)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"size": 0}, "size is 0: give a whole number of pixels from 1 to 32768"),
        ({"size": 320.0}, "size is 320.0"),
        ({"size": True}, "size is True"),
        ({"size": 10**9}, "size is 1000000000"),
        ({"divisor": 0}, "divisor is 0"),
        ({"max_side": -1}, "max_side is -1"),
        ({"resize": "crop"}, "resize is 'crop': give one of warp, short side"),
        ({"resize": ["warp"]}, "resize is"),
        ({"interpolation": "nearest"}, "interpolation is 'nearest': give one of bilinear, bicubic"),
        ({"channels": None}, "channels is None: give one of rgb, bgr"),
        ({"antialias": 1}, "antialias is 1: give true or false"),
        ({"range": 0.0}, "range is 0.0: give more than 0"),
        ({"range": "1"}, "range is '1': give a number"),
        ({"mean": (0.0, 0.0)}, r"mean is \(0.0, 0.0\): give three numbers"),
        ({"mean": (0.0, 0.0, torch.nan)}, "mean is .*: give three numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "std is .*: give more than 0"),
    ],
)
def test_an_input_that_no_picture_can_be_brought_to_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_spec(InputSpec(**({"size": 320} | fields)))


def test_the_numbers_of_an_input_may_be_numpys() -> None:
    spec = check_spec(InputSpec(size=np.int64(320), range=np.float32(1.0)))  # type: ignore[arg-type]
    assert (type(spec.size), type(spec.range)) == (int, float)
    assert spec == InputSpec(size=320, range=1.0)
