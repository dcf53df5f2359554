"""The detectors of one process and the way of a picture through it: room, decode, network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from PIL import Image

from vedette.errors import InputError, likely
from vedette.infer.decoded import DECODERS
from vedette.infer.detector import Detector
from vedette.infer.scores import Least, least_scores, split_names
from vedette.serve.batcher import Batcher
from vedette.serve.decode import decode, size_of
from vedette.serve.limits import Limits
from vedette.serve.metrics import Metrics
from vedette.serve.refusal import RefusedError
from vedette.serve.room import Room
from vedette.structures import Detections

LEAST_SCORE = 0.01  # below it there is noise alone, and much of it

Given = TypeVar("Given")


class Service:
    """detectors: by the names that requests give; the first serves those that give none."""

    def __init__(self, detectors: Mapping[str, Detector], limits: Limits, bf16: bool = False) -> None:
        self.limits, self.room, self.metrics = limits, Room(limits.queue), Metrics()
        on_cpu = all(detector.device.type == "cpu" for detector in detectors.values())
        self.decoders = ThreadPoolExecutor(1 if on_cpu else DECODERS)  # a CPU's cores belong to the network
        self.network = ThreadPoolExecutor(1)
        self.working = False  # alone
        shared = (limits, self.room, self.network, self.metrics, bf16)
        self.models = {name: Batcher(name, detector, *shared) for name, detector in detectors.items()}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Has every detector seen pictures, then batches while the context lasts."""
        for model in self.models.values():
            await in_thread(self.network, model.warm_up)
        tasks = [asyncio.create_task(model.run()) for model in self.models.values()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.network.shutdown()
            self.decoders.shutdown()

    def model(self, name: str | None) -> Batcher:
        """By its name, the first without one. Raises RefusedError for a name that there is not."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            meant = likely(name, self.models) or f"; there are {', '.join(self.models)}"
            raise RefusedError(404, f"no model {name}{meant}")
        return self.models[name]

    def check(self) -> None:
        """Raises RefusedError where the last pass of a model failed."""
        for model in self.models.values():
            if model.fault is not None:
                raise RefusedError(503, model.fault)

    async def find(self, model: Batcher, pictures: Sequence[bytes], least: Least) -> list[Detections | RefusedError]:
        """What is on each encoded picture, or why it is refused. Raises RefusedError where there is no room."""
        with self.room.hold(len(pictures)), self.metrics.holding(len(pictures)):
            return await asyncio.gather(*(self.find_one(model, data, least) for data in pictures))

    async def find_one(self, model: Batcher, data: bytes, least: Least) -> Detections | RefusedError:
        """For a picture that has room."""
        try:
            async with self.decoded(data) as picture:
                return await model.find(picture, least)
        except RefusedError as error:
            return error

    async def alone(self, data: bytes, work: Callable[[Image.Image], Given]) -> Given:
        """What longer work with one encoded picture gives, in the network's thread, one such work at a time.

        Raises RefusedError for a bad picture, and where there is no room or such work already.
        """
        if self.working:
            raise self.room.full()
        self.working = True
        try:
            with self.room.hold(1), self.metrics.holding(1):
                async with self.decoded(data) as picture:
                    return await in_thread(self.network, work, picture)
        finally:
            self.working = False

    @asynccontextmanager
    async def decoded(self, data: bytes) -> AsyncIterator[Image.Image]:
        """A picture, and room in memory for it while the context lasts. Raises RefusedError for a bad one."""
        width, height = await in_thread(self.decoders, size_of, data, self.limits.pixels)
        async with self.room.hold_pixels(width * height):
            yield await in_thread(self.decoders, decode, data)


def least_of(model: Batcher, score: float | None, classes: str | None = None) -> Least:
    """What a request asks of a model; classes: names with commas between them, None for all.

    Raises RefusedError for a class that there is not.
    """
    names = split_names([classes], model.detector.classes or ()) if classes else None
    try:
        return least_scores(model.detector, score, names)
    except InputError as error:
        raise RefusedError(422, str(error)) from None


async def in_thread(threads: ThreadPoolExecutor, call: Callable[..., Given], *what: object) -> Given:
    """What the call gives, while others go on."""
    return await asyncio.get_running_loop().run_in_executor(threads, call, *what)
