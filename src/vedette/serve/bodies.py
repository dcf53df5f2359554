"""The pictures in a request's body: one by itself, files of a form, or base64 in JSON. Addresses are never fetched."""

from base64 import b64decode
from binascii import Error as NoBase64
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette.serve.forms import files_of
from vedette.serve.refusal import RefusedError

FORM, JSON = "multipart/form-data", "application/json"
Body = TypeVar("Body", bound=BaseModel)


class OnePicture(BaseModel):
    """The JSON of one picture."""

    model_config = ConfigDict(extra="forbid")
    image: str = Field(description="A picture's file in base64; a data: URL is taken too.")


class Pictures(BaseModel):
    """The JSON of several."""

    model_config = ConfigDict(extra="forbid")
    images: list[str] = Field(min_length=1, description="Pictures' files in base64; data: URLs are taken too.")


async def one_picture(request: Request) -> bytes:
    """The picture of `POST /detect`, encoded. Raises RefusedError for none and for several."""
    kind = _kind(request)
    if kind == JSON:
        return from_base64(parsed(OnePicture, await request.body()).image)
    if kind != FORM:
        return await request.body()
    files = files_of(request.headers["content-type"], await request.body())
    if len(files) != 1:
        raise RefusedError(400, f"{len(files)} pictures in the form: send one here, several to /detect/batch")
    return files[0]


async def several_pictures(request: Request) -> list[bytes]:
    """The pictures of `POST /detect/batch`, encoded. Raises RefusedError where there is none."""
    kind = _kind(request)
    if kind == JSON:
        return [from_base64(text) for text in parsed(Pictures, await request.body()).images]
    if kind != FORM:
        raise RefusedError(400, f"several pictures come as {FORM} or {JSON}; one by itself goes to /detect")
    files = files_of(request.headers["content-type"], await request.body())
    if not files:
        raise RefusedError(400, "no picture in the form: add files, each as a part with a file name")
    return files


def from_base64(text: str) -> bytes:
    """Raises RefusedError for an address, which is not fetched, and for what is no base64."""
    head, comma, data = text.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        text = data
    elif "://" in text[:20]:
        raise RefusedError(400, "addresses are not fetched: send the picture itself, in base64")
    try:
        return b64decode(text, validate=True)
    except (NoBase64, ValueError):
        raise RefusedError(400, "the picture is no base64: send the file's bytes in base64") from None


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parsed(kind: type[Body], body: bytes) -> Body:
    """The body as JSON of that kind; raises RefusedError for anything else."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RefusedError(400, f"{place or 'the body'}: {first['msg']}") from None
