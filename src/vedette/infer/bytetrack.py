"""ByteTrack: boxes of one frame after another become tracks, by their overlap alone.

Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022. Its algorithm 1 is
`update`: boxes of high score are given to tracks first (FIRST), then those of low score to the tracks that are left
(SECOND), and what is left of the high ones begins new tracks. Its Kalman filter, SORT's, is `Motion`.

From the authors' code, where the paper is silent: the limits of both associations, that the first one weighs overlap
with score, that a new track counts from its second frame in a row on (the first frame's at once), and the filter's
noise. Ours: a track keeps its class, and a lost one is remembered for a second of the video instead of 30 frames, so
that it does not matter how many frames are looked at.

Shapes: `T` tracks, `N` boxes of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedette.errors import InputError

Array = NDArray[Any]
LOW = 0.1  # score below which a box is none
FIRST, SECOND, NEW = 0.8, 0.5, 0.7  # most costs, 1 - IoU: boxes of high score, of low score, tracks of one frame
REMEMBERED = 1.0  # seconds that a track lives without a box
POSITION, VELOCITY = 1 / 20, 1 / 160  # standard deviations, in heights of the box
ASPECT, ASPECT_VELOCITY, ASPECT_SEEN = 1e-2, 1e-5, 1e-1


class Motion:
    """A Kalman filter of one box: centre, aspect and height (x, y, w / h, h), each with a constant velocity."""

    def __init__(self, box: Array) -> None:
        self.mean = np.concatenate([_measure(box), np.zeros(4)])  # (8,)
        height = self.mean[3]
        deviations = [2 * POSITION * height] * 4 + [10 * VELOCITY * height] * 4
        deviations[2], deviations[6] = ASPECT, ASPECT_VELOCITY
        self.covariance = np.diag(np.square(deviations))  # (8, 8)

    def predict(self) -> None:
        """One frame on."""
        height = self.mean[3]
        noise = [POSITION * height] * 4 + [VELOCITY * height] * 4
        noise[2], noise[6] = ASPECT, ASPECT_VELOCITY
        step = np.eye(8) + np.eye(8, k=4)
        self.mean = step @ self.mean
        self.covariance = step @ self.covariance @ step.T + np.diag(np.square(noise))

    def update(self, box: Array) -> None:
        """What was seen corrects what was predicted."""
        noise = np.full(4, POSITION * self.mean[3])
        noise[2] = ASPECT_SEEN
        spread = self.covariance[:4, :4] + np.diag(np.square(noise))
        gain = np.linalg.solve(spread, self.covariance[:4]).T  # (8, 4)
        self.mean = self.mean + gain @ (_measure(box) - self.mean[:4])
        self.covariance = self.covariance - gain @ spread @ gain.T

    @property
    def box(self) -> Array:
        """(4,) x1 y1 x2 y2."""
        x, y, aspect, height = self.mean[:4]
        half = np.array([aspect * height, height]) / 2
        centre = np.array([x, y])
        return np.concatenate([centre - half, centre + half])


@dataclass(eq=False)
class Track:
    """One object: its class, when it was last seen, and its number, 0 until it counts."""

    motion: Motion
    label: int
    seen: float  # seconds
    number: int = 0
    lost: bool = False


@dataclass
class ByteTrack:
    """The tracks of one video.

    score: of a box that a new track may begin with, the paper's high one; a tuple has that of each class.
    """

    score: float | tuple[float, ...]
    tracks: list[Track] = field(default_factory=list)
    last_number: int = 0
    begun: bool = False

    def __post_init__(self) -> None:
        _assignment()

    def update(self, boxes: Array, scores: Array, labels: Array, time: float) -> Array:
        """(N, 4), (N,), (N,) of the next frame, at that second → (N,) numbers of tracks, 0 of a box without one."""
        owners: list[Track | None] = [None] * len(boxes)
        self.tracks = [track for track in self.tracks if time - track.seen <= REMEMBERED]
        for track in self.tracks:
            if track.lost:
                track.motion.mean[7] = 0.0  # as the authors do it: a lost box does not grow
            track.motion.predict()
        limits = np.asarray(self.score, scores.dtype)
        begins = scores >= (limits[labels] if limits.ndim else limits)  # (N,)
        high, low = np.flatnonzero(begins), np.flatnonzero((scores >= LOW) & ~begins)
        known = [track for track in self.tracks if track.number]
        given = boxes, scores, labels
        left, high = self._associate(known, high, FIRST, given, owners, time, weigh=True)
        left, _ = self._associate([track for track in left if not track.lost], low, SECOND, given, owners, time)
        new = [track for track in self.tracks if not track.number]
        dead, high = self._associate(new, high, NEW, given, owners, time, weigh=True)
        self._forget(dead, {id(one) for one in owners})
        for row in high:
            owners[row] = self._begin(boxes[row], int(labels[row]), time)
        self.begun = True
        return np.array([0 if one is None else one.number for one in owners], dtype=np.int64)

    def _associate(
        self,
        tracks: Sequence[Track],
        rows: Array,
        limit: float,
        given: tuple[Array, Array, Array],
        owners: list[Track | None],
        time: float,
        weigh: bool = False,
    ) -> tuple[list[Track], Array]:
        """Gives boxes to tracks, so that the costs are least in all; the tracks and the boxes that are left."""
        boxes, scores, labels = given
        if not tracks or not len(rows):
            return list(tracks), rows
        overlap = _iou(np.stack([track.motion.box for track in tracks]), boxes[rows])  # (T, N)
        costs = 1 - (overlap * scores[rows] if weigh else overlap)
        costs[np.array([track.label for track in tracks])[:, None] != labels[rows]] = 1.0
        ours, theirs = _assignment()(np.minimum(costs, limit))
        pairs = [(i, j) for i, j in zip(ours, theirs, strict=True) if costs[i, j] < limit]
        for i, j in pairs:
            self._see(tracks[i], boxes[rows[j]], time)
            owners[rows[j]] = tracks[i]
        left = [track for i, track in enumerate(tracks) if i not in {i for i, _ in pairs}]
        return left, np.delete(rows, [j for _, j in pairs])

    def _see(self, track: Track, box: Array, time: float) -> None:
        track.motion.update(box)
        track.seen = time
        track.number = track.number or self._next()

    def _begin(self, box: Array, label: int, time: float) -> Track:
        track = Track(Motion(box), label, time, number=0 if self.begun else self._next())
        self.tracks.append(track)
        return track

    def _forget(self, dead: Sequence[Track], seen: set[int]) -> None:
        """New tracks that were not seen again end; known ones that were not seen are lost, until they are forgotten."""
        self.tracks = [track for track in self.tracks if track not in dead]
        for track in self.tracks:
            track.lost = id(track) not in seen

    def _next(self) -> int:
        self.last_number += 1
        return self.last_number


def _measure(box: Array) -> Array:
    """x1 y1 x2 y2 as centre, aspect, height."""
    x1, y1, x2, y2 = box.astype(float)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / (y2 - y1), y2 - y1])


def _iou(ours: Array, theirs: Array) -> Array:
    """(T, 4), (N, 4) → (T, N)."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (ours, theirs)]
    return np.asarray(both / (areas[0][:, None] + areas[1] - both))


def _assignment() -> Any:
    """scipy's Hungarian method; raises InputError where scipy is missing."""
    try:
        return import_module("scipy.optimize").linear_sum_assignment
    except ImportError:
        raise InputError('tracking needs scipy; pip install "vedette[video]"') from None
