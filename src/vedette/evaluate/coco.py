"""COCO's table of average precision and recall, equal to pycocotools'; computed by hotcoco.

The conventions of every number here: AP is the mean over IoU 0.50:0.05:0.95 of precision at 101 recalls, with the 100
best detections of an image and class, unless another limit is given; IoU is without + 1 and an overlap equal to the
threshold is enough; a detection whose best box is taken falls back on the next; crowds neither count nor punish; sizes
part at areas of 32² and 96². COCO knows no difficult boxes: they count like all others, as in pycocotools' reading of
the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vedette.evaluate.limits import COCO_LIMIT
from vedette.evaluate.matching import Bools, Floats, Ints
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

if TYPE_CHECKING:
    import hotcoco

ALL, SMALL, MEDIUM, LARGE = range(4)  # the size classes, as hotcoco and pycocotools number them
ONE, TEN, MOST = range(3)  # detections an image and class


@dataclass(frozen=True, eq=False)
class CocoResult:
    """COCO's twelve numbers and each class's AP, as fractions; NaN where there is nothing to find."""

    ap: float  # IoU .50:.95
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float  # with the best detection of an image and class
    ar10: float
    ar100: float  # with the best 100, or as many as the limit is; so all others here
    ar_small: float
    ar_medium: float
    ar_large: float
    per_class: Floats  # (C,) AP at .50:.95


class Matches(NamedTuple):
    """The detections of one class, K at most 100, or `most`, an image, best first, at T = 10 IoUs."""

    image: Ints  # (K,)
    score: Floats  # (K,) falling
    hit: Bools  # (T, K)
    judged: Bools  # (T, K) hit or false


def coco_average_precision(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    num_classes: int,
    image_ids: Sequence[int | str] | None = None,
    most: int = COCO_LIMIT,
) -> CocoResult:
    """COCO's table for the detections of B images against their B truths, in the same pixels.

    image_ids: equal scores are taken in the order of these, as pycocotools does; in the order given without them.
    most: detections of an image and class that count, COCO's own 100 or another limit.

    Raises ValueError where detections and truths are not of equally many images, ImportError without hotcoco.
    """
    evaluation, _ = _evaluated(detections, truths, num_classes, image_ids, most)
    evaluation.accumulate()
    if evaluation.eval is None:
        raise RuntimeError("hotcoco gave no result")
    return _table(np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"]))


def coco_matches(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    num_classes: int,
    image_ids: Sequence[int | str] | None = None,
    most: int = COCO_LIMIT,
) -> tuple[list[Matches], Ints]:
    """What `coco_average_precision` counts, before it is summed up: each class's detections, and (B, C) boxes to find.

    Raises as it does.
    """
    evaluation, order = _evaluated(detections, truths, num_classes, image_ids, most)
    positives = np.zeros((len(truths), num_classes), dtype=np.int64)
    found: list[list[Matches]] = [[] for _ in range(num_classes)]
    for row in evaluation.eval_imgs:
        if row is None or row["aRng"] != [0.0, 1e10]:  # of all sizes
            continue
        image, scores = order[row["image_id"] - 1], np.array(row["dtScores"], dtype=np.float64)
        hit, ignored = (np.array(row[key], dtype=bool).reshape(10, len(scores)) for key in ("dtMatched", "dtIgnore"))
        found[row["category_id"]].append(Matches(np.full(len(scores), image), scores, hit & ~ignored, ~ignored))
        positives[image, row["category_id"]] = np.count_nonzero(~np.array(row["gtIgnore"], dtype=bool))
    return [_ranked(parts) for parts in found], positives


def _ranked(parts: list[Matches]) -> Matches:
    """One class's images together, the best first; equal ones in the order of images."""
    none = np.zeros((10, 0), dtype=bool)
    image = np.concatenate([np.zeros(0, np.int64), *(part.image for part in parts)])
    score = np.concatenate([np.zeros(0), *(part.score for part in parts)])
    hit, judged = (np.concatenate([none, *(getattr(part, name) for part in parts)], 1) for name in ("hit", "judged"))
    order = np.argsort(-score, kind="stable")
    return Matches(image[order], score[order], hit[:, order], judged[:, order])


def _evaluated(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    num_classes: int,
    image_ids: Sequence[int | str] | None,
    most: int,
) -> tuple[Any, list[int]]:
    """hotcoco's evaluation, each image and class judged; and which of the images its images 1, 2, … are."""
    if len(detections) != len(truths):
        raise ValueError(f"{len(detections)} images with detections, but {len(truths)} with truths")
    require_hotcoco()
    from hotcoco import COCOeval

    order = list(range(len(truths)))
    if image_ids is not None:
        order.sort(key=lambda row: (isinstance(image_ids[row], str), image_ids[row]))
    truth = _as_coco([truths[row] for row in order], num_classes)
    evaluation = COCOeval(truth, truth.load_res(_rows([detections[row] for row in order])), "bbox")
    evaluation.params.max_dets = [1, min(10, most), most]
    evaluation.evaluate()
    return evaluation, order


def require_hotcoco() -> None:
    """Raises ImportError, with what to install, where hotcoco is not."""
    try:
        import hotcoco  # noqa: F401
    except ImportError as error:
        raise ImportError('the coco metric needs the package hotcoco: pip install "vedette[train]"') from error


def _as_coco(truths: Sequence[Truth], num_classes: int) -> hotcoco.COCO:
    """Images and boxes with consecutive ids from 1."""
    from hotcoco import COCO

    return COCO.from_arrays(
        images=[{"id": 1 + row, "file_name": "", "width": 0, "height": 0} for row in range(len(truths))],
        categories=[{"id": label, "name": str(label)} for label in range(num_classes)],
        image_ids=_image_ids(truths),
        category_ids=_joined([truth.labels for truth in truths], ()).astype(np.int64),
        boxes=_with_sides(_joined([truth.boxes for truth in truths], (4,))),
        area=_joined([truth.area for truth in truths], ()),
        iscrowd=_joined([truth.crowd for truth in truths], ()).astype(bool),
    )


def _rows(detections: Sequence[Detections]) -> Floats:
    """(D, 7) image id, x, y, width, height, score, label."""
    boxes = _with_sides(_joined([found.boxes for found in detections], (4,)))
    scores = _joined([found.scores for found in detections], ())
    labels = _joined([found.labels for found in detections], ())
    return np.column_stack([_image_ids(detections).astype(np.float64), boxes, scores, labels])


def _table(precision: Floats, recall: Floats) -> CocoResult:
    def ap(iou: slice = slice(None), size: int = ALL) -> float:
        return _mean(precision[iou, :, :, size, MOST])

    def ar(limit: int = MOST, size: int = ALL) -> float:
        return _mean(recall[:, :, size, limit])

    return CocoResult(
        ap=ap(),
        ap50=ap(slice(0, 1)),
        ap75=ap(slice(5, 6)),
        ap_small=ap(size=SMALL),
        ap_medium=ap(size=MEDIUM),
        ap_large=ap(size=LARGE),
        ar1=ar(ONE),
        ar10=ar(TEN),
        ar100=ar(),
        ar_small=ar(size=SMALL),
        ar_medium=ar(size=MEDIUM),
        ar_large=ar(size=LARGE),
        per_class=np.array([_mean(precision[:, :, label, ALL, MOST]) for label in range(precision.shape[2])]),
    )


def _mean(values: Floats) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")


def _image_ids(images: Sequence[Detections] | Sequence[Truth]) -> NDArray[np.int64]:
    return 1 + np.repeat(np.arange(len(images)), [len(image) for image in images])


def _joined(parts: list[torch.Tensor], row: tuple[int, ...]) -> Floats:
    """All rows as float64; (0, *row) without parts."""
    joined: Floats = torch.cat([torch.zeros(0, *row), *parts]).detach().cpu().double().numpy()
    return joined


def _with_sides(boxes: Floats) -> Floats:
    """x1 y1 x2 y2 → x y width height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
