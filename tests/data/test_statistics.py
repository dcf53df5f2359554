"""Numbers of a data set, by hand."""

from collections.abc import Callable
from pathlib import Path

from vedette.data.read import read_dataset
from vedette.data.statistics import statistics_of


def test_by_hand(coco: Callable[..., Path]) -> None:
    def change(content: dict) -> None:
        boxes = content["annotations"]
        boxes[0]["area"], boxes[1]["area"] = 1024, 1023.99  # of an outline
        boxes[2]["difficult"] = boxes[3]["iscrowd"] = 1
        boxes[1]["category_id"] = boxes[3]["category_id"] = 2
        boxes[4]["area"] = 96**2

    source = coco([[0, 0, 40, 30], [0, 0, 10, 20], [0, 0, 5, 5], [1, 0, 5, 5], [0, 0, 8, 2]], change=change)
    numbers = statistics_of(read_dataset(source, purpose="evaluate"))
    assert (numbers["images"], numbers["without_boxes"], numbers["boxes"]) == (2, 1, 3)
    assert (numbers["difficult"], numbers["crowds"]) == (1, 1)
    assert numbers["boxes_an_image"] == {"least": 0, "median": 1.5, "mean": 1.5, "largest": 3}
    assert numbers["sides"]["least"] == 4
    assert numbers["sizes"] == {"small": 1, "medium": 1, "large": 1}
    assert numbers["classes"]["dog"] == {"images": 1, "boxes": 2, "ignored": 1, "small": 0, "medium": 1, "large": 1}
    assert numbers["classes"]["bicycle"] == {"images": 1, "boxes": 1, "ignored": 1, "small": 1, "medium": 0, "large": 0}
    assert numbers["ratios"] == {
        **{"below 1:4": 0, "1:4 to 1:2": 0, "1:2 to 4:5": 1, "4:5 to 5:4": 0},
        **{"5:4 to 2:1": 1, "2:1 to 4:1": 0, "4:1 and more": 1},
    }


def test_a_data_set_without_boxes(coco: Callable[..., Path]) -> None:
    numbers = statistics_of(read_dataset(coco([])))
    assert (numbers["boxes"], numbers["sides"], numbers["without_boxes"]) == (0, None, 2)
