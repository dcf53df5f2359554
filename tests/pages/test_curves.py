"""Curves as SVG: precision over recall, and lines over one axis."""

import math
import re

import numpy as np
import pytest

from vedette.evaluate.voc import Curve
from vedette.pages.curves import curve_svg
from vedette.pages.interval import interval_svg
from vedette.pages.lines import lines_svg


def test_a_curve_starts_at_no_recall_and_has_a_dot():
    svg = curve_svg(Curve(np.array([0.5, 0.5, 1.0]), np.array([1, 0.5, 2 / 3]), np.array([0.9, 0.6, 0.3])), 0.5, "cat")
    assert "recall 0.50, precision 0.50" in svg
    assert svg.count("L") == 6 + 1  # the envelope's corners, one further hit


@pytest.mark.parametrize("recall", [[], [math.nan], [0.0]])
def test_a_curve_of_nothing(recall):
    values = np.array(recall)
    assert curve_svg(Curve(values, np.zeros_like(values), np.zeros_like(values)), 0.5, "cat").startswith("<svg")


def test_long_curves_are_thinned():
    many = np.arange(1, 5001) / 5000
    assert len(curve_svg(Curve(many, np.ones(5000), many[::-1]), 0.5, "cat")) < 20_000


def circles(svg):
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]


def test_lines_lie_where_their_values_are():
    """The axes go from 40 to 242 and from 153 up to 8."""
    svg = lines_svg([[(0, 0.0), (1, 0.5), (2, 1.0)]], "a <b>", "epoch", y=(0.0, 1.0))
    assert circles(svg) == [(40.0, 153.0), (141.0, 80.5), (242.0, 8.0)]
    assert 'd="M40.0 153.0L141.0 80.5L242.0 8.0"' in svg
    assert 'aria-label="a &lt;b&gt;"' in svg


def test_a_gap_parts_a_line_and_a_point_alone_is_a_dot():
    points = [(0, 0.1), (1, 0.2), (2, None), (3, math.nan), (4, 0.3), (5, 0.1), (6, None), (7, 0.2)]
    svg = lines_svg([points], "a", "epoch", dots=False)
    assert svg.count('class="line s0"') == 2
    assert len(circles(svg)) == 0
    assert len(circles(lines_svg([points], "a", "epoch"))) == 5
    assert len(circles(lines_svg([[(1, 0.5)]], "a", "epoch", dots=False))) == 1


@pytest.mark.parametrize("lines", [[], [[]], [[(1, 2.0)]], [[(1, 2.0), (2, 2.0)]], [[(1, -1e-9), (2, 1e12)]]])
def test_lines_of_little(lines):
    assert "nan" not in lines_svg(lines, "a", "epoch", whole=True)


@pytest.mark.parametrize("value", [5e-6, 0.4, 1e17])
def test_a_value_alone_has_an_axis_of_its_own_size(value):
    """The rate of a run of one epoch: no ticks below zero, and none that are a hundred thousand times as large."""
    svg = lines_svg([[(1, value)]], "learning rate", "epoch")
    ticks = [float(text) for text in re.findall(r'text-anchor="end">([^<]*)<', svg)]
    assert ticks == [float(f"{value * part:.2g}") for part in (0.5, 0.75, 1, 1.25, 1.5)]


def test_epochs_have_no_parts_of_one():
    for last in (2, 7, 300):
        svg = lines_svg([[(1, 0.0), (last, 1.0)]], "a", "epoch", whole=True)
        ticks = re.findall(r'text-anchor="middle">([\d.]+)<', svg)
        assert 2 <= len(ticks) <= 8
        assert all("." not in tick for tick in ticks)


def test_lines_are_told_apart_and_a_score_is_marked():
    svg = lines_svg([[(0, 0.0), (1, 1.0)]] * 3, "a", "score", x=(0.0, 1.0), at=0.5)
    assert all(f'class="line s{number}"' in svg for number in range(3))
    assert 'class="at" d="M141.0 ' in svg
    assert 'class="at"' not in lines_svg([], "a", "score", x=(0.0, 1.0), at=1.5)


def test_long_lines_are_thinned():
    assert len(lines_svg([[(n, n / 9000) for n in range(9000)]], "a", "epoch")) < 6000


def test_an_interval_that_holds_zero_looks_otherwise():
    assert 'class="span sure" d="M98.8 8H136.2"' in interval_svg(0.5, 0.25, 0.75, 1.0)
    assert "unsure" in interval_svg(0.5, -0.25, 0.75, 1.0)
    assert "circle" not in interval_svg(math.nan, math.nan, math.nan, 0.0)
