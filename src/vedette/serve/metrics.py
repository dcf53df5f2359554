"""Counts for Prometheus: requests, pictures, batches, and how long they took; of all processes together."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # of the environment: where processes keep their counts for one another
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counts of one process; `text` sums those of all where there are several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"namespace": "vedette", "registry": self.registry}
        self.requests = Counter("requests", "Requests by path and status.", ["path", "status"], **own)  # type: ignore[arg-type]
        self.seconds = Histogram("request_seconds", "From request to answer.", ["path"], buckets=SECONDS, **own)  # type: ignore[arg-type]
        self.pictures = Counter("pictures", "Pictures looked at.", ["model"], **own)  # type: ignore[arg-type]
        self.batches = Histogram("batch_pictures", "Pictures a pass.", ["model"], buckets=TOGETHER, **own)  # type: ignore[arg-type]
        self.network = Histogram("batch_seconds", "A pass of the network.", ["model"], buckets=SECONDS, **own)  # type: ignore[arg-type]
        self.inside = Gauge(
            "pictures_inside",
            "Pictures accepted and not answered yet.",
            multiprocess_mode="livesum",
            **own,  # type: ignore[arg-type]
        )

    @contextmanager
    def holding(self, pictures: int) -> Iterator[None]:
        """So many more are inside."""
        self.inside.inc(pictures)
        try:
            yield
        finally:
            self.inside.dec(pictures)

    def looked(self, model: str, pictures: int, seconds: float) -> None:
        """A batch is done."""
        self.pictures.labels(model).inc(pictures)
        self.batches.labels(model).observe(pictures)
        self.network.labels(model).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' format."""
        if not os.environ.get(FOLDER):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class Measured:
    """ASGI middleware: counts every request, those that the gate refuses too.

    A path is the route's, with {name} in place of a name, so that there are few; "refused" for what the gate refused.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets it through, and takes its status and time."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            path = getattr(scope.get("route"), "path", "refused")
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)
