"""Weight files: safetensors that say themselves which detector they belong to and how its pictures are prepared.

The header's metadata holds strings alone: `vedette` (the version of this format; 2 since timm's maps are normalised,
which a file of version 1 does not know; 3 since a file has a checksum), `name`, `checksum`, and as JSON `config`,
`classes`, `category_ids`, `input_spec`, `extra` and, where they were chosen, `thresholds`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vedette.data.atomic import write_whole
from vedette.errors import InputError
from vedette.structures import InputSpec
from vedette.weights.finite import check_finite
from vedette.weights.header import Header, of_strings, to_strings
from vedette.weights.sealed import check_seal, sealed

FORMAT_KEY, FORMAT_VERSION = "vedette", 3
SEALED_FROM = 3
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")  # torch.save's zip, and bare pickles
PICKLE_SUFFIXES = (".pth", ".pt", ".pkl", ".bin", ".caffemodel")
CHECKPOINTS = ("last.pt", "previous.pt")  # of a training
SHOWN = 3  # tensors that an error names


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightFile(Header):
    """What a weight file holds, tensors on the CPU."""

    path: Path
    version: int  # of the format
    tensors: dict[str, Tensor]
    extra: dict[str, str]


def save_weights(
    path: str | Path,
    model: nn.Module,
    *,
    name: str,
    classes: Sequence[str] | None,
    input_spec: InputSpec,
    category_ids: Sequence[int] | None = None,
    config: Mapping[str, Any] | None = None,
    half: bool = False,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Writes a model to a weight file: whole, or not at all; a file of that name stays until the new one is complete.

    config: what `build(name, **config)` needs; the fields of `model.config` unless given. half: store float16, where
    the values allow it. extra: further facts about the weights.

    Raises InputError where the file cannot be written, and for weights that are not finite.
    """
    settings = asdict(model.config) if config is None else dict(config)  # type: ignore[call-overload]
    header = Header(
        name=name,
        config=settings,
        classes=None if classes is None else tuple(classes),
        category_ids=None if category_ids is None else tuple(category_ids),
        input_spec=input_spec,
    )
    metadata = {FORMAT_KEY: str(FORMAT_VERSION), **to_strings(header), "extra": json.dumps(dict(extra or {}))}
    tensors = {key: _stored(value, half) for key, value in model.state_dict().items()}
    check_finite(tensors, f"{path} is not written")
    content = sealed(tensors, metadata)
    write_whole(Path(path), lambda file: file.write(content))


def read_weights(path: str | Path) -> WeightFile:
    """A weight file.

    Raises InputError for anything else than a whole file of this format, and for weights that are not finite.
    """
    try:
        _refuse_foreign(Path(path))
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            _check_version(path, metadata)
            check_seal(Path(path), needed=int(metadata[FORMAT_KEY]) >= SEALED_FROM)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); copy or download it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    check_finite(tensors, path)
    try:
        return _weight_file(Path(path), metadata, tensors)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: its header is damaged ({reason}); copy or download it again") from None


def load_into(model: nn.Module, weights: WeightFile, leave_out: Iterable[str] = ()) -> None:
    """Copies a file's tensors into a model: all of them, or none where one is missing, too many or of another shape.

    leave_out: beginnings of names whose tensors stay as the model has them.

    Raises InputError that names the first tensors that do not fit.
    """
    model.load_state_dict(check_fit(model, weights, leave_out), strict=False)


def check_fit(model: nn.Module, weights: WeightFile, leave_out: Iterable[str] = ()) -> dict[str, Tensor]:
    """The file's tensors that `load_into` copies; the model may be on the meta device. Raises InputError as it does."""
    prefixes = tuple(leave_out) or "\n"
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(prefixes)}
    given = {key: value for key, value in weights.tensors.items() if not key.startswith(prefixes)}
    faults = [fault for key in sorted(wanted.keys() | given.keys()) if (fault := _fault(key, wanted, given))]
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        reason = "; ".join(faults[:SHOWN]) + more
        raise InputError(f"{weights.path}: does not fit the model (the file is of {weights.name}): {reason}")
    return given


def _stored(tensor: Tensor, half: bool) -> Tensor:
    """A copy of its own on the CPU; in float16 where that is wanted and no value would become infinite."""
    value = tensor.detach().to("cpu", copy=True).contiguous()
    if half and value.is_floating_point():
        halved = value.half()
        if bool((halved.isfinite() == value.isfinite()).all()):
            return halved
    return value


def refuse_checkpoint(path: Path) -> None:
    """Raises InputError for the state of a training of ours, which is no weight file."""
    if path.name in CHECKPOINTS and (path.parent / "run.json").is_file():
        raise InputError(
            f"{path}: a run's state, to go on with by --resume; its weights are best.safetensors beside it"
        )


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a weight file")
    with path.open("rb") as file:
        beginning = file.read(9)
    refuse_checkpoint(path)
    if beginning.startswith(PICKLES) or path.suffix.lower() in PICKLE_SUFFIXES:
        raise InputError(
            f"{path}: a checkpoint of another tool; bring it in with "
            f"`vedette weights import {path} --out FILE.safetensors`"
        )
    if beginning[8:] != b"{":
        raise InputError(f"{path}: not a safetensors file; give a weight file that vedette wrote")


def _check_version(path: str | Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get(FORMAT_KEY)
    if version is None:
        raise InputError(
            f"{path}: a safetensors file of another tool (it does not say which detector it belongs to); "
            f"bring it in with `vedette weights import {path} --out FILE.safetensors`"
        )
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise InputError(f"{path}: format {version}, this vedette reads up to {FORMAT_VERSION}: pip install -U vedette")


def _weight_file(path: Path, metadata: Mapping[str, str], tensors: dict[str, Tensor]) -> WeightFile:
    header, extra = of_strings(metadata), dict(json.loads(metadata["extra"]))
    return WeightFile(**vars(header), path=path, version=int(metadata[FORMAT_KEY]), tensors=tensors, extra=extra)


def _fault(key: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    if key not in given:
        return f"{key} is missing"
    if key not in wanted:
        return f"{key} is not in the model"
    ours, theirs = wanted[key], given[key]
    if ours.shape != theirs.shape:
        return f"{key} is {_shape(theirs)}, the model's is {_shape(ours)}"
    return None


def _shape(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "a number"
