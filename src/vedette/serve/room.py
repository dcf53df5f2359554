"""The room there is for pictures that were accepted and not answered yet: bounded in number, time and pixels."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil

from vedette.serve.limits import MOST_TOGETHER
from vedette.serve.pace import Pace
from vedette.serve.refusal import RefusedError

LEARNING = 0.1  # the weight of the newest batch in the mean of seconds a picture
LONGEST_RETRY = 60  # seconds


class Room:
    """Who finds no room is refused at once: a queue that grows makes everyone wait and answers no one sooner.

    pictures: as many as are taken while passes are as fast as usual. When they are slower there is room for fewer, so
    that who is accepted waits no longer than then: the bound is a time, of so many pictures at the usual pace.
    """

    def __init__(self, pictures: int) -> None:
        self.most = pictures
        self.pace = Pace()
        self.pictures = 0
        self.refused = False  # anyone, since the last pass
        self.pixels = 0
        self.freed = asyncio.Condition()  # some of the pixels were
        self.seconds_each = 0.0  # the mean, lately

    def check(self, pictures: int = 1) -> None:
        """Raises RefusedError where so many more do not fit: 413 for more than ever do, 429 for now."""
        if pictures > self.most:
            raise RefusedError(
                413, f"{pictures} pictures are more than the {self.most} that are taken; send fewer at once"
            )
        if self.pictures and self.pictures + pictures > round(self.most / self.pace.slowdown):
            raise self.full()

    @contextmanager
    def hold(self, pictures: int) -> Iterator[None]:
        """Room for so many pictures, or RefusedError."""
        self.check(pictures)
        self.pictures += pictures
        try:
            yield
        finally:
            self.pictures -= pictures

    @asynccontextmanager
    async def hold_pixels(self, pixels: int) -> AsyncIterator[None]:
        """Room in memory for a picture of so many pixels, waited for; one that is alone always finds it."""
        async with self.freed:
            await self.freed.wait_for(lambda: not self.pixels or self.pixels + pixels <= MOST_TOGETHER)
            self.pixels += pixels
        try:
            yield
        finally:
            self.pixels -= pixels
            async with self.freed:
                self.freed.notify_all()

    def full(self) -> RefusedError:
        """429, with the seconds until what is in work will be done."""
        self.refused = True
        retry = min(max(1, ceil(self.pictures * self.seconds_each)), LONGEST_RETRY)
        return RefusedError(429, f"busy with as many pictures as may wait; try again in {retry} s", retry)

    def took(self, pictures: int, seconds: float, expected: float) -> None:
        """Tells how long a pass took, and how long one of so many pictures took at the start."""
        self.pace.passed(seconds / expected, calm=not self.refused)
        self.refused = False
        each = seconds / pictures
        self.seconds_each += (each - self.seconds_each) * (LEARNING if self.seconds_each else 1.0)
