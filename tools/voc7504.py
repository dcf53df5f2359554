"""Makes the VOC-7504 split, on which the figures of the docs were measured, from the official archives of PASCAL VOC.

    python tools/voc7504.py --voc2007 VOCdevkit/VOC2007 --voc2012 VOCdevkit/VOC2012 --out voc7504

The pictures are named in docs/voc-7504: those of 2007 are from that year's test set (archive VOCtest_06-Nov-2007),
those of 2012 from its trainval (VOCtrainval_11-May-2012). Each is made smaller, its longer side 336 pixels, as a JPEG
of quality 78; boxes, which VOC counts from 1 and with their last pixel, become x, y, width, height from 0. Difficult
objects are marked as such in 2007 and have no box in 2012. Our own copy was made by another program: its pixels differ
from these by about one level of 255.
"""

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

LISTS = Path(__file__).parents[1] / "docs" / "voc-7504"
SIDE, QUALITY = 336, 78
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def main() -> None:
    """Writes images/, train.json and val.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voc2007", type=Path, required=True, help="the folder VOC2007 with the test set")
    parser.add_argument("--voc2012", type=Path, required=True, help="the folder VOC2012 with trainval")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lists", type=Path, default=LISTS, help="the folder with train.txt and val.txt")
    arguments = parser.parse_args()
    years = {"2007": arguments.voc2007, "2012": arguments.voc2012}
    for split in ("train", "val"):
        names = (arguments.lists / f"{split}.txt").read_text().split()
        missing = [name for name in names if not picture_of(name, years).is_file()]
        if missing:
            sys.exit(
                f"error: {picture_of(missing[0], years)} and {len(missing) - 1} more are not there; unpack the archives"
            )
        content = make_split(names, years, arguments.out)
        (arguments.out / f"{split}.json").write_text(json.dumps(content) + "\n")
        print(f"{split}: {len(content['images'])} images, {len(content['annotations'])} boxes")


def picture_of(name: str, years: dict[str, Path]) -> Path:
    """The original file of `2007/000001`."""
    year, _, stem = name.partition("/")
    return years[year] / "JPEGImages" / f"{stem}.jpg"


def make_split(names: list[str], years: dict[str, Path], out: Path) -> dict[str, Any]:
    """Writes the smaller pictures; the split as COCO has it."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names, start=1):
        year, _, stem = name.partition("/")
        file = f"{year[2:]}_{stem}.jpg"
        before, after = make_smaller(picture_of(name, years), out / "images" / file)
        images.append({"id": number, "file_name": file, "width": after[0], "height": after[1]})
        scale = after[0] / before[0], after[1] / before[1]
        for box in boxes_of(years[year] / "Annotations" / f"{stem}.xml", scale, with_difficult=year == "2007"):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **box})
    categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def make_smaller(source: Path, target: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """The picture's width and height before and after."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    scale = SIDE / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Image.Resampling.LANCZOS).save(target, quality=QUALITY, optimize=True)
    return picture.size, size


def boxes_of(file: Path, scale: tuple[float, float], with_difficult: bool) -> Iterator[dict[str, Any]]:
    """The objects of an annotation, in pixels of the smaller picture."""
    for thing in ElementTree.parse(file).getroot().iter("object"):
        difficult = int(thing.findtext("difficult", "0"))
        if difficult and not with_difficult:
            continue
        x1, y1, x2, y2 = (float(thing.findtext(f"bndbox/{key}", "nan")) for key in ("xmin", "ymin", "xmax", "ymax"))
        left, top, right, bottom = (x1 - 1) * scale[0], (y1 - 1) * scale[1], x2 * scale[0], y2 * scale[1]
        box = [round(value, 2) for value in (left, top, right - left, bottom - top)]
        yield {
            "category_id": CLASSES.index(thing.findtext("name", "")) + 1,
            "bbox": box,
            "area": round(box[2] * box[3], 2),
            "iscrowd": 0,
            "difficult": difficult,
        }


if __name__ == "__main__":
    main()
