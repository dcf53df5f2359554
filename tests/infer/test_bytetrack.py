import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vedette.errors import InputError
from vedette.infer.bytetrack import ByteTrack, Motion, _iou

Array = NDArray[Any]
FRAME = 0.04  # seconds


def box(x: float, y: float = 10, size: float = 20) -> list[float]:
    return [x, y, x + size, y + size]


def update(tracker: ByteTrack, time: float, *rows: tuple[list[float], float, int]) -> list[int]:
    """The numbers of tracks of boxes with a score and a label each."""
    boxes = np.array([row[0] for row in rows], float).reshape(-1, 4)
    scores, labels = (np.array([row[column] for row in rows]) for column in (1, 2))
    return tracker.update(boxes, scores, labels.astype(int), time).tolist()


def test_boxes_of_the_first_frame_are_tracks_at_once() -> None:
    tracker = ByteTrack(0.5)
    assert update(tracker, 0, (box(0), 0.9, 0), (box(100), 0.6, 0), (box(200), 0.4, 0)) == [1, 2, 0]


def test_who_moves_keeps_the_number_whatever_the_order() -> None:
    tracker = ByteTrack(0.5)
    for step in range(10):
        rows = [(box(3 * step), 0.9, 0), (box(200 - 3 * step), 0.8, 0)]
        numbers = update(tracker, FRAME * step, *(rows if step % 2 else reversed(rows)))
        assert numbers == ([2, 1] if step % 2 else [1, 2])


def test_a_box_of_low_score_continues_a_track_and_begins_none() -> None:
    tracker = ByteTrack(0.5)
    assert update(tracker, 0, (box(0), 0.9, 0)) == [1]
    assert update(tracker, FRAME, (box(1), 0.2, 0), (box(100), 0.2, 0)) == [1, 0]
    assert update(tracker, 2 * FRAME, (box(2), 0.09, 0)) == [0]


def test_a_score_for_each_class() -> None:
    tracker = ByteTrack((0.9, 0.3))
    assert update(tracker, 0, (box(0), 0.5, 0), (box(100), 0.5, 1), (box(200), 0.95, 0)) == [0, 1, 2]
    assert update(tracker, FRAME, (box(0), 0.5, 0), (box(100), 0.2, 1), (box(200), 0.5, 0)) == [0, 1, 2]


def test_a_new_track_counts_from_its_second_frame_in_a_row() -> None:
    tracker = ByteTrack(0.5)
    assert update(tracker, 0) == []
    assert update(tracker, FRAME, (box(0), 0.9, 0)) == [0]
    assert update(tracker, 2 * FRAME, (box(1), 0.9, 0)) == [1]
    assert update(tracker, 3 * FRAME, (box(2), 0.9, 0), (box(100), 0.9, 0)) == [1, 0]
    assert update(tracker, 4 * FRAME, (box(3), 0.9, 0)) == [1]
    assert update(tracker, 5 * FRAME, (box(4), 0.9, 0), (box(100), 0.9, 0)) == [1, 0]  # it had gone in between


def test_a_lost_track_is_found_again_where_it_would_be_by_then() -> None:
    tracker = ByteTrack(0.5)
    for step in range(10):
        assert update(tracker, FRAME * step, (box(4 * step), 0.9, 0)) == [1]
    for step in range(10, 15):
        assert update(tracker, FRAME * step) == []
    assert update(tracker, FRAME * 15, (box(60), 0.9, 0)) == [1]  # 24 pixels from the last, which it does not touch


@pytest.mark.parametrize(("gap", "number"), [(0.9, 1), (1.0, 1), (1.1, 0)])
def test_a_track_is_remembered_for_a_second(gap: float, number: int) -> None:
    tracker = ByteTrack(0.5)
    update(tracker, 0, (box(0), 0.9, 0))
    assert update(tracker, gap, (box(0), 0.9, 0)) == [number]


def test_a_lost_track_is_not_continued_by_a_box_of_low_score() -> None:
    tracker = ByteTrack(0.5)
    update(tracker, 0, (box(0), 0.9, 0))
    update(tracker, FRAME)
    assert update(tracker, 2 * FRAME, (box(0), 0.3, 0)) == [0]
    assert update(tracker, 3 * FRAME, (box(0), 0.9, 0)) == [1]


def test_another_class_is_another_track() -> None:
    tracker = ByteTrack(0.5)
    assert update(tracker, 0, (box(0), 0.9, 0), (box(0), 0.8, 1)) == [1, 2]
    assert update(tracker, FRAME, (box(0), 0.8, 1), (box(0), 0.9, 0)) == [2, 1]
    assert update(tracker, 2 * FRAME, (box(0), 0.9, 2)) == [0]


def test_the_costs_are_least_in_all_not_for_the_first() -> None:
    """The first track overlaps both boxes, the second only the better of them: greedily it would lose its one."""
    tracker = ByteTrack(0.5)
    assert update(tracker, 0, (box(0), 1.0, 0), (box(13), 1.0, 0)) == [1, 2]
    assert update(tracker, FRAME, (box(5), 1.0, 0), (box(-8), 1.0, 0)) == [2, 1]


def test_a_pair_beyond_the_limit_costs_no_more_than_two_without_partners() -> None:
    """0.4 and the limit of 0.8 are less than 0.62 twice, though 0.4 and 1 are more."""
    tracker = ByteTrack(0.5)
    assert update(tracker, 0, (box(0), 1.0, 0), (box(14), 1.0, 0)) == [1, 2]
    assert update(tracker, FRAME, (box(5), 1.0, 0), (box(-9), 1.0, 0)) == [1, 0]


def test_a_lost_box_does_not_grow() -> None:
    tracker = ByteTrack(0.5)
    for step in range(10):
        update(tracker, FRAME * step, (box(0, size=20 + 3 * step), 0.9, 0))
    (track,) = tracker.tracks
    assert track.motion.mean[7] > 2
    update(tracker, FRAME * 10)  # lost now, and predicted once more before that was known
    height = track.motion.mean[3]
    update(tracker, FRAME * 11)
    assert track.motion.mean[3] == pytest.approx(height)


def test_the_score_weighs_in_the_first_association() -> None:
    """IoU 0.25 and score 0.9: 1 - 0.225 is under the limit of 0.8; with score 0.6, 1 - 0.15 is not."""
    for score, number in ((0.9, 1), (0.6, 0)):
        tracker = ByteTrack(0.5)
        update(tracker, 0, (box(0), 0.9, 0))
        assert update(tracker, FRAME, (box(12), score, 0)) == [number]


def test_without_boxes_and_tracks_nothing_happens() -> None:
    tracker = ByteTrack(0.5)
    assert update(tracker, 0) == []
    assert update(tracker, FRAME) == []
    assert tracker.tracks == []


def test_motion_learns_a_velocity() -> None:
    motion = Motion(np.array(box(0)))
    assert motion.box == pytest.approx(box(0))
    for step in range(1, 40):
        motion.predict()
        motion.update(np.array(box(5 * step)))
    assert motion.mean[4:] == pytest.approx([5, 0, 0, 0], abs=0.05)
    motion.predict()
    assert motion.box == pytest.approx(box(200), abs=0.5)


def test_motion_is_the_textbooks_filter() -> None:
    """One step of the equations, written out, for the height alone, which nothing else moves."""
    motion = Motion(np.array([0, 0, 20, 40], float))
    position, velocity = (2 * 40 / 20) ** 2, (10 * 40 / 160) ** 2
    motion.predict()
    predicted = position + velocity + (40 / 20) ** 2
    motion.update(np.array([0, 0, 20, 50], float))
    gain = predicted / (predicted + (40 / 20) ** 2)
    assert motion.mean[3] == pytest.approx(40 + gain * 10)
    assert motion.mean[7] == pytest.approx(velocity / (predicted + (40 / 20) ** 2) * 10)
    assert motion.covariance[3, 3] == pytest.approx((1 - gain) * predicted)
    assert np.allclose(motion.covariance, motion.covariance.T)


def test_iou_of_rows_and_columns() -> None:
    ours, theirs = np.array([box(0), box(100)]), np.array([box(0), box(10), box(90, size=40)])
    assert _iou(ours, theirs) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 400 / 1600]]))


def test_without_scipy_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(InputError, match=r'tracking needs scipy; pip install "vedette\[video\]"'):
        ByteTrack(0.5)
