"""A small service for the tests: two detectors that find the upper left quarter and the upper half of any picture."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

from cli.upper_left import load
from vedette.infer.detector import Detector
from vedette.serve.app import create_app
from vedette.serve.limits import Limits

Serving = Callable[..., TestClient]


def picture_file(width: int = 40, height: int = 20, kind: str = "JPEG", **settings: Any) -> bytes:
    """An encoded picture."""
    buffer = BytesIO()
    Image.new("RGB", (width, height), "green").save(buffer, kind, **settings)
    return buffer.getvalue()


def in_base64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.fixture
def detectors() -> dict[str, Detector]:
    return {"first": load("first"), "second": load("second")}


@pytest.fixture
def serving(detectors: dict[str, Detector]) -> Iterator[Serving]:
    """Starts a service with other limits or a key; stops all of them in the end."""
    started: list[TestClient] = []

    def start(limits: Limits | None = None, key: str | None = None) -> TestClient:
        client = TestClient(create_app(detectors, limits, key), raise_server_exceptions=False)
        started.append(client.__enter__())
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()
