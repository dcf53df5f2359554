"""Which boxes anchors reach: numbers by hand, a slow oracle on real detectors, and the reasons."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vedette.data.read import read_dataset
from vedette.errors import InputError
from vedette.evaluate.coverage import WHYS, anchor_coverage, reasons
from vedette.evaluate.coverage_words import coverage_numbers, sentences
from vedette.parts.anchors import AnchorCache, grid_anchors, stack_levels
from vedette.structures import InputSpec
from vedette.zoo import build


class Squares(nn.Module):
    """One anchor of 32 x 32 pixels in each cell of 32 pixels; the input is 128 pixels wide and high."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.input_spec = spec
        self.layer = nn.Conv2d(3, 1, 32, 32, device="meta")
        self.anchor_cache = AnchorCache(self.build_anchors)

    def build_anchors(self, height, width, grids):
        return stack_levels([grid_anchors(torch.tensor([[32.0, 32.0]]), *grids[0], 32)], grids)

    def forward(self, images):
        self.anchor_cache.of(images, [self.layer(images)])
        raise AssertionError("the anchors are enough")


def write(folder: Path, size: tuple[int, int], boxes: list[list[float]], marks: dict[int, str] | None = None):
    """A data set of one image; the boxes are x y width height."""
    Image.new("RGB", size).save(folder / "a.png")
    image = {"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}
    rows = [{"id": n, "image_id": 1, "category_id": 1 + n % 2, "bbox": box} for n, box in enumerate(boxes)]
    for number, mark in (marks or {}).items():
        rows[number][mark] = 1
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (folder / "train.json").write_text(json.dumps({"images": [image], "annotations": rows, "categories": categories}))
    return read_dataset(folder, purpose="evaluate")  # boxes as annotated


BY_HAND = [  # on a picture of 256 x 64, which becomes 128 x 128: x is halved, y doubled
    ([0, 0, 64, 16], 1.0, "reached"),  # 0 0 32 32: the first anchor
    ([32, 0, 64, 16], 1 / 3, "between anchors"),  # 16 0 48 32: half of an anchor, so 1/2 over 3/2
    ([0, 0, 64, 8], 0.5, "reached"),  # 0 0 32 16: half an anchor
    ([0, 0, 40, 10], 400 / 1024, "too small"),  # 0 0 20 20
    ([0, 0, 128, 32], 0.25, "too large"),  # 0 0 64 64
    ([0, 0, 256, 4], 256 / (1024 + 1024 - 256), "other shape"),  # 0 0 128 8, as large as an anchor
    ([250, 60, 10, 10], 6 / 2 * 8 / 1024, "too small"),  # cut to the picture: 125 120 128 128
]


def test_by_hand(tmp_path: Path) -> None:
    dataset = write(tmp_path, (256, 64), [box for box, _, _ in BY_HAND])
    found = anchor_coverage(dataset, Squares(InputSpec(size=128)))
    assert found.best.tolist() == pytest.approx([best for _, best, _ in BY_HAND])
    assert [WHYS[number] for number in found.why.tolist()] == [why for _, _, why in BY_HAND]
    assert found.sides[0].tolist() == [32, 32]
    assert found.sides[6].tolist() == [3, 8]
    assert found.shapes.tolist() == [[32, 32]]
    numbers = coverage_numbers(found, dataset.classes)
    assert (numbers["boxes"], numbers["not_reached"]) == (7, 5)
    assert numbers["classes"] == {"cat": {"boxes": 4, "not_reached": 2}, "dog": {"boxes": 3, "not_reached": 3}}
    assert numbers["why"] == {"too small": 2, "too large": 1, "other shape": 1, "between anchors": 1}
    by_side = {(one["from"], one["to"]): (one["boxes"], one["not_reached"]) for one in numbers["sides"]}
    assert by_side[0, 8] == (1, 1)  # √24
    assert by_side[16, 32] == (2, 1)  # 20 and √512
    assert by_side[32, 64] == (3, 2)  # 32 three times
    assert by_side[64, 128] == (1, 1)


def test_difficult_objects_and_crowds_do_not_count(tmp_path: Path) -> None:
    boxes = [[0, 0, 64, 16], [0, 0, 40, 10], [0, 0, 64, 8]]
    found = anchor_coverage(
        write(tmp_path, (256, 64), boxes, {0: "difficult", 1: "iscrowd"}), Squares(InputSpec(size=128))
    )
    assert found.best.tolist() == [0.5]
    with pytest.raises(InputError, match="no box"):
        anchor_coverage(write(tmp_path, (256, 64), boxes[:1], {0: "difficult"}), Squares(InputSpec(size=128)))


def test_short_sides_keep_the_shape_and_pad(tmp_path: Path) -> None:
    """200 x 100 becomes 128 x 64, not stretched; 130 x 100 becomes 83 x 64, padded to 96: the last anchor is 64..96."""
    spec = InputSpec(size=64, resize="short side", divisor=32)
    found = anchor_coverage(write(tmp_path, (200, 100), [[0, 0, 50, 50]]), Squares(spec))
    assert found.best.tolist() == [1.0]
    found = anchor_coverage(write(tmp_path, (130, 100), [[100, 0, 30, 50]]), Squares(spec))
    x1, x2 = 100 * 83 / 130, 83.0
    assert found.best.tolist() == pytest.approx([(x2 - 64) * 32 / (32 * 32 + (64 - x1) * 32)], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["refinedet320-lite0", "ssd300-lite0", "m2det320-lite0", "retinanet-lite0-fpn"])
def test_a_slow_oracle_on_real_anchors(tmp_path: Path, name: str) -> None:
    """The anchors that a real forward gives, box by box and anchor by anchor."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, (150, 90), (6, 2))
    sides = np.minimum(np.exp(random.uniform(1, 5, (6, 2))), (200, 120) - corners)
    dataset = write(tmp_path, (200, 120), np.hstack([corners, sides]).tolist())
    with torch.device("meta"):
        planned = build(name)
    found = anchor_coverage(dataset, planned)
    real = build(name).eval()
    spec = real.input_spec
    width, height = (spec.size, spec.size) if spec.resize == "warp" else (533, 319)  # 320 / 120 of 200 x 120, floored
    scale = width / 200, height / 120
    padded = (width, height) if spec.resize == "warp" else (640, 384) if spec.divisor == 128 else (544, 320)
    with torch.no_grad():
        anchors = real(torch.zeros(1, 3, padded[1], padded[0])).anchors.double().tolist()
    for box, best in zip(dataset.all_boxes.tolist(), found.best.tolist(), strict=True):
        x1, y1, x2, y2 = (value * scale[at % 2] for at, value in enumerate(box))
        overlaps = []
        for a1, b1, a2, b2 in anchors:
            common = max(0.0, min(x2, a2) - max(x1, a1)) * max(0.0, min(y2, b2) - max(y1, b1))
            overlaps.append(common / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common))
        assert best == pytest.approx(max(overlaps), abs=1e-4)


def test_detectors_on_proposals_are_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path, (40, 40), [[0, 0, 9, 9]])
    with torch.device("meta"):
        for name in ("rcnn-alexnet", "sppnet-zf5", "fast-rcnn-vgg16"):
            with pytest.raises(InputError, match=r"has no anchors that are known beforehand .* looks at proposals"):
                anchor_coverage(dataset, build(name))


def test_reasons_at_their_borders() -> None:
    """Half of the smallest anchor's area is not too small, twice that of the largest not too large."""
    shapes = torch.tensor([[8.0, 8.0], [32.0, 32.0]])
    sides = torch.tensor([[4.0, 8.0], [4.0, 7.9], [32.0, 64.0], [33.0, 64.0], [2.0, 100.0]])
    why = reasons(sides, torch.zeros(5), shapes)
    expected = ["between anchors", "too small", "between anchors", "too large", "other shape"]
    assert [WHYS[number] for number in why.tolist()] == expected


def test_sentences_follow_from_numbers(tmp_path: Path) -> None:
    boxes = [[0, 0, 40, 10]] * 4 + [[0, 0, 64, 16]] * 3 + [[0, 0, 256, 4]]
    dataset = write(tmp_path, (256, 64), [[x + 1e-3 * n, y, w, h] for n, (x, y, w, h) in enumerate(boxes)])
    said = list(sentences(anchor_coverage(dataset, Squares(InputSpec(size=128))), dataset.classes))
    assert said == [
        "3 of 4 boxes of dog reach no anchor at IoU 0.5 (px of the input):",
        "  2 too small: sides 20 px, the smallest anchor has 32",
        "  1 of other shape: 16 : 1, sides 32 px; anchors: up to 1 : 1, none fits",
        "2 of 4 boxes of cat reach no anchor at IoU 0.5 (px of the input):",
        "  2 too small: sides 20 px, the smallest anchor has 32",
    ]
