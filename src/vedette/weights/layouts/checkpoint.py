"""A foreign checkpoint in our terms, and what keeps it from fitting a model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from vedette.errors import InputError

SHOWN = 3  # faults named in one line


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The tensors of a foreign file under our names, and what the file does not say but its results depend on."""

    tensors: dict[str, Tensor]
    origin: dict[str, str]  # our name → what the file calls it
    faults: list[str]  # missing and unexpected tensors
    models: tuple[str, ...]  # the names of the detectors that these tensors can be of
    num_classes: int  # without background
    config: dict[str, Any]  # the detector's fields, where they differ from its own
    input: dict[str, Any]  # InputSpec's fields, likewise
    classes: tuple[str, ...] | None = None  # their names, where the file has them
    layout: str = ""  # what it was read as
    notes: tuple[str, ...] = ()  # for whoever imports it


class Piece(NamedTuple):
    """One of our tensors, and the file's tensors that it is made of."""

    name: str
    sources: tuple[str, ...]
    make: Callable[..., Tensor]


class Assembled(NamedTuple):
    """What `assemble` gives: the first three fields of a Checkpoint."""

    tensors: dict[str, Tensor]
    origin: dict[str, str]
    faults: list[str]


def assemble(pieces: Sequence[Piece], weights: Mapping[str, Tensor]) -> Assembled:
    """Makes the pieces from a file's `weights`; lists those that cannot be made and the weights that nothing needs."""
    tensors: dict[str, Tensor] = {}
    needed = list(dict.fromkeys(source for piece in pieces for source in piece.sources))
    faults = [f"missing {source}" for source in needed if source not in weights]
    faults += [f"unexpected {source}" for source in weights if source not in set(needed)]
    for name, sources, make in pieces:
        if all(source in weights for source in sources):
            try:
                tensors[name] = make(*(weights[source] for source in sources))
            except RuntimeError:  # sizes that differ among the sources
                shapes = ", ".join(f"{source} {tuple(weights[source].shape)}" for source in sources)
                faults.append(f"these shapes do not belong together: {shapes}")
    return Assembled(tensors, {name: sources[0] for name, sources, _ in pieces if sources}, faults)


def weights_and_biases(modules: Iterable[tuple[str, str]]) -> Iterator[Piece]:
    """The pieces of modules, ours and theirs, whose weight and bias are the file's as they are."""
    for ours, theirs in modules:
        yield from layer_pieces(ours, theirs)


def layer_pieces(ours: str, theirs: str, parts: tuple[str, ...] = ("weight", "bias")) -> list[Piece]:
    """The pieces of one layer, the file's tensors as they are."""
    return [Piece(f"{ours}.{part}", (f"{theirs}.{part}",), as_it_is) for part in parts]


def check_fit(checkpoint: Checkpoint, expected: Mapping[str, Tensor], source: object, model: str) -> None:
    """Raises InputError, one line with the first faults, unless the tensors are exactly the `expected` ones."""
    faults = list(checkpoint.faults)
    for name, tensor in checkpoint.tensors.items():
        if name not in expected:
            faults.append(f"unexpected {checkpoint.origin.get(name, name)}")
        elif tensor.shape != expected[name].shape:
            shape, right = tuple(tensor.shape), tuple(expected[name].shape)
            faults.append(f"{checkpoint.origin[name]} has shape {shape}, not {right}")
        elif expected[name].is_floating_point() and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            faults.append(f"{checkpoint.origin[name]} is {kind}, as of a quantized network; save float weights")
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise InputError(f"{source} does not fit {model}: {'; '.join(faults[:SHOWN])}{more}")


def count_classes(bias: Tensor | None, anchors: int) -> int:
    """Foreground classes by the bias of a softmax head for `anchors` a cell; 20 where the file has no such bias."""
    return 20 if bias is None else max(1, bias.numel() // anchors - 1)


def as_it_is(tensor: Tensor) -> Tensor:
    """For pieces that are one of the file's tensors."""
    return tensor
