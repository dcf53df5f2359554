"""The glass box over HTTP: the page of `vedette explain`, kept apart from the service's own."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient
from torch import Tensor

from cli.upper_left import load
from glass.detectors import detector_of
from serve.conftest import in_base64, picture_file
from vedette.infer.backends.session import Session
from vedette.infer.detector import Detector
from vedette.serve.app import create_app
from vedette.serve.limits import Limits
from vedette.serve.refusal import RefusedError
from vedette.serve.service import Service
from vedette.structures import InputSpec

PICTURE = picture_file(90, 60)


def exported() -> Detector:
    """As from a file of `vedette export`: there is no model in Python."""

    def run(inputs: Mapping[str, Tensor], bf16: bool) -> tuple[Tensor, ...]:
        count = len(inputs["images"])
        none = torch.zeros(count, 1, dtype=torch.int64)
        return torch.zeros(count, 1, 4), torch.zeros(count, 1), none, none

    told: Any = SimpleNamespace(config={}, input_spec=InputSpec(size=64), inputs=("images", "score"), proposals=0)
    return Detector(Session(Path("/secret/model.onnx"), told, run), classes=("a",))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    detectors = {"tiny": detector_of("RefineDet", monkeypatch, tmp_path), "file": exported(), "other": load("other")}
    with TestClient(create_app(detectors, key="secret"), raise_server_exceptions=False) as client:
        client.headers["X-API-Key"] = "secret"
        yield client


def test_the_page_is_that_of_explain_however_the_picture_comes(client: TestClient) -> None:
    sent: tuple[Any, ...] = (
        {"content": PICTURE},
        {"files": {"image": ("photo.jpg", PICTURE)}},
        {"json": {"image": in_base64(PICTURE)}},
    )
    for how in sent:
        answer = client.post("/explain?score=0.02", **how)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<title>What tiny finds in the picture</title>" in answer.text
        assert "with a score of 0.02 or more" in answer.text
        assert 'content="Vedette"' in answer.text


def test_its_scripts_have_an_origin_of_their_own(client: TestClient) -> None:
    """They stand in the page, so what they may do must not be what the service's page may."""
    for answer in (client.post("/explain", content=PICTURE), client.get("/page/glass.html")):
        rules = answer.headers["content-security-policy"].split("; ")
        assert "sandbox allow-scripts" in rules  # and not allow-same-origin
        assert "default-src 'none'" in rules
        assert not any(rule.startswith(("connect-src", "frame-src")) for rule in rules)
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get("/").headers["content-security-policy"]
    assert "script-src 'self';" in page
    assert "sandbox" not in page


@pytest.mark.parametrize(
    ("path", "content", "status", "why"),
    [
        ("/explain?model=file", PICTURE, 400, "file: an exported file shows no steps; serve the weights it was made"),
        ("/explain?model=other", PICTURE, 400, "UpperLeft has no `find` whose record could be told; docs/own.md"),
        ("/explain?model=none", PICTURE, 404, "no model none; there are tiny, file, other"),
        ("/explain?score=2", PICTURE, 422, "score: Input should be less than or equal to 1"),
        ("/explain", b"none", 400, "not a picture in a format that is read here"),
        ("/explain", PICTURE[:-20], 400, "the image: a truncated or damaged image"),
    ],
)
def test_what_is_refused_is_told_in_one_line(
    client: TestClient, path: str, content: bytes, status: int, why: str
) -> None:
    answer = client.post(path, content=content)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(why)
    assert client.post("/explain", content=PICTURE).status_code == 200  # and the next is answered


def test_it_needs_the_key_and_keeps_the_limits(client: TestClient) -> None:
    assert client.post("/explain", content=PICTURE, headers={"X-API-Key": "wrong"}).status_code == 401
    assert client.get("/page/glass.html", headers={"X-API-Key": ""}).status_code == 200
    assert client.post("/explain", content=b"x" * ((20 << 20) + 1)).status_code == 413


def test_the_page_is_told_which_models_can_be_explained(client: TestClient) -> None:
    assert '"explained": ["tiny", "other"]' in client.get("/").text


def test_one_at_a_time_and_it_takes_a_pictures_room() -> None:
    async def main() -> None:
        service = Service({"first": load("first")}, Limits(batch=1, queue=2))
        async with service.running():
            begun = asyncio.get_running_loop().create_future()
            loop, goes_on = asyncio.get_running_loop(), asyncio.Event()

            def work(picture: object) -> str:
                loop.call_soon_threadsafe(begun.set_result, None)
                asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(20)
                return "done"

            first = asyncio.create_task(service.alone(PICTURE, work))
            await begun
            assert service.room.pictures == 1
            with pytest.raises(RefusedError) as busy:
                await service.alone(PICTURE, work)
            assert busy.value.status_code == 429
            goes_on.set()
            assert await first == "done"
            assert service.room.pictures == 0
            with pytest.raises(RefusedError):
                await service.alone(b"none", work)
            with service.room.hold(2), pytest.raises(RefusedError) as full:
                await service.alone(PICTURE, work)
            assert full.value.status_code == 429
            assert await service.alone(PICTURE, lambda picture: picture.size) == (90, 60)

    asyncio.run(main())
