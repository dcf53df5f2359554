"""How long those wait who are accepted when more come than can be served: reckoned, in a time of its own."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from cli.upper_left import load
from serve.conftest import picture_file
from serve.virtual import Clock, Costs, Thread, slow
from vedette.serve.limits import Limits
from vedette.serve.pace import FIRST, Pace, Passes
from vedette.serve.refusal import RefusedError
from vedette.serve.room import Room
from vedette.serve.service import Service

PICTURE = picture_file()
DECODE = 0.002  # seconds a picture


class Load:
    """A service of one detector, and requests that come by chance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limits: Limits, costs: Costs) -> None:
        self.clock, self.slower = Clock(), 1.0
        slow(monkeypatch, self.clock, lambda pictures: self.slower * costs(pictures))
        self.service = Service({"first": load("first")}, limits)
        self.service.decoders = Thread(self.clock, DECODE)  # type: ignore[assignment]
        self.service.network = self.service.model(None).network = Thread(self.clock)  # type: ignore[assignment]

    async def at_rate(self, rate: float, count: int) -> tuple[list[float], list[float]]:
        """So many a second: seconds that answers took, and refusals, in the order in which they were given."""
        answered, refused, start = list[float](), list[float](), self.clock.now()
        dues = start + np.random.default_rng(0).exponential(1 / rate, count).cumsum()

        async def one(due: float) -> None:
            await asyncio.sleep(due - self.clock.now())
            try:
                await self.service.find(self.service.model(None), [PICTURE], 0.5)
            except RefusedError:
                refused.append(self.clock.now() - due)
            else:
                answered.append(self.clock.now() - due)

        await asyncio.gather(*(one(float(due)) for due in dues))
        return answered, refused


@pytest.mark.parametrize("slower", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(
    ("limits", "costs", "most"),
    [
        (Limits(), lambda pictures: 0.004 + 0.026 * pictures, 36.0),  # as on a CPU: a batch is hardly faster
        (Limits(batch=16, queue=20), lambda pictures: 0.018 + 0.0014 * pictures, 300.0),  # as on a GPU
    ],
    ids=["cpu", "gpu"],
)
def test_who_is_accepted_waits_no_longer_than_twice_as_long_as_at_half_load(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, costs: Costs, most: float, slower: float
) -> None:
    """most: pictures a second; slower: passes, while four times as many come: refusals take the machine's time."""
    under = Load(monkeypatch, limits, costs)

    async def main() -> None:
        async with under.service.running():
            half, refused = await under.at_rate(0.5 * most, 500)
            assert len(refused) < 0.02 * len(half)
            under.slower = slower
            await under.at_rate(4 * most, 300)
            assert under.service.room.pace.slowdown == pytest.approx(slower, rel=0.1)
            start = under.clock.now()
            full, refused = await under.at_rate(4 * most, 700)
            assert np.percentile(full, 99) <= 2 * np.percentile(half, 99)
            assert max(refused) <= DECODE  # at once
            assert len(full) > 0.6 * most / slower * (under.clock.now() - start)  # the network is hardly ever idle
            under.slower = 1.0
            await under.at_rate(0.5 * most, 100)
            assert under.service.room.pace.slowdown == pytest.approx(1, abs=0.05)  # all of the room is back

    under.clock.run(main())


def test_passes_are_expected_on_a_line() -> None:
    passes = Passes(alone=0.1, whole=0.4, batch=4)
    assert [passes.expected(pictures) for pictures in (1, 2, 4)] == pytest.approx([0.1, 0.2, 0.4])
    assert Passes(0.1, 0.1, 1).expected(1) == pytest.approx(0.1)


def test_what_is_usual_is_learnt_at_first_and_while_no_one_is_refused() -> None:
    pace = Pace()
    for _ in range(FIRST):
        pace.passed(3.0, calm=False)  # pictures that are larger than the first
    assert pace.slowdown == 1.0
    for _ in range(100):
        pace.passed(6.0, calm=False)
    assert pace.slowdown == pytest.approx(2.0, rel=1e-3)
    pace.passed(6.0, calm=True)  # usual: 3 + 0.02 · 3
    assert pace.slowdown == pytest.approx(6 / 3.06, rel=1e-3)
    for _ in range(100):
        pace.passed(1.0, calm=False)
    assert pace.slowdown == 1.0


def test_there_is_room_for_fewer_while_passes_are_slower() -> None:
    room = Room(6)
    for _ in range(FIRST):
        room.took(4, 1.0, 1.0)
    for _ in range(200):
        room.full()  # someone is refused during each
        room.took(4, 2.0, 1.0)
    with room.hold(2):
        room.check(1)
        with pytest.raises(RefusedError) as full:
            room.check(2)
    assert full.value.status_code == 429
    room.check(6)  # who is alone finds room whatever the pace
    with pytest.raises(RefusedError) as many:
        room.check(7)
    assert many.value.status_code == 413


def test_a_virtual_time_goes_as_told() -> None:
    clock, times = Clock(), list[float]()

    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(0.25)
            times.append(clock.now())

    clock.run(main())
    assert [after - before for before, after in pairwise(times)] == pytest.approx([0.25, 0.25])
