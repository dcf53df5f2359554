"""Class names for files that hold none: those of a text file, else VOC's or COCO's by their count, else "class 0" …"""

from pathlib import Path

from vedette.data.values import counted
from vedette.errors import InputError
from vedette.pages.class_names import all_unnamed

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
COCO = {  # category ids, with COCO's own gaps
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat",
    10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat",
    18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe",
    27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove", 41: "skateboard",
    42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife",
    50: "spoon", 51: "bowl", 52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
    58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard",
    77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book",
    85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}  # fmt: skip


def names_by_count(count: int) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """Class names, and the category ids of COCO: of its 80 classes, or of its 90 ids (torchvision counts the gaps)."""
    if count == len(COCO):
        return tuple(COCO.values()), tuple(COCO)
    if count == max(COCO):
        ids = tuple(range(1, count + 1))
        return tuple(COCO.get(i, f"unused {i}") for i in ids), ids
    return VOC if count == len(VOC) else all_unnamed(count), None


def read_names(path: Path, count: int) -> tuple[str, ...]:
    """The `count` names of a text file, one a line; raises InputError for another number, and for a name twice."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file of class names, one a line, in UTF-8") from None
    names = tuple(line for line in lines if line)
    if len(names) != count:
        raise InputError(
            f"{path}: {counted(len(names), 'class name')} for {counted(count, 'class')} (background is not counted)"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: the class {twice!r} is named twice")
    return names
