"""COCO's table against pycocotools itself."""

import contextlib
import dataclasses
import io
import math
import sys

import numpy as np
import pytest
import torch

from vedette.evaluate.coco import CocoResult, coco_average_precision
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

NAMES = [field.name for field in dataclasses.fields(CocoResult) if field.name != "per_class"]  # pycocotools' order


def reference(found, truths, num_classes, image_ids):
    """pycocotools' twelve numbers and AP per class; NaN for its -1."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        gt = coco.COCO()
        gt.dataset = {
            "info": {},
            "images": [{"id": image_id} for image_id in image_ids],
            "categories": [{"id": label, "name": str(label)} for label in range(num_classes)],
            "annotations": annotations(truths, image_ids),
        }
        gt.createIndex()
        results = [row for i, one in zip(image_ids, found, strict=True) for row in one.to_coco(i)]
        run = evaluation.COCOeval(gt, gt.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    precision = run.eval["precision"][:, :, :, 0, 2]
    per_class = [np.mean(p[p > -1]) if (p > -1).any() else np.nan for p in np.moveaxis(precision, 2, 0)]
    return np.where(run.stats == -1, np.nan, run.stats), np.array(per_class)


def annotations(truths, image_ids):
    rows = []
    for image_id, one in zip(image_ids, truths, strict=True):
        for (x1, y1, x2, y2), label, crowd, area in zip(
            one.boxes.tolist(), one.labels.tolist(), one.crowd.tolist(), one.area.tolist(), strict=True
        ):
            row = {"id": len(rows) + 1, "image_id": image_id, "category_id": label, "area": area}
            rows.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": int(crowd)})
    return rows


def agree(found, truths, num_classes, image_ids=None):
    result = coco_average_precision(found, truths, num_classes, image_ids)
    ids = list(range(1, 1 + len(found))) if image_ids is None else image_ids
    stats, per_class = reference(found, truths, num_classes, ids)
    np.testing.assert_allclose([getattr(result, name) for name in NAMES], stats, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.per_class, per_class, rtol=0, atol=1e-9)
    return result


@pytest.mark.parametrize("seed", range(12))
def test_equals_pycocotools(make_scene, seed):
    """Sides up to 150, so that all sizes occur; crowds, ties, a class that is found but never annotated."""
    found, truths = make_scene(seed, images=12, num_classes=3, side=150)
    agree(found, truths, num_classes=4)


@pytest.mark.parametrize("border", [32**2, 96**2])
def test_areas_just_beyond_a_size_class(make_scene, border):
    found, truths = make_scene(5, images=12, side=150)
    beside = [border + 3e-5 * (2 * (torch.arange(len(truth)) % 2) - 1).double() for truth in truths]
    beyond = [dataclasses.replace(truth, area=area) for truth, area in zip(truths, beside, strict=True)]
    exact = agree(found, beyond, 3)
    rounded = agree(found, [dataclasses.replace(truth, area=truth.area.float()) for truth in beyond], 3)
    assert exact.ap_medium != rounded.ap_medium


def test_areas_of_boxes_are_not_rounded(make_detections):
    """A medium object, of 1024.00006; as float32 a small one."""
    box, labels = torch.tensor([[0.0, 0.0, 31.999998, 32.000004]]), torch.tensor([0])
    gt = Truth.of(box, labels)
    width, height = box[0, 2:].tolist()
    assert gt.area.tolist() == [width * height]
    assert width * height > 32**2 >= (box[0, 2] * box[0, 3]).item()
    result = agree([make_detections(box.tolist(), [0.9], [0])], [gt], 1)
    assert math.isnan(result.ap_small)
    assert result.ap_medium == pytest.approx(1.0)


def test_areas_are_those_of_the_annotation(make_scene):
    found, truths = make_scene(3, images=12, side=150)
    whole = agree(found, truths, 3)
    shrunk = agree(found, [dataclasses.replace(truth, area=truth.area / 20) for truth in truths], 3)
    assert shrunk.ap_small != whole.ap_small


def test_more_than_a_hundred_detections_an_image(make_scene):
    found, truths = make_scene(1, images=3, num_classes=1, most=100, side=100)
    assert max(len(one) for one in found) > 200
    assert agree(found, truths, 1).ar10 < agree(found, truths, 1).ar100


def test_equal_scores_go_by_image_id(make_scene):
    found, truths = make_scene(2, images=8)
    ids = [5, 3, 9, 1, 7, 2, 8, 4]
    in_order = coco_average_precision(found, truths, 3)
    assert agree(found, truths, 3, ids).ap != in_order.ap
    names = ["e", "c", "i", "a", "g", "b", "h", "d"]
    assert coco_average_precision(found, truths, 3, names).ap == agree(found, truths, 3, ids).ap


def test_difficult_boxes_count(make_scene):
    found, truths = make_scene(4)
    plain = [dataclasses.replace(truth, difficult=torch.zeros_like(truth.difficult)) for truth in truths]
    assert coco_average_precision(found, truths, 3).ap == coco_average_precision(found, plain, 3).ap


def test_an_overlap_of_exactly_the_threshold_is_enough(make_detections):
    gt = Truth.of(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0]))
    result = coco_average_precision([make_detections([[0.0, 0.0, 10.0, 5.0]], [0.9], [0])], [gt], 1)
    assert (result.ap50, result.ap75) == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize("images", [0, 2])
def test_nothing_at_all(images, make_detections):
    nothing, empty = make_detections([], [], []), Truth.of(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    result = coco_average_precision([nothing] * images, [empty] * images, 2)
    assert all(math.isnan(getattr(result, name)) for name in NAMES)
    assert np.isnan(result.per_class).tolist() == [True, True]


def test_boxes_without_detections(make_detections):
    gt = Truth.of(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0]))
    result = coco_average_precision([make_detections([], [], [])], [gt], 2)
    assert (result.ap, result.ar100, result.ap_small) == (0.0, 0.0, 0.0)
    assert math.isnan(result.ap_large)


def test_prints_nothing(make_scene, capfd):
    coco_average_precision(*make_scene(0), 3)
    assert capfd.readouterr() == ("", "")


def test_says_what_to_install(make_scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(ImportError, match=r"vedette\[train\]"):
        coco_average_precision(*make_scene(0), 3)


def test_images_must_fit():
    with pytest.raises(ValueError, match="1 images with detections, but 0"):
        coco_average_precision([Detections(torch.zeros(0, 4), *[torch.zeros(0)] * 3)], [], 1)
