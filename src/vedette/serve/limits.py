"""What one process of the service takes on. Beyond it a request is refused; what was accepted is answered."""

from dataclasses import dataclass

READING = 64  # requests whose bodies may arrive at the same time: as many bodies are in memory
CONNECTIONS = 1024  # open at the same time, most of them idle
MOST_TOGETHER = 100_000_000  # pixels of the pictures in memory together: 400 MB, as Pillow keeps them


@dataclass(frozen=True)
class Limits:
    """Numbers a process; several processes take on as much each."""

    batch: int = 4  # pictures that the network looks at together
    queue: int = 5  # pictures accepted and not answered yet, those that are looked at among them
    wait: float = 0.002  # seconds that a batch waits for more pictures
    seconds: float = 30.0  # for a request, from its first byte to its answer
    body: int = 20 << 20  # bytes
    pixels: int = 50_000_000  # of a picture
