"""Dynamic batching: pictures of different requests go through the network together, whatever scores they ask for."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter

from PIL import Image

from vedette.infer.detector import Detector
from vedette.infer.multiscale import plan_passes
from vedette.infer.scores import Least, lowest, reaching
from vedette.serve.limits import Limits
from vedette.serve.metrics import Metrics
from vedette.serve.pace import Passes
from vedette.serve.room import Room
from vedette.structures import Detections


@dataclass(frozen=True, eq=False)
class Job:
    """A picture that waits, the least scores that are asked for, and who is told."""

    picture: Image.Image
    least: Least
    found: asyncio.Future[Detections]


class Batcher:
    """The queue of one detector; whoever has room in the house may join it.

    network: where the detector runs, one thread for all detectors of a process, which share its cores or its GPU.
    bf16: it runs in bfloat16.
    """

    def __init__(
        self,
        name: str,
        detector: Detector,
        limits: Limits,
        room: Room,
        network: Executor,
        metrics: Metrics,
        bf16: bool = False,
    ) -> None:
        self.name, self.detector, self.limits, self.bf16 = name, detector, limits, bf16
        self.room, self.network, self.metrics = room, network, metrics
        self.passes = plan_passes(detector.input_spec, batch_size=limits.batch)
        self.waiting: asyncio.Queue[Job] = asyncio.Queue()
        self.fault: str | None = None  # of the last batch, where it failed
        self.at_start = Passes(1.0, 1.0, 1)

    @property
    def can_explain(self) -> bool:
        """Whether there is a model whose steps can be told; of an exported file there is not."""
        return self.detector.model is not None

    def warm_up(self) -> None:
        """In the network's thread: the first pass, which is slow, then those that later ones are compared with."""
        pictures = [Image.new("RGB", (64, 64))] * self.limits.batch
        self.see(pictures, 0.5)
        alone, whole = (self.see(some, 0.5)[1] for some in (pictures[:1], pictures))
        self.at_start = Passes(alone, whole, self.limits.batch)

    async def find(self, picture: Image.Image, least: Least) -> Detections:
        """What is on it with at least these scores. Raises what the network raises."""
        job = Job(picture, least, asyncio.get_running_loop().create_future())
        self.waiting.put_nowait(job)
        return await job.found

    async def run(self) -> None:
        """Looks at batch after batch, until it is cancelled."""
        while True:
            batch = [job for job in await self.gather() if not job.found.done()]  # some gave up
            if batch:
                await self.look(batch)

    async def gather(self) -> list[Job]:
        """The first that waits, and those that wait with it or come within a moment."""
        batch = [await self.waiting.get()]
        try:
            async with asyncio.timeout(self.limits.wait):
                while len(batch) < self.limits.batch:
                    batch.append(await self.waiting.get())
        except TimeoutError:
            pass
        return batch

    async def look(self, batch: Sequence[Job]) -> None:
        """One pass for all of them; each is told its own."""
        try:
            found, seconds = await asyncio.get_running_loop().run_in_executor(
                self.network, self.see, [job.picture for job in batch], lowest(job.least for job in batch)
            )
        except Exception as error:
            self.fault = f"{self.name}: {type(error).__name__}: {error}"
            for job in batch:
                if not job.found.done():
                    job.found.set_exception(error)
            return
        self.fault = None
        self.room.took(len(batch), seconds, self.at_start.expected(len(batch)))
        self.metrics.looked(self.name, len(batch), seconds)
        for job, one in zip(batch, found, strict=True):
            if not job.found.done():
                job.found.set_result(reaching(one, job.least))

    def see(self, pictures: Sequence[Image.Image], score: float) -> tuple[list[Detections], float]:
        """In the network's thread: what is found, and the seconds that it took.

        What has a lower score than a box changes nothing about it, so the lowest that is asked for serves all.
        """
        start = perf_counter()
        found = self.detector.look(pictures, self.passes, score, self.bf16)
        return found, perf_counter() - start
