"""The service under load: latency at half of what it can serve and at four times as much, a stop, memory.

    python benchmarks/serve_load.py [--seconds 20]              # latency, then SIGTERM in the middle of an overload
    python benchmarks/serve_load.py --memory [--requests 20000] # memory after a tenth of the requests, and in the end

The server is a process of its own on this machine, and so are the clients, which take their share of its cores.
Requests come when they are due, whether or not those before are answered; a latency is reckoned from the time at which
the request was due. Memory is measured on a small network, whose requests take milliseconds: all but the network's own
arithmetic is the same. The exit code is 1 where the ratio is more than 2, memory changes by more than 2 %, or an
accepted request has no answer.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

PHOTO = Path(__file__).parents[1] / "src" / "vedette" / "assets" / "demo" / "chelsea.jpg"
CONNECTIONS = 64  # at most this many requests are open
SETTLED = 0.1  # of the requests, after which memory counts
MOST_RATIO, MOST_GROWTH = 2.0, 0.02
MODEL = "refinedet320-lite0"
SMALL = "refinedet320-timm/test_efficientnet"
NARROW = {"num_classes": 2, "tcb_channels": 8, "extra_channels": (8, 16), "image_size": 64}
TOLD = """
import atexit
from vedette.serve.service import Service
find, accepted = Service.find, []
async def counted(self, model, pictures, score):
    self.room.check(len(pictures))
    accepted.append(len(pictures))
    return await find(self, model, pictures, score)
Service.find = counted
atexit.register(lambda: print(len(accepted), flush=True))
from vedette.cli.main import main
main()
"""  # the command line, which says in the end how many requests had found room
Use = Callable[["Client", "subprocess.Popen[str]"], Awaitable[bool]]


@dataclass
class Load:
    """What came of requests: statuses, and milliseconds by status."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.setdefault(status, []).append(1000 * seconds)

    def percentile(self, share: float, status: int = 200) -> float:
        return float(np.percentile(self.latencies.get(status, [float("nan")]), share))


class Client:
    """Posts one photograph over connections that stay open."""

    def __init__(self, port: int, body: bytes) -> None:
        self.port = port
        head = ("POST /detect HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "", "")
        self.request = "\r\n".join(head).encode() + body
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.open = asyncio.Semaphore(CONNECTIONS)
        self.answered = 0  # with 200

    async def post(self) -> int:
        """The status; 0 where there is no server any more, or it closes before it has taken the request in."""
        async with self.open:
            try:
                status = await self.ask(*await self.connection())
            except (OSError, asyncio.IncompleteReadError):
                return 0
        self.answered += status == 200
        return status

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """The status; the connection stays open for the next."""
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self.idle.append((reader, writer))
        return int(head.split()[1])

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that the server has not closed, as it does with those that are idle for long."""
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def at_rate(self, rate: float, seconds: float) -> Load:
        """So many requests a second, at times by chance, as those of clients who know nothing of one another."""
        load, start = Load(), time.perf_counter()
        times = np.random.default_rng(0).exponential(1 / rate, int(rate * seconds)).cumsum()

        async def one(due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            load.add(await self.post(), time.perf_counter() - due)

        await asyncio.gather(*(one(start + float(due)) for due in times))
        load.seconds = time.perf_counter() - start
        return load

    async def as_fast(self, requests: int, at_once: int) -> Load:
        """So many requests, each of `at_once` clients waiting for its answer."""
        load, start, left = Load(), time.perf_counter(), iter(range(requests))

        async def one() -> None:
            for _ in left:
                began = time.perf_counter()
                load.add(await self.post(), time.perf_counter() - began)

        await asyncio.gather(*(one() for _ in range(at_once)))
        load.seconds = time.perf_counter() - start
        return load


def memory(process: int) -> float:
    """MB that a process has in memory."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


async def latency(client: Client, server: "subprocess.Popen[str]", seconds: float) -> bool:
    """Prints the table, then stops the server; whether both are as they should be."""
    await client.as_fast(20, 4)
    full = await client.as_fast(max(40, int(seconds * 4)), 4)
    rate = full.statuses[200] / full.seconds
    print(f"rate that it can serve, four clients that wait: {rate:.1f} requests a second\n")
    print("| load | requests a second | 200 | 429 | p50 ms | p99 ms | p99 of 429 ms |\n|---|---|---|---|---|---|---|")
    p99 = {}
    for share in (0.5, 1.0, 4.0):
        load = await client.at_rate(share * rate, seconds)
        p99[share] = load.percentile(99)
        cells = (f"{load.percentile(50):.0f}", f"{p99[share]:.0f}", f"{load.percentile(99, 429):.0f}")
        counts = (str(load.statuses[200]), str(load.statuses[429]))
        print(f"| {share:g} × | {share * rate:.1f} | " + " | ".join((*counts, *cells)) + " |", flush=True)
    ratio = p99[4.0] / p99[0.5]
    print(f"\np99 at 4 × over p99 at half load: {ratio:.2f}")
    return await stop(client, server, 4 * rate, seconds) and ratio <= MOST_RATIO


async def stop(client: Client, server: "subprocess.Popen[str]", rate: float, seconds: float) -> bool:
    """SIGTERM in the middle of an overload; whether all that were accepted since the start were answered."""
    before = client.answered
    pressing = asyncio.create_task(client.at_rate(rate, seconds))
    await asyncio.sleep(seconds / 2)
    server.send_signal(signal.SIGTERM)
    load = await pressing
    assert server.stdout is not None
    accepted = int(server.stdout.read().split()[-1])
    print(f"SIGTERM at 4 ×: {accepted} requests were accepted since the start, {client.answered} answered,", end=" ")
    print(f"{client.answered - before} of them in this load; {load.statuses[0]} found no server; exit {server.wait()}")
    return accepted == client.answered


async def memory_over(client: Client, server: "subprocess.Popen[str]", requests: int) -> bool:
    """Prints the server's memory after a tenth of the requests and in the end; whether it is the same."""
    settled = int(SETTLED * requests)
    await client.as_fast(settled, 4)
    before = memory(server.pid)
    start = time.perf_counter()
    while client.answered < requests:
        await client.as_fast(min(1000, requests - client.answered), 4)
        rate = (client.answered - settled) / (time.perf_counter() - start)
        left = (requests - client.answered) / rate
        print(f"{client.answered} requests, {rate:.0f} a second, {left:.0f} s left", file=sys.stderr)
    after = memory(server.pid)
    growth = after / before - 1
    print(f"memory after {settled} requests {before:.1f} MB, after {client.answered} {after:.1f} MB ({growth:+.2%})")
    return abs(growth) <= MOST_GROWTH


def served(model: str, options: list[str], use: Use) -> bool:
    """What `use` says of a server, which is stopped in the end."""
    command = [sys.executable, "-c", TOLD, "serve", model, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
            return asyncio.run(once_it_answers(port, server, use))
        finally:
            server.terminate()
            server.communicate()


async def once_it_answers(port: int, server: "subprocess.Popen[str]", use: Use) -> bool:
    """The same, for a server that may not listen yet."""
    while server.poll() is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        break
    return await use(Client(port, PHOTO.read_bytes()), server)


def small_model(folder: str) -> str:
    """A weight file of a network that takes milliseconds."""
    import vedette
    from vedette.weights.files import save_weights

    model = vedette.build(SMALL, **NARROW)
    file = Path(folder) / "small.safetensors"
    save_weights(file, model, name=SMALL, classes=None, input_spec=model.input_spec)
    return str(file)


def main() -> None:
    """Starts a server, measures, stops it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--memory", action="store_true", help="measure memory instead, on a small network")
    parser.add_argument("--requests", type=int, default=20_000, help="for memory")
    parser.add_argument("options", nargs="*", help="of vedette serve, after --")
    given = parser.parse_args()
    if not given.memory:
        good = served(MODEL, given.options, lambda client, server: latency(client, server, given.seconds))
    else:
        with TemporaryDirectory() as folder:
            small = small_model(folder)
            good = served(small, given.options, lambda client, server: memory_over(client, server, given.requests))
    sys.exit(not good)


if __name__ == "__main__":
    main()
