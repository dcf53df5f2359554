"""`vedette serve` as a process of its own, and clients that press on it."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.upper_left import WAIT

# The command line with the tests' detector; in the end it says how many requests had found room
PROGRAM = """
import vedette.infer.load
from cli.upper_left import load
vedette.infer.load.load = load
from vedette.serve.room import Room
hold, held = Room.hold, []
def counted(self, pictures):
    self.check(pictures)
    held.append(pictures)
    return hold(self, pictures)
Room.hold = counted
import atexit
atexit.register(lambda: print("accepted", len(held), flush=True))
from vedette.cli.main import main
main()
"""
REAL = "from vedette.cli.main import main; main()"
PATIENCE = 240  # seconds: of a busy machine


class Server:
    """A process, the port that it answers on, and what it said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line
        self.port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if self.ask("GET", "/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not begin to answer")

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and the rest of what it said."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def memory(self) -> int:
        """The most bytes that it had in memory so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


@contextmanager
def running(*options: str, program: str = PROGRAM, waits: float = 0.0) -> Iterator[Server]:
    """A server with these options; stopped in the end."""
    source = Path(__file__).parents[2]
    environment = os.environ | {WAIT: str(waits), "PYTHONPATH": f"{source / 'src'}:{source / 'tests'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", *options, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Server(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)


class Client(threading.Thread):
    """Posts one picture after the other until no connection can be had any more."""

    def __init__(self, server: Server, picture: bytes) -> None:
        super().__init__(daemon=True)
        self.server, self.picture = server, picture
        self.statuses: list[int] = []

    def run(self) -> None:
        while True:
            try:
                self.statuses.append(self.server.ask("POST", "/detect", self.picture)[0])
            except (OSError, http.client.HTTPException):  # refused, or closed before it was taken in
                return
