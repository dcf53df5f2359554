"""Receptive fields: by arithmetic over kernels and strides."""

from typing import Any

import torch

from papers import tiny
from vedette.glass.families import anchors_of
from vedette.glass.receptive import receptive_fields


def fields_of(model: Any, padded: tuple[int, int]) -> dict[str, list[list[float]]]:
    model.eval()
    anchors = anchors_of(model, model(torch.zeros(1, 3, *padded)))
    return {head: boxes.tolist() for head, boxes in receptive_fields(model, anchors, padded).items()}


def test_a_head_on_a_map_of_patches_by_hand() -> None:
    """Patches of 8×8, 16 rows and 8 columns of them, and the head's 3×3: one more on each side of cell (8, 4).

    Patches of 16×16, 8 rows and 4 columns, under a 3×3 and the head's: two more a side of (4, 2), up to the border.
    """
    fields = fields_of(tiny.ssd(), (128, 64))["head"]
    assert fields[0] == [3 * 8, 7 * 8, 6 * 8, 10 * 8]
    assert fields[1] == [0, 2 * 16, 64, 7 * 16]


def test_the_odm_sees_what_the_transfer_brings() -> None:
    fields = fields_of(tiny.refinedet(), (64, 64))
    assert fields["arm"][0] == [24, 24, 48, 48]
    assert fields["odm"][0] == [0, 0, 64, 64]


def test_the_rpns_by_hand() -> None:
    """Patches of 16×16 and one 3×3: the middle of 8 cells is the fifth."""
    assert fields_of(tiny.faster_rcnn(), (128, 128))["rpn"] == [[48, 48, 96, 96]]
