"""Where regions are pooled, by hand."""

from typing import Any

import pytest
import torch
from PIL import Image

import vedette
from papers import tiny
from vedette.errors import InputError
from vedette.glass.regions import regions_of
from vedette.infer.detector import Detector

REGIONS = torch.tensor([[8.0, 24.0, 40.0, 60.0], [0.0, 0.0, 12.0, 12.0]])


def test_fast_rcnn_rounds_to_whole_cells() -> None:
    """Stride 16: 0.5 and 2.5 to the even cell, 1.5 to 2, 3.75 to 4; the last cell is read with it."""
    own = regions_of(tiny.fast_rcnn(), REGIONS, (64, 64))
    assert own.window.tolist() == [[0, 2, 3, 5], [0, 0, 2, 2]]
    assert own.in_input()[0].tolist() == [0, 32, 48, 80]
    assert (own.level.tolist(), own.strides, own.bins) == ([0, 0], (16.0,), 3)


def test_roi_align_does_not_round() -> None:
    assert regions_of(tiny.fast_rcnn(pooling="align"), REGIONS, (64, 64)).window.tolist()[0] == [0.5, 1.5, 2.5, 3.75]


def test_fpn_pools_a_region_from_the_level_of_its_size() -> None:
    large = torch.tensor([[0.0, 0.0, 224.0, 224.0], [0.0, 0.0, 112.0, 112.0]])  # p4 and p3
    own = regions_of(tiny.fpn(), large, (256, 256))
    assert own.level.tolist() == [2, 1]
    assert own.window.tolist() == [[0, 0, 14, 14], [0, 0, 14, 14]]
    assert own.in_input().tolist() == large.tolist()


def test_sppnet_looks_at_the_scale_that_brings_a_region_nearest_to_its_window() -> None:
    """Scales 64 and 96 of an input of 96: a region of 48 becomes 32 in the first, and one of 30 stays in the second."""
    regions = torch.tensor([[0.0, 0.0, 48.0, 48.0], [33.0, 17.0, 63.0, 47.0]])
    own = regions_of(tiny.sppnet(), regions, (96, 96))
    assert own.level.tolist() == [0, 1]
    assert own.strides == (24.0, 16.0)
    assert own.window.tolist() == [[1, 1, 2, 2], [3, 2, 4, 3]]  # cells whose centres, 16 · x, lie inside


def test_rcnn_warps_what_lies_around_too() -> None:
    own = regions_of(tiny.rcnn(), torch.tensor([[10.0, 20.0, 66.0, 48.0]]), (96, 96))
    assert own.bins == 64
    assert own.window.tolist() == [[6.0, 18.0, 70.0, 50.0]]  # 4 of 64 pixels on each side


@pytest.mark.parametrize("make", [tiny.faster_rcnn, tiny.fpn])
def test_the_windows_are_those_of_the_rows(make: Any) -> None:
    trace = vedette.explain(Detector(make(), device="cpu"), Image.new("RGB", (64, 64)), score=0.1)
    rows = trace.step("regions")
    assert len(trace.regions().window) == len(rows)
    assert trace.where(rows.source).level.shape == rows.source.shape


def test_anchors_alone_are_not_pooled() -> None:
    trace = vedette.explain(Detector(tiny.ssd(), device="cpu"), Image.new("RGB", (64, 64)))
    with pytest.raises(InputError, match="SSD pools no regions"):
        trace.regions()
    with pytest.raises(InputError, match="no step 'refine': there are anchors, floor, pick"):
        trace.step("refine")
