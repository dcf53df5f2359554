"""The losses of a training on their way from the device to the host, which waits for none of them.

A GPU works through batches that the host has long sent. To ask it for a loss is to wait until it is done with all of
them, so the losses of several batches are copied at once, and looked at when as many again have been sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vedette.train.together import summed

PATIENCE = {"cuda": 20}  # batches after which losses are read at the latest, by the kind of device; elsewhere at once


@dataclass(frozen=True, kw_only=True)
class Given:
    """A batch as the host knows it before its losses."""

    files: Sequence[str]
    epoch: float  # how far the run is with it
    steps: int  # done before the one that it belongs to
    rate: float  # of learning


@dataclass(frozen=True)
class Reading:
    """A batch's losses once they are known."""

    batch: Given
    losses: dict[str, float]  # this process's share of them
    shown: dict[str, float]  # those of all processes
    stopped: bool  # whether a loss of it, or of a batch before it, was not finite


class Losses:
    """Takes what a device computes of each batch, and gives it as numbers, at most `patience` batches later."""

    def __init__(self, patience: int, processes: int = 1) -> None:
        self.block, self.processes = patience // 2, processes
        self.new: list[tuple[Given, Sequence[str]]] = []
        self.values: list[Tensor] = []
        self.sent: list[tuple[Given, Sequence[str]]] = []
        self.host = torch.zeros(0)
        self.arrived: torch.cuda.Event | None = None

    def add(self, batch: Given, losses: Mapping[str, Tensor], stopped: Tensor) -> None:
        """Takes the losses of a batch and a flag, float32 scalars on one device."""
        self.new.append((batch, list(losses)))
        own = torch.stack(list(losses.values())).detach()
        self.values.append(torch.cat([own, summed(own, self.processes) / self.processes, stopped[None]]))

    def read(self) -> list[Reading]:
        """The next readings, where enough batches have been added since."""
        if not self.new or len(self.new) < self.block:
            return []
        before = self._receive()
        self._send()
        return before if self.block else self._receive()

    def rest(self) -> list[Reading]:
        """All readings that are left; waits for them."""
        before = self._receive()
        self._send()
        return before + self._receive()

    def _send(self) -> None:
        self.sent, self.new = self.new, []
        values = torch.cat(self.values or [torch.zeros(0)])
        self.values = []
        if values.is_cuda:
            self.host = torch.empty(values.shape, pin_memory=True).copy_(values, non_blocking=True)
            self.arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.arrived.record()
        else:
            self.host, self.arrived = values.cpu(), None

    def _receive(self) -> list[Reading]:
        if self.arrived is not None:
            self.arrived.synchronize()
        numbers, readings = iter(self.host.tolist()), []
        for batch, names in self.sent:
            losses, shown = ({name: next(numbers) for name in names} for _ in range(2))
            readings.append(Reading(batch, losses, shown, stopped=bool(next(numbers))))
        self.sent, self.host, self.arrived = [], torch.zeros(0), None
        return readings
