"""Precision-recall curves as SVG."""

from __future__ import annotations

from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 250, 184
LEFT, RIGHT, TOP, BOTTOM = 30, 8, 8, 20  # margins around the axes
MOST_POINTS = 150


class Curve(Protocol):
    """What is drawn: `vedette.evaluate.voc.Curve` has it. K detections of a class, the best first."""

    @property
    def recall(self) -> NDArray[np.float64]: ...  # (K,) rising; NaN without annotated boxes
    @property
    def precision(self) -> NDArray[np.float64]: ...  # (K,)
    @property
    def scores(self) -> NDArray[np.float64]: ...  # (K,) falling


def curve_svg(curve: Curve, score: float, name: str) -> str:
    """One class: precision over recall, the area under its envelope, a dot where detections of `score` end."""
    title = f"{name}: precision over recall"
    grid = "".join(_grid_line(step / 4) for step in range(5))
    axes = f'<g class="grid">{grid}</g>'
    if not len(curve.scores) or np.isnan(curve.recall).any():
        return _svg(axes, title)
    recall, precision, envelope = _thinned(curve)
    area = [(0.0, 0.0), (0.0, envelope[0]), *_steps(recall, envelope), (recall[-1], 0.0)]
    line = list(zip(recall, precision, strict=True))
    return _svg(
        f'{axes}<path class="area" d="{_path(area)}Z"/><path class="line" d="{_path(line)}"/>{_dot(curve, score)}',
        title,
    )


def _thinned(curve: Curve) -> tuple[list[float], list[float], list[float]]:
    """Recall, precision and its envelope at the hits, at no more than 150 of them."""
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    hits = np.flatnonzero(np.diff(curve.recall, prepend=0.0) > 0)
    if not len(hits):
        hits = np.array([len(curve.recall) - 1])
    chosen = hits[np.unique(np.linspace(0, len(hits) - 1, MOST_POINTS).round().astype(int))]
    return curve.recall[chosen].tolist(), curve.precision[chosen].tolist(), envelope[chosen].tolist()


def _steps(recall: list[float], envelope: list[float]) -> list[tuple[float, float]]:
    """The corners of the staircase: a precision holds from the recall before to its own."""
    corners, before = [], 0.0
    for r, p in zip(recall, envelope, strict=True):
        corners += [(before, p), (r, p)]
        before = r
    return corners


def _dot(curve: Curve, score: float) -> str:
    count = int((curve.scores >= score).sum())
    if not count:
        return ""
    recall, precision = curve.recall[count - 1], curve.precision[count - 1]
    title = f"score ≥ {score:.3g}: recall {recall:.2f}, precision {precision:.2f}"
    return f'<circle class="dot" cx="{_x(recall):.1f}" cy="{_y(precision):.1f}" r="3.5"><title>{title}</title></circle>'


def _grid_line(at: float) -> str:
    x, y = _x(at), _y(at)
    return (
        f'<path d="M{_x(0):.1f} {y:.1f}H{_x(1):.1f}M{x:.1f} {_y(0):.1f}V{_y(1):.1f}"/>'
        f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{at:g}</text>'
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{at:g}</text>'
    )


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_x(recall):.1f} {_y(precision):.1f}" for recall, precision in points)


def _x(recall: float) -> float:
    return LEFT + recall * (WIDTH - LEFT - RIGHT)


def _y(precision: float) -> float:
    return HEIGHT - BOTTOM - precision * (HEIGHT - TOP - BOTTOM)


def _svg(content: str, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{content}</svg>'
