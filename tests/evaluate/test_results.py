"""Files of results, read back by what they are written for."""

import json

import pytest
import torch
from PIL import Image

from vedette.data.read import read_dataset
from vedette.errors import InputError
from vedette.evaluate.results import check_results, write_coco_results, write_voc_results
from vedette.structures import Detections


class Data:
    classes = ("cat", "dog")
    category_ids = (17, 18)

    def __len__(self):
        return 2

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


def test_a_box_that_is_found_exactly_has_the_numbers_of_its_xml(tmp_path):
    """Pixels 3 to 20 and 4 to 25, from 1 on."""
    for name in ("Annotations", "JPEGImages"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages" / "a.jpg")
    box = "<xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>25</ymax>"
    (tmp_path / "Annotations" / "a.xml").write_text(
        f"<annotation><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    )
    dataset = read_dataset(tmp_path)
    found = Detections(dataset.boxes(0), torch.tensor([1.0]), torch.tensor([0]), torch.arange(1))
    write_voc_results(tmp_path / "out", dataset, [found], ("cat",))
    assert (tmp_path / "out" / "comp4_det_test_cat.txt").read_text() == "a 1.000000 3.00 4.00 20.00 25.00\n"


def test_cocos_list_is_scored_by_pycocotools(tmp_path, capsys):
    """Every box found exactly, so an AP of 1, under the ids of the annotation."""
    pycocotools = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    names = ["a.png", "b.png"]
    for name in names:
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    content = {
        "images": [{"id": 9 - n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {
                "id": n + 1,
                "image_id": 9 - n,
                "category_id": 18 - 15 * n,
                "area": 80,
                "iscrowd": 0,
                "bbox": [1, 2, 8, 10],
            }
            for n in range(2)
        ],
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path)
    score = torch.tensor([0.5])
    labels = {"dog": 0, "cat": 1}  # the model's own
    found = [
        Detections(dataset.boxes(n), score, torch.tensor([labels[name]]), torch.arange(1))
        for n, name in enumerate(["dog", "cat"])
    ]
    write_coco_results(tmp_path / "out", dataset, found, ("dog", "cat"))
    truth = pycocotools.COCO(str(tmp_path / "val.json"))
    given = truth.loadRes(str(tmp_path / "out" / "results.json"))
    assert [(one["image_id"], one["category_id"], one["bbox"]) for one in given.dataset["annotations"]] == [
        (9, 18, [1, 2, 8, 10]),
        (8, 3, [1, 2, 8, 10]),
    ]
    evaluation = cocoeval.COCOeval(truth, given, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ids", "classes", "voc", "why"),
    [
        (("a", "a"), ("cat",), False, "two images have the id a"),
        (("a b", "c"), ("cat",), True, "part their columns by spaces"),
        (("a", "c"), ("traffic/light", "traffic-light"), True, "the same file of results"),
    ],
)
def test_what_could_not_be_told_apart_is_refused_before_the_work(ids, classes, voc, why):
    class Odd(Data):
        def image_id(self, index):
            return ids[index]

    with pytest.raises(InputError, match=why):
        check_results(Odd(), classes, voc)
    check_results(Data(), ("cat", "dog"), voc)
    if voc:
        check_results(Odd(), classes, voc=False)
