"""Whole data sets of each format as one run of bytes, and what is asked of readers: nothing lost, nothing unsound."""

import io
import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.check import check
from vedette.data.read import find_splits, read_dataset
from vedette.errors import InputError

FOLDER = "a/b/c/set"  # deep, so that names with ../ in them stay in the folder of the test
SEPARATOR = re.compile(rb"(?m)^=== (.*)\n")
PICTURE, LINK = b"(picture)", b"(link) "
LONGEST = 255  # bytes of a name


def lay_out(folder: Path, content: bytes) -> None:
    """Writes the files of a data set; those whose names cannot be written are left out."""
    Image.init()  # the readers of pictures that Pillow imports when it first needs them
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _, *parts = SEPARATOR.split(content)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        steps = [step[:LONGEST] for step in name.replace(b"\0", b"").split(b"/")[:8] if step not in (b"", b".", b"..")]
        file = folder / b"/".join(steps).decode("utf-8", "surrogateescape")
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, text)


def reader(objects: Callable[[Path], int | None]) -> Callable[[Path], None]:
    """Checks a data set and reads all of its splits; raises AssertionError for what is lost or unsound in `train`."""

    def read(folder: Path) -> None:
        splits = find_splits(folder)
        said = check(folder)
        notes: list[str] = []
        try:
            for split in splits:
                dataset = read_dataset(folder, split)
                _look_at(dataset)
                expected = objects(folder) if split == "train" else None
                found = len(dataset.all_labels) + sum(map(_left_out, dataset.notes))
                assert expected in (None, found), f"{found} objects of {expected}"
                notes += dataset.notes
        except InputError:
            assert said.harmful, "refused, but the check finds nothing"
            raise
        assert notes or not said.harmful, "read, but the check is against it"

    return read


def coco() -> list[bytes]:
    """In the two layouts that are the most common, with marks, an outline, a crowd and a root category."""
    images = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 2, "file_name": "b.jpg"}]
    boxes: list[dict[str, Any]] = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 10, 10], "area": 90.5, "iscrowd": 0, "ignore": 1},
        {"id": 2, "image_id": 2, "category_id": 2, "segmentation": [[4, 5, 20, 5, 20, 15.5]], "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": [1, 2.5, 8, 9], "iscrowd": 1, "difficult": 1},
    ]
    classes = [
        {"id": 0, "name": "animals"},
        *({"id": 1 + i, "name": "xy"[i], "supercategory": "animals"} for i in (0, 1)),
    ]
    text = json.dumps({"images": images, "annotations": boxes, "categories": classes}, indent=1).encode()
    pictures = {"images/a.jpg": PICTURE, "images/b.jpg": PICTURE}
    exported = {f"train/{name}.jpg": PICTURE for name in "ab"} | {"train/_annotations.coco.json": text}
    return [_joined({"train.json": text, "notes.json": b"{}", **pictures}), _joined(exported)]


def coco_objects(folder: Path) -> int | None:
    """How many annotations the JSON lists."""
    file = next(
        (file for file in (folder / "train.json", folder / "train/_annotations.coco.json") if file.exists()), None
    )
    if file is None:
        return None
    counted: list[int] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        counted.append(sum(len(value) for key, value in items if key == "annotations" and isinstance(value, list)))
        return dict(items)

    json.loads(file.read_bytes().decode(_encoding(file)), object_pairs_hook=pairs)
    return counted[-1]  # of the outermost object, which ends last


def voc() -> list[bytes]:
    """With lists, a difficult object, a body's part, and a declared encoding."""
    part = "<part><name>head</name><bndbox><xmin>4</xmin><ymin>4</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    one = _xml("a.jpg", [("cat", 3, 4, 20, 25, ""), ("dog", 1, 1, 40, 30, part)])
    two = '<?xml version="1.0" encoding="gb2312"?>\n' + _xml("b.jpg", [("猫", 5, 6, 7.5, 20, "")])
    files = {"Annotations/a.xml": one.encode(), "Annotations/sub/b.xml": two.encode("gbk")}
    lists = {"ImageSets/Main/train.txt": b"a\nsub/b  1\n", "ImageSets/Main/val.txt": b"a.jpg\n"}
    return [_joined(files | lists | {f"JPEGImages/{name}.jpg": PICTURE for name in "ab"})]


def voc_objects(folder: Path) -> int | None:
    """How many boxes the XML files hold that are of no part, where the list names them all."""
    if (folder / "ImageSets/Main/train.txt").read_bytes() != b"a\nsub/b  1\n":
        return None
    files, count = (folder / "Annotations/a.xml", folder / "Annotations/sub/b.xml"), 0
    if not all(file.exists() for file in files):  # found under another name
        return None
    for file in files:
        content = file.read_bytes()
        try:
            root = ElementTree.fromstring(content)
        except (ElementTree.ParseError, ValueError, LookupError):
            return None
        for part in list(root.iter()):
            for inner in [one for one in part if one.tag == "part"]:
                part.remove(inner)
        count += sum(1 for one in root.iter() if one.tag.lower() == "bndbox")
    return count


def yolo() -> list[bytes]:
    """Boxes and outlines, poses, links, and a list of images."""
    line = b"0 0.5 0.5 0.5 0.2\n"
    yaml = b"path: .\ntrain: train/images\nval: val.txt\nnc: 2\nnames:\n  0: fish\n  1: 'shark'\n"
    labels = {"train/labels/a.txt": line + b"1 0.1 0.1 0.6 0.1 0.35 0.9\n", "train/labels/in/b.txt": line}
    images = {"train/images/a.jpg": PICTURE, "train/images/in/b.jpg": PICTURE, "train/images/loop": LINK + b".."}
    lists = {"val.txt": b"./more/images/c.jpg\n", "more/images/c.jpg": PICTURE, "more/labels/c.txt": line}
    poses = labels | {"train/labels/a.txt": line.strip() + b" 0.4 0.4 2 0.6 0.5 1\n"}
    shape = b"train: train/images\nkpt_shape: [2, 3]\nnames: [fish, shark]\n"
    return [_joined({"data.yaml": yaml, **labels, **images, **lists}), _joined({"data.yaml": shape, **poses, **images})]


def yolo_objects(folder: Path) -> int | None:
    """How many lines the labels have, where the images are those of the whole data set."""
    yaml = folder / "data.yaml"
    if not yaml.exists() or b"train: train/images" not in yaml.read_bytes():
        return None
    files = [file for file in (folder / "train/labels").rglob("*") if re.fullmatch(r"[^.].*\.txt", file.name.lower())]
    lines = [line for file in files for line in file.read_bytes().decode(_encoding(file)).split("\n")]
    return sum(bool(line.split()) for line in lines)


def _left_out(note: str) -> int:
    """How many boxes a note says were left out."""
    count, *words = note.partition(" (")[0].split()
    return int(count) if words[-2:] == ["left", "out"] and "class" not in words[0] else 0


def _look_at(dataset: Dataset) -> None:
    boxes, images = dataset.all_boxes, len(dataset)
    assert images > 0, "no images"
    assert all(dataset.file(index).is_file() for index in range(images)), "a file is not there"
    assert np.isfinite(boxes).all(), "not finite"
    assert (boxes[:, 2:] > boxes[:, :2]).all(), "no area"
    assert (dataset.sizes > 0).all(), "no size"
    frames = np.repeat(dataset.sizes, np.diff(dataset.ends), 0)
    assert ((boxes >= 0).all(1) & (boxes[:, 2:] <= frames + 0.01).all(1)).all(), "outside"
    assert ((dataset.all_labels >= 0) & (dataset.all_labels < len(dataset.classes))).all(), "no class"
    assert len(dataset.category_ids) == len(set(dataset.category_ids)) == len(set(dataset.classes)), "classes"


def _joined(files: dict[str, bytes]) -> bytes:
    return b"".join(b"=== " + name.encode() + b"\n" + text.rstrip(b"\n") + b"\n" for name, text in files.items())


def _write(file: Path, text: bytes) -> None:
    if text.startswith(LINK):
        target = text.removeprefix(LINK).split(b"\n")[0][:100].decode("latin-1").replace("\0", "")
        file.symlink_to(target if target in (".", "..") else file.name)  # else a link to itself
    else:
        file.write_bytes(_picture() if text.strip() == PICTURE else text)


def _picture(cache: list[bytes] = []) -> bytes:  # noqa: B006
    if not cache:
        stream = io.BytesIO()
        Image.new("RGB", (40, 30), "blue").save(stream, "JPEG")
        cache.append(stream.getvalue())
    return cache[0]


def _encoding(file: Path) -> str:
    start = file.read_bytes()[:2]
    return "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _xml(picture: str, objects: list[tuple[object, ...]]) -> str:
    rows = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>\n"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>{more}</object>\n"
        for name, x1, y1, x2, y2, more in objects
    )
    size = "<size><width>40</width><height>30</height></size>"
    return f"<annotation>\n<filename>{picture}</filename>\n{size}\n{rows}</annotation>\n"
