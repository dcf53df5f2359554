"""The glass box of a picture, as the page of `vedette explain`.

Its scripts stand in the page, so its policy gives it an origin of its own: whatever they would do, they reach neither
the service nor the key that the service's page keeps.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from PIL import Image

from vedette.glass.page import View, page
from vedette.glass.trace import explain
from vedette.infer.scores import lowest
from vedette.serve.batcher import Batcher
from vedette.serve.bodies import one_picture
from vedette.serve.page import FOLDER
from vedette.serve.refusal import RESPONSES, RefusedError
from vedette.serve.routes import ONE_PICTURE, Name, Score
from vedette.serve.service import Service, least_of

HTML = "text/html; charset=utf-8"
POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
TAB = (FOLDER / "glass.html").read_bytes()  # where the service's page shows it


def routes(service: Service) -> APIRouter:
    """The call, and the tab that the service's page opens."""
    router = APIRouter()
    html: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}

    @router.post(
        "/explain",
        response_class=Response,
        responses=RESPONSES | html,
        openapi_extra={"requestBody": {"required": True, "content": ONE_PICTURE}},
    )
    async def explain_picture(request: Request, model: Name = None, score: Score = None) -> Response:
        """How a detector reached each box of one picture: a page of HTML that needs nothing else."""
        chosen = service.model(model)
        if not chosen.can_explain:
            raise RefusedError(
                400, f"{chosen.name}: an exported file shows no steps; serve the weights it was made from"
            )
        told = await service.alone(await one_picture(request), lambda picture: _page(chosen, picture, score))
        return Response(told, media_type=HTML, headers=HEADERS)

    @router.get("/page/glass.html", include_in_schema=False)
    async def tab() -> Response:
        return Response(TAB, media_type=HTML, headers=HEADERS)

    return router


def _page(model: Batcher, picture: Image.Image, score: float | None) -> str:
    """In the network's thread; a trace has one floor for all classes, the lowest of the weights' own."""
    floor = lowest([least_of(model, score)])
    return page([View(model.name, explain(model.detector, picture, score=floor))], "the picture")
