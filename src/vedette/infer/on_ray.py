"""Parts of a collection through Ray Data: workers here or on a cluster, each of which loads the detector once."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vedette.errors import InputError
from vedette.infer.collection import Collection, Job, Looker, absolute

CORES = 4  # of a CPU for a worker, where there are so many
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}  # it reports nothing, and logs to files
STORE = 100 << 20  # bytes of memory that the processes of one machine share: names and counts alone go through it


@dataclass(frozen=True)
class Workers:
    """How many there are, and the cores and GPUs that each has for itself."""

    count: int
    cores: int
    gpus: int = 0


@contextmanager
def ray_started(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected: to a cluster's address ("auto": the one that this machine is of), or on its own.

    Nothing is reported to anyone, and there is no dashboard. Raises InputError where there is no cluster.
    """
    os.environ |= QUIET
    with _own_signals():
        import ray
        import ray.data

        own: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": STORE}
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # Ray raises bare ones too
            why = (str(error).splitlines() or [type(error).__name__])[0]
            where = f"--ray-address {address}: no Ray cluster answers" if address else "Ray does not start here"
            raise InputError(f"{where} ({why})") from None
    try:
        _be_quiet(ray)
        yield ray
    finally:
        ray.shutdown()


def workers_of(ray: Any, wanted: int | None, device: str | None) -> Workers:
    """Those that fit: one a GPU where there are GPUs, else one for every CORES cores; or as many as are wanted.

    Raises InputError for more than there are GPUs, or cores.
    """
    here: Mapping[str, float] = ray.cluster_resources()
    cores, gpus = max(1, int(here.get("CPU", 1))), int(here.get("GPU", 0))
    on_gpus = gpus > 0 and (device is None or device.startswith("cuda"))
    most, kind = (gpus, "GPUs") if on_gpus else (cores, "cores")
    if wanted is not None and wanted > most:
        raise InputError(f"--ray-workers {wanted}: Ray has {most} {kind} here; give no more")
    if on_gpus:
        return Workers(wanted or gpus, 1, 1)
    count = wanted or max(1, cores // CORES)
    return Workers(count, min(CORES, cores // count))


def look_at(ray: Any, collection: Collection, job: Job, workers: Workers) -> Iterator[int]:
    """Does the parts that are left, in any order; gives how many pictures each had, as it is done.

    Raises InputError where Ray gives up: what is done stays.
    """
    parts = collection.left()
    if not parts:
        return
    items = [{"part": part, "files": _packed(collection, part)} for part in parts]
    told = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Worker,
        fn_constructor_args=(job, workers.cores),
        compute=ray.data.ActorPoolStrategy(size=min(workers.count, len(parts))),
        batch_size=1,
        num_cpus=workers.cores,
        num_gpus=workers.gpus or None,
    )
    try:
        for row in told.iter_rows():
            yield int(row["pictures"])
    except (ray.exceptions.RayError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise InputError(f"Ray gave up ({lines[-1]}); what is done is kept") from None


class _Worker:
    """What Ray keeps in a process of its own, and hands parts to."""

    def __init__(self, job: Job, cores: int) -> None:
        import torch

        torch.set_num_threads(cores)
        self.looker = Looker(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One part; Ray hands a batch of one."""
        (part,), (files,) = batch["part"], batch["files"]
        names = [os.fsdecode(name) for name in files]
        pairs = list(zip(names[::2], names[1::2], strict=True))
        self.looker.look(int(part), pairs)
        return {"part": [part], "pictures": [len(pairs)]}


def _packed(collection: Collection, part: int) -> list[bytes]:
    """Name, path, name, path …: as bytes, since a name need not be text."""
    return [os.fsencode(one) for pair in absolute(collection.files_of(part)) for one in pair]


def _be_quiet(ray: Any) -> None:
    """No bars and no words of Ray's on the terminal, where the command's own are."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts a handler of its own in SIGTERM's place, which would end the command with another exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
