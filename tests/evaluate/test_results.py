"""Files of results, read back by what they are written for."""

import json

import pytest
import torch

from vedette.evaluate.results import write_coco_results, write_voc_results
from vedette.structures import Detections


class Data:
    classes = ("cat", "dog")
    category_ids = (17, 18)

    def image_id(self, index):
        return ("000012", "2007_000033")[index]


def two_images():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 20.5], [3.25, 4.0, 9.0, 8.0], [1.0, 1.0, 2.0, 2.0]])
    first = Detections(boxes, torch.tensor([0.9, 0.25, 0.125]), torch.tensor([1, 0, 2]), torch.arange(3))
    nothing = torch.zeros(0)
    second = Detections(torch.zeros(0, 4), nothing, nothing.long(), nothing.long())
    return [first, second]


def test_vocs_files(tmp_path):
    write_voc_results(tmp_path / "new", Data(), two_images(), ("cat", "dog", "traffic/light"))
    text = {file.name: file.read_text() for file in (tmp_path / "new").iterdir()}
    assert text == {
        "comp4_det_test_cat.txt": "000012 0.250000 4.25 5.00 9.00 8.00\n",
        "comp4_det_test_dog.txt": "000012 0.900000 1.00 1.00 10.00 20.50\n",
        "comp4_det_test_traffic-light.txt": "000012 0.125000 2.00 2.00 2.00 2.00\n",  # one pixel
    }


def test_cocos_list(tmp_path):
    write_coco_results(tmp_path, Data(), two_images(), ("cat", "dog", "unknown"))
    assert json.loads((tmp_path / "results.json").read_text()) == [
        {"image_id": "000012", "category_id": 18, "bbox": [0.0, 0.0, 10.0, 20.5], "score": pytest.approx(0.9)},
        {"image_id": "000012", "category_id": 17, "bbox": [3.25, 4.0, 5.75, 4.0], "score": 0.25},
    ]
