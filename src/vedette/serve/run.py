"""The service as processes: this one, or several that share a port. Signals let them finish what they took in."""

import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from vedette.errors import InputError
from vedette.export.backends import Choice, open_choice
from vedette.infer.detector import Detector
from vedette.infer.load import load
from vedette.serve.limits import CONNECTIONS, Limits
from vedette.serve.metrics import FOLDER

PLAN = "VEDETTE_SERVES"  # of the environment: what processes are told by the one that starts them
KEY = "VEDETTE_API_KEY"
START = 120  # seconds that a process may take to begin, on a busy machine
GRACE = 5  # seconds beyond a request's own limit that a stop waits for


@dataclass(frozen=True)
class Plan:
    """What is served, and how; the API key stands in the environment, where no list of processes shows it."""

    models: dict[str, str]  # names that requests give → names or paths for `load`
    limits: Limits
    device: str | None = None
    bf16: bool = False
    trust: bool = False
    workers: int = 1
    choices: Mapping[str, Sequence[Any] | None] = field(default_factory=dict)  # names → the fields of what runs them

    def detectors(self) -> dict[str, Detector]:
        """Raises InputError for one that cannot be loaded."""
        return {name: self._detector(source, self.choices.get(name)) for name, source in self.models.items()}

    def _detector(self, source: str, choice: Sequence[Any] | None) -> Detector:
        if choice is None:
            return load(source, self.device, trust=self.trust)
        return open_choice(Path(source), Choice(*choice), device=self.device, trust=self.trust)


def serve(plan: Plan, listening: socket.socket, loaded: Callable[[dict[str, Detector]], None]) -> None:
    """Answers requests on the socket until a signal comes, which is raised again once all is done.

    loaded: is told the models once they are. Raises InputError for one that cannot be loaded.
    """
    detectors = plan.detectors()  # before several processes are started, each of which would fail
    loaded(detectors)
    if plan.workers == 1:
        uvicorn.Server(_config(_app(plan, detectors), plan)).run([listening])
        return
    del detectors
    with TemporaryDirectory(prefix="vedette-metrics-") as folder:
        os.environ |= {PLAN: json.dumps(asdict(plan)), FOLDER: folder}
        _supervise(_config("vedette.serve.run:app_of_a_worker", plan), listening)


def _supervise(config: uvicorn.Config, listening: socket.socket) -> None:
    """Keeps the processes running until a signal comes; then ends by it, as one process does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    processes, came = Multiprocess(config, [listening]), list[int]()  # which has put its own handlers in their place

    def hear(number: int, frame: FrameType | None) -> None:
        came.append(number)
        processes.signal_queue.append(number)

    for number in before:
        signal.signal(number, hear)
    processes.run()
    for number, handler in before.items():
        signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def app_of_a_worker() -> FastAPI:
    """The application in one of several processes, which share the machine's cores."""
    told = json.loads(os.environ[PLAN])
    plan = Plan(**{**told, "limits": Limits(**told["limits"])})
    torch.set_num_threads(max(1, torch.get_num_threads() // plan.workers))
    return _app(plan, plan.detectors())


def bind(host: str, port: int) -> socket.socket:
    """A socket of that address, on which nothing listens yet; port 0: any that is free.

    Raises InputError for an address that cannot be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise InputError(f"{host}: no address of this machine; give another --host") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"{host}:{port}: cannot be listened on ({error.strerror}); give another --port") from None
    bound.set_inheritable(True)
    return bound


def read_key(file: Path | None) -> None:
    """Puts the key of a file into the environment, over one that is there. Raises InputError for a file without one."""
    if file is not None:
        try:
            os.environ[KEY] = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise InputError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not text'})") from None
    if KEY in os.environ and not os.environ[KEY].strip():
        raise InputError(f"{file or KEY}: holds no key; write one, or leave it out to let everyone in")


def _app(plan: Plan, detectors: dict[str, Detector]) -> FastAPI:
    from vedette.serve.app import create_app  # late: prometheus_client looks at the environment when it is imported

    return create_app(detectors, plan.limits, os.environ.get(KEY), plan.bf16)


def _config(app: FastAPI | str, plan: Plan) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=plan.workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_worker_healthcheck=START,
        timeout_graceful_shutdown=int(plan.limits.seconds) + GRACE,
    )
