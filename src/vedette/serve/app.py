"""The web application: calls, errors, and what every request goes through."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from vedette import __version__
from vedette.infer.detector import Detector
from vedette.serve import glass, kserve, page, routes
from vedette.serve.gate import Gate
from vedette.serve.limits import Limits
from vedette.serve.metrics import Measured
from vedette.serve.refusal import answer_errors
from vedette.serve.service import Service


def create_app(
    detectors: Mapping[str, Detector], limits: Limits | None = None, key: str | None = None, bf16: bool = False
) -> FastAPI:
    """The service of these detectors, by the names that requests give; the first serves requests that name none.

    key: what requests must bring as X-API-Key; None lets everyone in. bf16: networks run in bfloat16.
    """
    service = Service(detectors, limits or Limits(), bf16)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(title="Vedette", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(routes.routes(service))
    app.include_router(glass.routes(service))  # before the page, among whose files its tab is none
    app.include_router(kserve.routes(service))
    app.include_router(page.routes(service, key is not None))
    answer_errors(app)
    app.add_middleware(Gate, limits=service.limits, room=service.room, key=key)
    app.add_middleware(Measured, metrics=service.metrics)  # added last: it is the outermost
    return app
