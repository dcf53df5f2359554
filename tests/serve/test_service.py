"""Batches, room and time: what happens to requests that come together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from PIL import Image
from starlette.types import Message

from cli.upper_left import WAIT, load
from serve.conftest import picture_file
from vedette.infer.detector import Detector
from vedette.serve import room as rooms
from vedette.serve.gate import Gate
from vedette.serve.limits import Limits
from vedette.serve.refusal import RefusedError
from vedette.serve.room import Room
from vedette.serve.service import Service
from vedette.structures import Detections

PICTURE = picture_file()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Pictures and least score of every batch."""
    batches: list[tuple[int, float]] = []
    look = Detector.look

    def note(
        self: Detector, pictures: Sequence[Image.Image], passes: Any, score: float, bf16: bool
    ) -> list[Detections]:
        batches.append((len(pictures), score))
        return look(self, pictures, passes, score, bf16)

    monkeypatch.setattr(Detector, "look", note)
    return batches


def served(limits: Limits, use: Callable[[Service], Awaitable[None]]) -> None:
    """Runs `use` with a service of one detector."""

    async def main() -> None:
        service = Service({"first": load("first")}, limits)
        async with service.running():
            await use(service)

    asyncio.run(main())


def test_pictures_that_wait_go_together_each_with_its_own_score(seen: list[tuple[int, float]]) -> None:
    async def use(service: Service) -> None:
        seen.clear()  # of what it began with
        model = service.model(None)
        scores = [0.5, 0.7, 0.95, 0.3, 0.5]
        found = await asyncio.gather(*(service.find(model, [PICTURE], score) for score in scores))
        counts = [len(one) for (one,) in found if not isinstance(one, RefusedError)]
        assert counts == [2, 1, 0, 2, 2]

    served(Limits(batch=3, queue=5, wait=0.5), use)
    assert seen == [(3, 0.5), (2, 0.3)]


def test_a_batch_that_is_full_waits_for_no_one_and_one_alone_not_for_long(seen: list[tuple[int, float]]) -> None:
    async def use(service: Service) -> None:
        async with asyncio.timeout(20):
            await asyncio.gather(*(service.find(service.model(None), [PICTURE], 0.5) for _ in range(2)))
        assert seen[-1] == (2, 0.5)

    served(Limits(batch=2, wait=100.0), use)

    async def alone(service: Service) -> None:
        async with asyncio.timeout(20):
            await service.find(service.model(None), [PICTURE], 0.5)
        assert seen[-1] == (1, 0.5)

    served(Limits(batch=8, wait=0.001), alone)


def test_one_that_gave_up_is_not_looked_at(seen: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(service: Service) -> None:
        seen.clear()
        monkeypatch.setenv(WAIT, "0.5")
        first = asyncio.create_task(service.find(service.model(None), [PICTURE], 0.5))
        await asyncio.sleep(0.2)  # it is looked at
        second = asyncio.create_task(service.find(service.model(None), [PICTURE], 0.5))
        await asyncio.sleep(0.2)
        second.cancel()
        await first
        await service.find(service.model(None), [PICTURE], 0.4)
        assert service.room.pictures == 0

    served(Limits(batch=1), use)
    assert seen == [(1, 0.5), (1, 0.4)]


def test_room_ends_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(service: Service) -> None:
        monkeypatch.setenv(WAIT, "0.3")
        model = service.model(None)
        inside = [asyncio.create_task(service.find(model, [PICTURE], 0.5)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(RefusedError) as full:
            await service.find(model, [PICTURE], 0.5)
        assert (full.value.status_code, full.value.headers) == (429, {"Retry-After": "1"})
        await asyncio.gather(*inside)
        await service.find(model, [PICTURE] * 2, 0.5)
        with pytest.raises(RefusedError) as more:
            await service.find(model, [PICTURE] * 3, 0.5)
        assert more.value.status_code == 413

    served(Limits(batch=2, queue=2), use)


def test_when_to_come_again_is_learnt_from_the_batches() -> None:
    room = Room(100)
    room.took(4, 8.0, 8.0)  # 2 s a picture
    with room.hold(3):
        assert room.full().headers == {"Retry-After": "6"}
    room.took(1, 12.0, 12.0)  # 2 + 0.1 · 10
    with room.hold(4):
        assert room.full().headers == {"Retry-After": "12"}
    with room.hold(100):
        assert room.full().headers == {"Retry-After": "60"}


def test_pictures_in_memory_together_are_bounded_by_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST_TOGETHER", 100)
    most = 0

    async def main() -> None:
        room = Room(10)

        async def hold(pixels: int) -> None:
            nonlocal most
            async with room.hold_pixels(pixels):
                most = max(most, room.pixels)
                await asyncio.sleep(0.001)

        async with asyncio.timeout(20):
            await asyncio.gather(*(hold(pixels) for pixels in (60, 60, 40, 30, 300, 10, 99)))
        assert room.pixels == 0

    asyncio.run(main())
    assert most == 300  # which was alone


class Sent:
    """A request as a server hands it to an application, and what it answers."""

    def __init__(self, *body: bytes, then_wait: bool = False) -> None:
        self.messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        self.then_wait = then_wait
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        if self.then_wait:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        self.answers.append(message)


SCOPE = {"type": "http", "method": "POST", "path": "/detect", "headers": []}


def through(sent: Sent, limits: Limits, seconds: float) -> int:
    """The status that the gate gives where the application takes that long."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(seconds)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": (await receive())["body"]})

    asyncio.run(Gate(app, limits, Room(8))(SCOPE, sent.receive, sent.send))
    return int(sent.answers[0]["status"])


def test_requests_and_answers_that_come_too_late() -> None:
    limits = Limits(seconds=0.2)
    assert through(Sent(b"a", b"b"), limits, 0.0) == 200
    assert through(Sent(b"a", then_wait=True), limits, 0.0) == 408
    assert through(Sent(b"a"), limits, 30.0) == 503


def test_a_body_is_not_read_where_there_is_no_room() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent, room = Sent(b"a"), Room(1)
    with room.hold(1):
        asyncio.run(Gate(app, Limits(), room)(SCOPE, sent.receive, sent.send))
    assert sent.answers[0]["status"] == 429
    assert dict(sent.answers[0]["headers"])[b"retry-after"] == b"1"
    assert len(sent.messages) == 1


def test_bodies_that_arrive_together_are_bounded() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent = Sent(b"a")
    gate = Gate(app, Limits(), Room(8))
    gate.reading = 64
    asyncio.run(gate(SCOPE, sent.receive, sent.send))
    assert sent.answers[0]["status"] == 429
