"""The service under load: latency at half of what it can serve and at four times as much; memory over many requests.

    python benchmarks/serve_load.py [--seconds 20] [--requests 20000]

The server is a process of its own on this machine, and so are the clients, which take their share of its cores.
Requests come when they are due, whether or not those before are answered; a latency is reckoned from the time at which
the request was due.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

PHOTO = Path(__file__).parents[1] / "src" / "vedette" / "assets" / "demo" / "chelsea.jpg"
CONNECTIONS = 64  # at most this many requests are open
SETTLED = 0.1  # of the requests, after which memory counts


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

    async def post(self) -> int:
        async with self.open:
            reader, writer = await self.connection()
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


async def measure(port: int, process: int, seconds: float, requests: int) -> None:
    """Prints the tables."""
    client = Client(port, PHOTO.read_bytes())
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
    print(f"\np99 at 4 × over p99 at half load: {p99[4.0] / p99[0.5]:.2f}\n")
    if requests:
        await client.as_fast(int(SETTLED * requests), 4)
        before = memory(process)
        await client.as_fast(requests - int(SETTLED * requests), 4)
        after = memory(process)
        print(f"memory after {int(SETTLED * requests)} requests {before:.1f} MB, after {requests} {after:.1f} MB")
        print(f"({after / before - 1:+.2%})")


def main() -> None:
    """Starts a server, measures, stops it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--requests", type=int, default=20_000, help="for memory; 0 leaves it out")
    parser.add_argument("options", nargs="*", help="of vedette serve, after --")
    given = parser.parse_args()
    program = "from vedette.cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve", "refinedet320-lite0", "--port", "0", *given.options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().partition("http://127.0.0.1:")[2].partition("/")[0])
        try:
            asyncio.run(_once_it_answers(port, server.pid, given.seconds, given.requests))
        finally:
            server.terminate()


async def _once_it_answers(port: int, process: int, seconds: float, requests: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        break
    await measure(port, process, seconds, requests)


if __name__ == "__main__":
    main()
