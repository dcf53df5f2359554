"""The calls of the service's own: detect, one picture or several, and what it says of itself."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from vedette.serve.answers import (
    JPEG,
    Answer,
    Answers,
    Failed,
    OneOfSeveral,
    annotated,
    rows,
    wants_picture,
)
from vedette.serve.bodies import FORM, JSON, OnePicture, Pictures, one_picture, several_pictures
from vedette.serve.refusal import RESPONSES, RefusedError
from vedette.serve.service import LEAST_SCORE, Service, in_thread, least_of
from vedette.structures import Detections

Name = Annotated[str | None, Query(description="One of GET /models; the first without it.")]
Score = Annotated[
    float | None,
    Query(
        ge=LEAST_SCORE,
        le=1.0,
        allow_inf_nan=False,
        description="Least score of a detection; without it that of its class in the weights, or 0.5.",
    ),
]
Classes = Annotated[str | None, Query(description="Names of classes with commas between them; all without it.")]
ONE_FILE = {"type": "object", "required": ["image"], "properties": {"image": {"type": "string", "format": "binary"}}}
ONE_PICTURE = {
    "image/*": {"schema": {"type": "string", "format": "binary"}},
    FORM: {"schema": ONE_FILE},
    JSON: {"schema": OnePicture.model_json_schema()},
}
FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
SEVERAL_FILES = {"type": "object", "required": ["images"], "properties": {"images": FILES}}


class Model(BaseModel):
    """One of those that requests may name."""

    name: str
    classes: list[str] | None
    input: dict[str, Any]  # its InputSpec
    device: str


class Models(BaseModel):
    """All of them, the first of which serves requests that name none; and what a process takes on."""

    models: list[Model]
    limits: dict[str, float]


class Health(BaseModel):
    """A word."""

    status: str


def routes(service: Service) -> APIRouter:
    """The calls, with what they take and give for OpenAPI."""
    router = APIRouter()
    _add_detect(router, service)
    _add_batch(router, service)
    _add_about(router, service)
    return router


def _add_detect(router: APIRouter, service: Service) -> None:
    pictures: dict[int | str, dict[str, Any]] = {
        200: {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}}
    }

    @router.post(
        "/detect",
        response_model=Answer,
        responses=RESPONSES | pictures,
        openapi_extra={"requestBody": {"required": True, "content": ONE_PICTURE}},
    )
    async def detect(
        request: Request, model: Name = None, score: Score = None, classes: Classes = None
    ) -> Answer | Response:
        """The objects in one picture, as JSON or, where Accept prefers image/jpeg, drawn on it."""
        start, chosen = time.perf_counter(), service.model(model)
        least = least_of(chosen, score, classes)
        (found,) = await service.find(chosen, [await one_picture(request)], least)
        if isinstance(found, RefusedError):
            raise found
        if wants_picture(request.headers.get("accept", "")):
            return Response(await in_thread(service.decoders, annotated, found), media_type=JPEG)
        return Answer(model=chosen.name, milliseconds=_since(start), **_of_one(found))


def _add_batch(router: APIRouter, service: Service) -> None:
    body = {FORM: {"schema": SEVERAL_FILES}, JSON: {"schema": Pictures.model_json_schema()}}

    @router.post(
        "/detect/batch",
        responses=RESPONSES,
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def detect_batch(
        request: Request, model: Name = None, score: Score = None, classes: Classes = None
    ) -> Answers:
        """The objects in several pictures, in their order; a bad picture has an error in its place."""
        start, chosen = time.perf_counter(), service.model(model)
        least = least_of(chosen, score, classes)
        found = await service.find(chosen, await several_pictures(request), least)
        results = [
            Failed(error=one.detail) if isinstance(one, RefusedError) else OneOfSeveral(**_of_one(one)) for one in found
        ]
        return Answers(model=chosen.name, results=results, milliseconds=_since(start))


def _add_about(router: APIRouter, service: Service) -> None:
    @router.get("/models", responses={401: RESPONSES[401]})
    async def models() -> Models:
        """The models and their classes, and the limits of a process."""
        return Models(models=[_model(name, service) for name in service.models], limits=vars(service.limits))

    @router.get("/health")
    async def health() -> Health:
        """Whether the process answers."""
        return Health(status="alive")

    @router.get("/ready", responses={503: RESPONSES[503]})
    async def ready() -> Health:
        """Whether the models answer; 503 with the fault where the last pass of one failed."""
        service.check()
        return Health(status="ready")

    @router.get("/metrics", response_class=Response, responses={401: RESPONSES[401]})
    async def metrics() -> Response:
        """Counts in Prometheus' format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _model(name: str, service: Service) -> Model:
    detector = service.models[name].detector
    classes = None if detector.classes is None else list(detector.classes)
    return Model(name=name, classes=classes, input=vars(detector.input_spec), device=str(detector.device))


def _of_one(found: Detections) -> dict[str, Any]:
    assert found.image is not None
    return {"width": found.image.width, "height": found.image.height, "detections": rows(found)}


def _since(start: float) -> float:
    return round(1000 * (time.perf_counter() - start), 2)
