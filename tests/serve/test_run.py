"""The service as a process: signals, overload, bombs, several workers."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve.bombs import all_bombs
from serve.conftest import picture_file
from serve.running import REAL, Client, Server, running
from vedette.cli.main import run
from vedette.infer.detector import Detector
from vedette.infer.load import load

PICTURE = picture_file(640, 480)
MODEL = "refinedet320-lite0"
MOST_GROWTH = 150 << 20  # bytes; each of the bombs promises gigabytes


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for the tests below, the last of which stops it: it takes seconds to begin."""
    with running(MODEL, "--batch-size", "2", waits=0.02) as server:
        yield server


def test_bombs_are_answered_in_memory_that_does_not_grow(server: Server) -> None:
    server.ask("POST", "/detect", PICTURE)
    before = server.memory()
    for name, bomb in all_bombs().items():
        status, body, _ = server.ask("POST", "/detect", bomb)
        assert status in (400, 413), (name, body)
        assert len(bomb) < 10 << 20
        assert server.memory() - before < MOST_GROWTH, name


def test_more_than_there_is_room_for_is_told_when_to_come_again(server: Server) -> None:
    with ThreadPoolExecutor(24) as clients:
        answers = [clients.submit(server.ask, "POST", "/detect", PICTURE) for _ in range(48)]
        told = [answer.result() for answer in answers]
    assert {status for status, _, _ in told} == {200, 429}
    assert all(int(headers["retry-after"]) >= 1 for status, _, headers in told if status == 429)


def test_under_load_it_loses_nothing_when_it_is_stopped(server: Server) -> None:
    before = answered(server)
    clients = [Client(server, PICTURE) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(2)
    code, said = server.stop(signal.SIGTERM)
    for client in clients:
        client.join(30)
    statuses = [status for client in clients for status in client.statuses]
    assert code == 143
    assert set(statuses) == {200, 429}
    assert said == f"accepted {before + statuses.count(200)}\n"
    assert statuses.count(200) > 8


def answered(server: Server) -> int:
    """The requests that had found room, pictures or not."""
    counts = server.ask("GET", "/metrics")[1].decode()
    of_detect = re.findall(r'vedette_requests_total\{path="/detect",status="(\d+)"\} (\d+)', counts)
    return sum(int(count) for status, count in of_detect if status != "429")


def test_a_port_that_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", MODEL, "--port", str(port)]) == 2
        assert f"127.0.0.1:{port}: cannot be listened on (Address already in use)" in capfd.readouterr().err


@pytest.mark.slow
def test_several_workers_answer_as_the_detector_does_and_count_together() -> None:
    photo = Path(__file__).parents[2] / "src" / "vedette" / "assets" / "demo" / "chelsea.jpg"
    detector: Detector = load(MODEL, "cpu")
    found = detector.detect(photo)
    with running(MODEL, "--workers", "2", program=REAL) as server:
        for _ in range(6):
            status, body, _ = server.ask("POST", "/detect", photo.read_bytes())
            told = json.loads(body)["detections"]
            assert status == 200
            assert [one["name"] for one in told] == found.names
            assert [side for one in told for side in one["box"]] == pytest.approx(
                found.boxes.flatten().tolist(), abs=0.5
            )
        counts = server.ask("GET", "/metrics")[1].decode()
        assert 'vedette_requests_total{path="/detect",status="200"} 6.0' in counts
        assert server.stop(signal.SIGTERM)[0] == 143
