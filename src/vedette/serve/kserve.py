"""KServe's v2 protocol, also called the Open Inference Protocol, for the same models.

A request's one input is `image`: encoded pictures in base64 (datatype BYTES, shape [B]), or pixels (UINT8, [B, H, W, 3]
or [H, W, 3]). What is found on all of them comes one after the other; `counts` says how many are of each picture.
"""

from io import BytesIO
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from fastapi import APIRouter, Request
from PIL import Image
from pydantic import BaseModel, Field

from vedette import __version__
from vedette.serve.bodies import from_base64, parsed
from vedette.serve.refusal import RESPONSES, RefusedError
from vedette.serve.service import LEAST_SCORE, Service, in_thread, least_of
from vedette.structures import Detections

VERSION = "1"  # of every model: a file is served until the service ends
OUTPUTS = {"boxes": ("FP32", [-1, 4]), "scores": ("FP32", [-1]), "labels": ("INT64", [-1])}
OUTPUTS |= {"names": ("BYTES", [-1]), "counts": ("INT64", [-1])}


class Parameters(BaseModel):
    """Of a request; others are passed over, as the protocol has it."""

    score: float | None = Field(
        None,
        ge=LEAST_SCORE,
        le=1.0,
        allow_inf_nan=False,
        description="Least score of a detection; without it that of its class in the weights, or 0.5.",
    )


class Input(BaseModel):
    """The tensor that comes; data flat or nested."""

    name: Literal["image"]
    shape: list[int] = Field(min_length=1, max_length=4)
    datatype: Literal["BYTES", "UINT8"]
    data: list[Any] = Field(description="BYTES: base64 of a picture's file each; UINT8: values, row by row.")


class Wanted(BaseModel):
    """An output that is asked for."""

    name: Literal["boxes", "scores", "labels", "names", "counts"]


class Asked(BaseModel):
    """A request."""

    id: str | None = None
    parameters: Parameters = Parameters()  # type: ignore[call-arg]
    inputs: list[Input] = Field(min_length=1, max_length=1)
    outputs: list[Wanted] | None = None


class Output(BaseModel):
    """A tensor that goes back, its data flat."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class Inferred(BaseModel):
    """An answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Output]


class Described(BaseModel):
    """A tensor as metadata tell of it; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str] = [VERSION]
    platform: str = "vedette"
    inputs: list[Described] = [Described(name="image", datatype="BYTES", shape=[-1])]
    outputs: list[Described] = [
        Described(name=name, datatype=kind, shape=shape) for name, (kind, shape) in OUTPUTS.items()
    ]


def routes(service: Service) -> APIRouter:
    """The protocol's calls."""
    router = APIRouter(prefix="/v2")
    _add_health(router, service)
    for path in ("/models/{name}", "/models/{name}/versions/{version}"):
        _add_model(router, service, path)
    return router


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("")
    async def server() -> dict[str, Any]:
        """What serves here."""
        return {"name": "vedette", "version": __version__, "extensions": []}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """Whether the process answers."""
        return {"live": True}

    @router.get("/health/ready", responses={503: RESPONSES[503]})
    async def ready() -> dict[str, bool]:
        """Whether the models answer."""
        service.check()
        return {"ready": True}


def _add_model(router: APIRouter, service: Service, path: str) -> None:
    missing: dict[int | str, dict[str, Any]] = {status: RESPONSES[status] for status in (401, 404, 422)}

    @router.get(path, responses=missing)
    async def metadata(name: str, version: str = VERSION) -> ModelMetadata:
        """What a model takes and gives."""
        return ModelMetadata(name=service.model(name).name, versions=[_known(version)])

    @router.get(path + "/ready", responses=missing | {503: RESPONSES[503]})
    async def model_ready(name: str, version: str = VERSION) -> dict[str, Any]:
        """Whether a model answers."""
        model = service.model(name)
        if model.fault is not None:
            raise RefusedError(503, model.fault)
        return {"name": model.name, "version": _known(version), "ready": True}

    body = {"application/json": {"schema": Asked.model_json_schema(ref_template="#/components/schemas/{model}")}}

    @router.post(
        path + "/infer",
        responses=RESPONSES,
        response_model_exclude_none=True,
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def infer(request: Request, name: str, version: str = VERSION) -> Inferred:
        """Objects in the pictures of a tensor."""
        model = service.model(name)
        _known(version)
        asked, pictures = await in_thread(service.decoders, _read, await request.body())
        found = await service.find(model, pictures, least_of(model, asked.parameters.score))
        outputs = _outputs([_whole(one) for one in found])
        wanted = None if asked.outputs is None else {output.name for output in asked.outputs}
        outputs = [output for output in outputs if wanted is None or output.name in wanted]
        return Inferred(model_name=name, model_version=version, id=asked.id, outputs=outputs)


def _known(version: str) -> str:
    if version != VERSION:
        raise RefusedError(404, f"no version {version}: there is {VERSION}")
    return version


def _read(body: bytes) -> tuple[Asked, list[bytes]]:
    """A request without its tensor, and the pictures that were in it, encoded."""
    asked = parsed(Asked, body)
    (tensor,) = asked.inputs
    pictures = _encoded(tensor) if tensor.datatype == "BYTES" else _pixels(tensor)
    return asked.model_copy(update={"inputs": []}), pictures


def _encoded(tensor: Input) -> list[bytes]:
    if tensor.shape != [len(tensor.data)] or not tensor.data:
        raise RefusedError(400, f"image has shape {tensor.shape} and {len(tensor.data)} elements: BYTES have shape [B]")
    if not all(isinstance(text, str) for text in tensor.data):
        raise RefusedError(400, "image: BYTES are pictures' files in base64, each a string")
    return [from_base64(text) for text in tensor.data]


def _pixels(tensor: Input) -> list[bytes]:
    """Pictures of UINT8 as files."""
    shape = tensor.shape if len(tensor.shape) == 4 else [1, *tensor.shape]
    if len(shape) != 4 or shape[-1] != 3 or min(shape) < 1:
        raise RefusedError(
            400, f"image has shape {tensor.shape}: UINT8 has [B, height, width, 3] or [height, width, 3]"
        )
    try:
        values = np.array(tensor.data)
    except ValueError:  # lists of different lengths
        values = np.array([])
    if values.dtype.kind not in "iu" or values.size != prod(shape) or values.min() < 0 or values.max() > 255:
        raise RefusedError(400, f"image: UINT8 of shape {tensor.shape} are {prod(shape)} whole numbers from 0 to 255")
    return [_as_file(pixels) for pixels in values.astype(np.uint8).reshape(shape)]


def _as_file(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


def _whole(found: Detections | RefusedError) -> Detections:
    if isinstance(found, RefusedError):
        raise found
    return found


def _outputs(found: list[Detections]) -> list[Output]:
    """One tensor a kind, of all pictures one after the other."""
    values = {
        "boxes": torch.cat([one.boxes for one in found]).flatten().tolist(),
        "scores": torch.cat([one.scores for one in found]).tolist(),
        "labels": torch.cat([one.labels for one in found]).tolist(),
        "names": [name for one in found for name in one.names],
        "counts": [len(one) for one in found],
    }
    total = sum(values["counts"])
    shapes = {"boxes": [total, 4], "counts": [len(found)]}
    return [
        Output(name=name, datatype=kind, shape=shapes.get(name, [total]), data=values[name])
        for name, (kind, _) in OUTPUTS.items()
    ]
