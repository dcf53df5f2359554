"""vedette detect --ray: a large collection, in parts, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.batch import GO_ON, check_same
from vedette.cli.choices import Given
from vedette.cli.looking import tell_thresholds
from vedette.cli.places import check_folder
from vedette.cli.progress import Progress
from vedette.data.findings import shown
from vedette.data.values import counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.collection import Collection

PACKAGES = ("ray", "pyarrow", "pandas")
OF_RAY = {"ray_address": "--ray-address", "ray_workers": "--ray-workers"}  # parameters of vedette detect
NOT_OF_RAY = {"as_json": "--json"} | {
    name: f"--{name}" for name in ("graphs", "every", "track", "backend", "fp32", "classes", "tiles", "overlap", "save")
}
FAULTS = 20  # that are told one by one


@dataclass(frozen=True, kw_only=True)
class WantedCollection:
    """What the command's options ask for."""

    files: Sequence[Path]
    out: Path
    weights: Path
    settings: Mapping[str, Any]  # model, weights' checksum, score, bf16, nms, scales, flip, vote
    batch_size: int
    device: str | None
    trust: bool
    resume: bool
    overwrite: bool
    address: str | None
    workers: int | None


def wanted_of(
    files: Sequence[Path], weights: Path, settings: Mapping[str, Any], values: Mapping[str, Any]
) -> WantedCollection:
    """values: the command's options by the names of their parameters."""
    same = {name: values[name] for name in ("out", "batch_size", "device", "trust", "resume", "overwrite")}
    place = {"address": values["ray_address"], "workers": values["ray_workers"]}
    return WantedCollection(files=files, weights=weights, settings=settings, **same, **place)


def check_options(given: Given) -> None:
    """Raises InputError for options that do not go together, and where Ray is missing."""
    ray = "ray" in given
    wrong = [option for name, option in (NOT_OF_RAY if ray else OF_RAY).items() if name in given]
    if wrong:
        raise InputError(f"{wrong[0]}: {'not of' if ray else 'goes with'} --ray; {'leave it out' if ray else 'add it'}")
    missing = [name for name in PACKAGES if ray and find_spec(name) is None]
    if missing:
        raise InputError(f'--ray needs {missing[0]}: pip install "vedette[scale]"')


def detect_on_ray(wanted: WantedCollection) -> None:
    """Parquet files in `wanted.out`, a row a picture; exit code 1 where pictures could not be looked at.

    Raises InputError for a folder that will not do, and for a detector or a cluster that there is not.
    """
    from vedette.infer.collection import Job, Looker, divided
    from vedette.infer.on_ray import look_at, ray_started, workers_of

    before = _before(wanted)
    job = Job(
        wanted.out.resolve(),
        str(wanted.weights.resolve()),
        wanted.settings,
        wanted.device,
        wanted.trust,
        wanted.batch_size,
    )
    detector = Looker(job).detector  # whatever is wrong with it is told here, and not by each worker
    if wanted.settings["score"] == "default":
        tell_thresholds(detector)
    with ray_started(wanted.address) as ray:
        workers = workers_of(ray, wanted.workers, wanted.device)
        files = [str(file) for file in wanted.files]
        collection = before or divided(job.out, files, wanted.settings, workers.count)
        collection.write()
        done = len(collection.files) - sum(len(collection.files_of(part)) for part in collection.left())
        try:
            with Progress(len(collection.files), "images") as progress:
                progress.advance(done)
                for pictures in look_at(ray, collection, job, workers):
                    progress.advance(pictures)
                    done += pictures
        except (InputError, KeyboardInterrupt, SystemExit):
            typer.echo(f"done: {done} of {counted(len(collection.files), 'picture')}; {GO_ON}", err=True)
            raise
    _tell(wanted.out, collection)


def _before(wanted: WantedCollection) -> Collection | None:
    """The collection to go on with; None to begin anew, where one of before is removed.

    Raises InputError for one of before that is neither to be gone on with nor to be written over, and for another.
    """
    from vedette.infer import collection

    if wanted.resume and wanted.overwrite:
        raise InputError("--resume goes on with a run, --overwrite begins one anew: give one of them")
    check_folder("--out", wanted.out, files=[collection.RECORD])
    before = collection.read(wanted.out.resolve())
    if before is None:
        strange = sorted(wanted.out.glob("part-*.parquet"))
        if strange:
            raise InputError(f"--out {wanted.out}: {strange[0].name} is not of this command; give another folder")
        return None
    if wanted.resume:
        check_same(wanted.out, dict(before.settings), dict(wanted.settings))
        new, old = set(map(str, wanted.files)) - set(before.files), set(before.files) - set(map(str, wanted.files))
        if new or old:
            said = f"{counted(len(new), 'picture')} more and {len(old)} fewer than when {wanted.out} was begun"
            raise InputError(f"--resume: {said}; give the same, and what is new another --out")
        return before
    if not wanted.overwrite:
        done = f"{before.count - len(before.left())} of {counted(before.count, 'part')}"
        raise InputError(
            f"--out {wanted.out}: a run is there, with {done} done; go on with --resume, begin anew with --overwrite, "
            "or give another folder"
        )
    for part in range(before.count):
        before.path(part).unlink(missing_ok=True)
    return None


def _tell(out: Path, collection: Collection) -> None:
    """Counts what is in the files, and says why pictures could not be looked at."""
    from vedette.infer.parquet import count_found

    told = [count_found(collection.path(part)) for part in range(collection.count)]
    found, faults = sum(count for count, _ in told), [fault for _, own in told for fault in own]
    for fault in faults[:FAULTS]:
        typer.echo(f"error: {shown(fault)}", err=True)
    if len(faults) > FAULTS:
        typer.echo(f"error: and {len(faults) - FAULTS} more, in the column `error`", err=True)
    pictures = len(collection.files) - len(faults)
    typer.echo(f"{counted(pictures, 'image')}, {counted(found, 'detection')}: see {shown(str(out))}/part-*.parquet")
    if faults:
        raise typer.Exit(1)
