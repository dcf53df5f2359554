"""Outlines and keypoints from one format to another and back; what has no place is said with its count."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vedette.data.check import check
from vedette.data.convert import convert
from vedette.data.fix import fix
from vedette.data.read import read_dataset, read_splits
from vedette.data.shapes import count, cut, moved, read, shape_of, written
from vedette.data.split import split_dataset

Write = Callable[..., Path]
TRIANGLE = [4, 5, 14, 5, 14, 15.5]  # its box: 4, 5, 10, 10.5
BOX = [4, 5, 10, 10.5]
MASK = {"counts": "abc", "size": [30, 40]}
POSE = [5, 6, 2, 0, 0, 0, 13.5, 14, 1]


def with_shapes(*shapes: dict[str, Any], **category: Any) -> Callable[[dict[str, Any]], None]:
    """A change to the set of `coco`: what its annotations have more, and its first category."""

    def change(content: dict[str, Any]) -> None:
        for record, shape in zip(content["annotations"], shapes, strict=True):
            record.update(shape)
        content["categories"][0] |= category

    return change


def annotations_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    content = json.loads((folder / f"{split}.json").read_text())
    return [{key: one[key] for key in one if key in ("segmentation", "keypoints")} for one in content["annotations"]]


def points_of(folder: Path) -> list[Any]:
    dataset, _ = read_splits(folder, shapes=True)["train"]
    assert dataset.shapes is not None
    return [read(text) for text in dataset.shapes]


def test_from_coco_to_coco_all_is_kept_to_the_digit(coco: Write, tmp_path: Path) -> None:
    two = [[4, 5, 8, 5, 8, 9.25], [10, 10, 14, 10, 14, 15.5]]
    shapes: list[dict[str, Any]] = [
        {"segmentation": two},
        {"segmentation": MASK, "iscrowd": 1},
        {"keypoints": POSE},
        {},
    ]
    names = {"keypoints": ["nose", "eye", "ear"], "skeleton": [[1, 2]]}
    source = coco([BOX] * 4, change=with_shapes(*shapes, **names))
    done = convert(source, "coco", tmp_path / "out")
    assert annotations_of(tmp_path / "out") == [{"segmentation": two}, {"segmentation": MASK}, {"keypoints": POSE}, {}]
    content = json.loads((tmp_path / "out" / "train.json").read_text())
    assert content["annotations"][2]["num_keypoints"] == 2
    assert content["categories"][1] == {"id": 18, "name": "dog", **names}
    assert not [line for line in done.lost if "left out" in line]


def test_parts_keep_outlines(coco: Write, picture: Callable[..., Path], tmp_path: Path) -> None:
    source = coco([BOX], change=with_shapes({"segmentation": [TRIANGLE]}))
    picture(source / "images" / "b.jpg", (41, 30))  # another picture, so that they may be parted
    split_dataset(source, {"a": 0.5, "b": 0.5}, tmp_path / "out")
    found = [one for part in "ab" for one in annotations_of(tmp_path / "out", part)]
    assert found == [{"segmentation": [TRIANGLE]}]


def test_boxes_only(coco: Write, tmp_path: Path) -> None:
    source = coco([BOX], change=with_shapes({"segmentation": [TRIANGLE], "keypoints": POSE}))
    convert(source, "coco", tmp_path / "coco", boxes_only=True)
    assert annotations_of(tmp_path / "coco") == [{}]
    convert(source, "yolo", tmp_path / "yolo", boxes_only=True)
    assert len((tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().split()) == 5


def test_outlines_go_to_yolo_and_back(coco: Write, tmp_path: Path) -> None:
    source = coco([BOX, [1, 2, 8, 4]], change=with_shapes({"segmentation": [TRIANGLE]}, {}))
    done = convert(source, "yolo", tmp_path / "yolo")
    lines = (tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().splitlines()
    assert [
        float(value) * side for value, side in zip(lines[0].split()[1:], [40, 30] * 3, strict=True)
    ] == pytest.approx(TRIANGLE, abs=1e-6)
    assert lines[1] == "1 0.025 0.0666666667 0.225 0.0666666667 0.225 0.2 0.025 0.2"
    assert "now an outline of four corners: 1 box, for all lines are outlines or none is" in done.lost
    convert(tmp_path / "yolo", "coco", tmp_path / "back")
    first, second = annotations_of(tmp_path / "back")
    assert first["segmentation"][0] == pytest.approx(TRIANGLE, abs=1e-5)
    assert second["segmentation"][0] == pytest.approx([1, 2, 9, 2, 9, 6, 1, 6], abs=1e-5)
    assert read_dataset(tmp_path / "back").boxes(0).numpy() == pytest.approx(
        np.array([[4, 5, 14, 15.5], [1, 2, 9, 6]]), abs=1e-4
    )


@pytest.mark.parametrize("corner", [(30.0, 0.0), (40.0, 30.0)])
def test_an_outline_that_could_be_keypoints_is_closed_and_read_as_it_was(
    coco: Write, tmp_path: Path, corner: tuple[float, float]
) -> None:
    """Its last fractions are 0 or 1, which would be a score and a track, or marks."""
    triangle = [20.0, 15.0, 21.0, 16.0, *corner]
    x, y = min(20.0, corner[0]), min(15.0, corner[1])
    box = [x, y, max(21.0, corner[0]) - x, max(16.0, corner[1]) - y]
    convert(coco([box], change=with_shapes({"segmentation": [triangle]})), "yolo", tmp_path / "yolo")
    assert len((tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().split()) == 9
    assert not check(tmp_path / "yolo").harmful
    assert points_of(tmp_path / "yolo")[0]["segmentation"][0] == pytest.approx(triangle, abs=1e-5)


def test_outlines_that_yolo_cannot_hold_are_boxes_and_counted(coco: Write, tmp_path: Path) -> None:
    elsewhere = [14, 5, 24, 5, 24, 15.5]
    near = [4.5, 5, 14, 5, 14, 15.5]
    shapes = [{"segmentation": [TRIANGLE, TRIANGLE]}, {"segmentation": MASK}, {"segmentation": [elsewhere]}]
    done = convert(coco([BOX] * 4, change=with_shapes(*shapes, {"segmentation": [near]})), "yolo", tmp_path / "yolo")
    assert done.lost[:5] == (
        "left out: outlines of several parts, of which a line has one; the boxes are written: 1",
        "left out: masks in runs, which are no polygons; the boxes are written: 1",
        "left out: outlines that are not where their boxes are; the boxes are written: 1",
        "now the box around its outline, up to a pixel away: 1 box",
        "now an outline of four corners: 3 boxes, for all lines are outlines or none is",
    )
    assert not check(tmp_path / "yolo").harmful


def test_poses_go_to_yolo_and_back(coco: Write, tmp_path: Path) -> None:
    names = {"keypoints": ["nose", "eye", "ear"]}
    shapes = [{"keypoints": POSE, "segmentation": [TRIANGLE]}, {}]
    done = convert(coco([BOX, [1, 2, 8, 4]], change=with_shapes(*shapes, **names)), "yolo", tmp_path / "yolo")
    assert "kpt_shape:\n- 3\n- 3\n" in (tmp_path / "yolo" / "data.yaml").read_text()
    assert [
        len(line.split()) for line in (tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().splitlines()
    ] == [14, 14]
    assert done.lost[:3] == (
        "left out: 1 outline, for lines with keypoints have none",
        "now with 3 keypoints that are not labelled: 1 box without any",
        "left out: what keypoints are called and which are joined, which data.yaml has no place for",
    )
    convert(tmp_path / "yolo", "coco", tmp_path / "back")
    first, second = annotations_of(tmp_path / "back")
    assert first["keypoints"] == pytest.approx(POSE, abs=1e-5)
    assert second["keypoints"] == [0] * 9
    again = convert(tmp_path / "yolo", "yolo", tmp_path / "again")
    assert not again.lost
    labels = [(tmp_path / at / "labels" / "train" / "a.txt").read_text() for at in ("yolo", "again")]
    assert np.array(labels[1].split(), float) == pytest.approx(np.array(labels[0].split(), float), abs=1e-6)


def test_keypoints_without_marks_are_visible_ones(yolo: Write, tmp_path: Path) -> None:
    source = yolo({"images/a": "0 .5 .5 .5 .5 .25 .5 0 0\n"}, "train: images\nnames: [cat]\nkpt_shape: [2, 2]\n")
    assert points_of(source)[0]["keypoints"] == [10, 15, 2, 0, 0, 0]


@pytest.mark.parametrize("to", ["voc", "huggingface"])
def test_what_has_no_place_is_counted(coco: Write, tmp_path: Path, to: Any) -> None:
    shapes = [{"segmentation": [TRIANGLE], "keypoints": POSE}, {"segmentation": [TRIANGLE]}, {"segmentation": MASK}]
    done = convert(coco([BOX] * 3, change=with_shapes(*shapes)), to, tmp_path / "out")
    assert [line for line in done.lost if line.startswith("left out: 2 outlines and 1 mask and 1 pose, which ")]


def test_a_corrected_copy_scales_outlines_and_says_which_masks_it_lost(coco: Write, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0] |= {"width": 20, "height": 15}
        content["annotations"][0] |= {"segmentation": [[2, 2, 6, 2, 6, 8]], "keypoints": [3, 4, 2]}
        content["annotations"][1] |= {"segmentation": MASK}

    fixed = fix(coco([[2, 2, 4, 6], [1, 1, 5, 5]], change=change), tmp_path / "out")
    assert annotations_of(tmp_path / "out") == [{"segmentation": [[4, 4, 12, 4, 12, 16]], "keypoints": [6, 8, 2]}, {}]
    assert fixed.left_out == ("left out: 1 mask in runs, of pictures of another size",)


def test_outlines_are_cut_as_their_boxes_are(coco: Write, tmp_path: Path) -> None:
    outside = {"segmentation": [[-6, 5, 14, 5, 14, 50]], "keypoints": [-1, 5, 2, 3, 3, 2]}
    source = coco([[-6, 5, 20, 45]], change=with_shapes(outside))
    fix(source, tmp_path / "out")
    assert annotations_of(tmp_path / "out") == [
        {"segmentation": [[0, 5, 14, 5, 14, 30]], "keypoints": [0, 0, 0, 3, 3, 2]}
    ]
    convert(source, "coco", tmp_path / "same")
    assert annotations_of(tmp_path / "same") == [outside]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ({"segmentation": [[1, 2]]}, "segmentation [[1, 2]] is neither polygons nor a mask in runs"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "segmentation"),
        ({"segmentation": {"size": [1, 1]}}, "segmentation"),
        ({"segmentation": "x"}, "segmentation 'x'"),
        ({"keypoints": [1, 2]}, "keypoints [1, 2] are not x, y and a mark each"),
        ({"keypoints": {}, "segmentation": [[]]}, ""),
        ({"keypoints": "no"}, "keypoints 'no'"),
        ({"keypoints": [1e305, 2, 2]}, "keypoints"),
    ],
)
def test_what_is_no_shape_is_said_and_left_out(record: dict[str, Any], fault: str) -> None:
    text, faults = shape_of(record)
    assert text == ""
    assert [one.startswith(fault) for one in faults] == ([True] if fault else [])


def test_the_check_says_what_outlines_cannot_be_read(coco: Write) -> None:
    report = check(coco([BOX], change=with_shapes({"segmentation": [[1, 2]]})))
    assert [one.kind for one in report.findings] == ["outline unreadable", "image without boxes"]
    assert not report.harmful


def test_moved_leaves_what_is_not_labelled_and_masks() -> None:
    text = written({"keypoints": [1, 2, 2, 0, 0, 0], "segmentation": MASK})
    assert read(moved(text, lambda points: points + 10)) == {"keypoints": [11, 12, 2, 0, 0, 0], "segmentation": MASK}
    assert cut("", 4, 4) == ""
    assert count([text, "", written({"segmentation": [TRIANGLE]})]) == {"mask": 1, "outline": 1, "pose": 1}


def test_who_does_not_ask_has_none_in_memory(coco: Write) -> None:
    dataset = read_dataset(coco([BOX], change=with_shapes({"segmentation": [TRIANGLE]})))
    assert dataset.shapes is None
    assert dataset.skeletons in ((), ("", ""))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_outlines_turn_with_the_picture(
    coco: Write, picture: Callable[..., Path], tmp_path: Path, orientation: int
) -> None:
    """The extent of each outline in YOLO's labels is its box, which is tested to lie on the object."""
    source = coco([BOX], change=with_shapes({"segmentation": [TRIANGLE]}))
    picture(source / "images" / "a.jpg", orientation=orientation)
    convert(source, "yolo", tmp_path / "outlines")
    convert(source, "yolo", tmp_path / "boxes", boxes_only=True)
    boxes = [read_dataset(tmp_path / one).boxes(0).numpy() for one in ("outlines", "boxes")]
    assert boxes[0] == pytest.approx(boxes[1], abs=1e-4)


def test_outlines_stay_with_their_boxes_when_others_are_left_out(coco: Write, tmp_path: Path) -> None:
    other = [1, 1, 5, 1, 5, 6]
    shapes: list[dict[str, Any]] = [{"segmentation": [other]} for _ in range(3)]
    shapes[0]["category_id"], shapes[2]["iscrowd"] = 99, 1  # no class; left out in YOLO
    boxes = [[1, 1, 4, 5], [1, 1, 0, 5], [1, 1, 4, 5], BOX]
    source = coco(boxes, change=with_shapes(*shapes, {"segmentation": [TRIANGLE]}))
    convert(source, "yolo", tmp_path / "yolo")
    (shape,) = points_of(tmp_path / "yolo")
    assert shape["segmentation"][0] == pytest.approx(TRIANGLE, abs=1e-5)
    fix(source, tmp_path / "fixed")
    assert annotations_of(tmp_path / "fixed") == [{"segmentation": [other]}, {"segmentation": [TRIANGLE]}]


@pytest.mark.parametrize("keypoint", ["1e305 .5 2", ".5 -7 2", ".5 .5 1e300"])
def test_keypoints_far_beyond_the_image_are_said(yolo: Write, tmp_path: Path, keypoint: str) -> None:
    source = yolo({"images/a": f"0 .5 .5 .5 .5 {keypoint}\n"}, "train: images\nnames: [cat]\nkpt_shape: [1, 3]\n")
    assert [one.kind for one in check(source).findings] == ["outline unreadable"]
    convert(source, "coco", tmp_path / "coco")
    assert annotations_of(tmp_path / "coco") == [{}]


def test_a_mark_that_is_a_score_stays_one(yolo: Write) -> None:
    source = yolo({"images/a": "0 .5 .5 .5 .5 .5 .5 .93\n"}, "train: images\nnames: [cat]\nkpt_shape: [1, 3]\n")
    assert points_of(source)[0]["keypoints"] == [20, 15, 0.93]
