"""The page at /: its HTML from a template, its scripts as they are in files of their own."""

from pathlib import Path

from fastapi import APIRouter, Response

from vedette.pages import render
from vedette.pages.boxes import PALETTE
from vedette.pages.captions import text_colour
from vedette.serve.refusal import RefusedError
from vedette.serve.service import LEAST_SCORE, Service

FOLDER = Path(render.__file__).parent / "serve"
KINDS = {".js": "text/javascript", ".css": "text/css"}
FILES = {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix in KINDS}
POLICY = (  # the page loads nothing from elsewhere, and is shown in no other page
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


def routes(service: Service, with_key: bool) -> APIRouter:
    """The page and its files. with_key: it asks for the API key."""
    router = APIRouter(include_in_schema=False)
    colours = [[f"rgb{colour}", f"rgb{text_colour(colour)}"] for colour in PALETTE]
    page = render.render(
        "serve.html",
        title="Vedette",
        models=list(service.models),
        explained=[name for name, model in service.models.items() if model.can_explain],
        with_key=with_key,
        colours=colours,
        least=LEAST_SCORE,
        megabytes=service.limits.body >> 20,
    )

    @router.get("/")
    async def show() -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=HEADERS)

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return Response(status_code=204)  # browsers ask for it; there is none

    @router.get("/page/{name}")
    async def file(name: str) -> Response:
        if name not in FILES:
            raise RefusedError(404, f"no file {name}")
        return Response(FILES[name], media_type=KINDS[Path(name).suffix], headers=HEADERS)

    return router
