"""Whatever is sent, no request ends in a fault of the service."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cli.upper_left import load
from fuzz.mutants import mutant
from serve.bombs import all_bombs
from serve.conftest import in_base64, picture_file
from serve.running import running
from vedette.serve.app import create_app

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def pressed() -> Iterator[TestClient]:
    with TestClient(create_app({"first": load("first")}), raise_server_exceptions=False) as client:
        yield client


def requests() -> list[tuple[str, dict[str, str], bytes]]:
    """Path, headers and body of whole requests of every kind."""
    pictures = [picture_file(kind=kind) for kind in KINDS]
    bodies: list[tuple[str, dict[str, str], bytes]] = [("/detect", {}, picture) for picture in pictures]
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Type: image/jpeg\r\n\r\n'
    bodies += [("/detect/batch", FORM, (part + picture + b"\r\n") * 2 + b"--b--\r\n") for picture in pictures[:2]]
    pixels = {"name": "image", "shape": [2, 2, 3], "datatype": "UINT8", "data": [255] * 12}
    encoded = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [in_base64(pictures[0])]}
    told: list[tuple[str, Any]] = [("/detect", {"image": in_base64(pictures[0])})]
    told += [("/detect/batch", {"images": [in_base64(picture) for picture in pictures[:2]]})]
    told += [("/v2/models/first/infer", {"id": "1", "inputs": [tensor]}) for tensor in (pixels, encoded)]
    return bodies + [(path, JSON, json.dumps(body).encode()) for path, body in told]


def press(client: TestClient, count: int) -> list[int]:
    """The statuses of so many damaged requests."""
    chance, whole = random.Random(0), requests()
    statuses = []
    for number in range(count):
        path, headers, body = whole[number % len(whole)]
        damaged = mutant(body, chance)
        answer = client.post(path, content=damaged, headers=headers)
        assert answer.status_code < 500, (path, headers, damaged, answer.text)
        statuses.append(answer.status_code)
    return statuses


def test_damaged_bodies(pressed: TestClient) -> None:
    for path, headers, body in requests():
        assert pressed.post(path, content=body, headers=headers).status_code == 200
    assert {200, 400} <= {*press(pressed, 260)}


@pytest.mark.slow
def test_ten_thousand_damaged_bodies(pressed: TestClient) -> None:
    assert {200, 400, 413} <= {*press(pressed, 10_000)}


def test_bombs_are_refused(pressed: TestClient) -> None:
    for name, bomb in all_bombs().items():
        answer = pressed.post("/detect", content=bomb)
        assert answer.status_code in (400, 413), name
    assert pressed.post("/detect", content=picture_file()).status_code == 200


@pytest.mark.slow
def test_what_openapi_says_holds() -> None:
    """Schemathesis sends what the description allows, and what it does not; answers must be as described."""
    pytest.importorskip("schemathesis")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    with running("refinedet320-lite0") as server:
        settings = ["--checks", checks, "--max-examples", "50", "--seed", "1", "--generation-database", "none"]
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        told = subprocess.run([*program, "run", address, *settings], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout[-5000:] + told.stderr
