"""A request that is not answered with detections: one line of JSON that says why, and what to do."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from vedette.data.findings import shown
from vedette.errors import InputError

LONGEST = 500  # letters: what was sent may be quoted


class Refusal(BaseModel):
    """The body of every answer of 4xx and 5xx."""

    error: str


class RefusedError(HTTPException):
    """Status and reason; retry: seconds after which another try is worth it."""

    def __init__(self, status: int, reason: str, retry: int | None = None) -> None:
        super().__init__(status, reason, headers=None if retry is None else {"Retry-After": str(retry)})


def refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer; reason: shortened where it is endless."""
    return JSONResponse({"error": shown(reason, LONGEST)}, status, headers)


def answer_errors(app: FastAPI) -> None:
    """Has the app answer whatever is raised in it so."""

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return refused(error.status_code, error.detail, error.headers)

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError) -> JSONResponse:
        return refused(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def bad_value(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return refused(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        return refused(500, f"a fault of the service ({type(error).__name__}); its log says more")


REFUSALS = {
    400: "no picture, or a request that cannot be read",
    401: "the API key is missing or wrong",
    404: "no such model, or no such page",
    408: "the request took too long to arrive",
    413: "too many bytes, pixels or pictures",
    422: "a parameter that cannot be",
    429: "as much is in work as may be; Retry-After says when to come again",
    503: "no answer within the time limit",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": why} for status, why in REFUSALS.items()
}  # for OpenAPI
