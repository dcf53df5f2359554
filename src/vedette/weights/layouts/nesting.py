"""Where in a checkpoint the weights are: below which keys, and behind which prefix of their names.

Training programs file a state dict under keys of their own ("model", "state_dict", "ema" …, one in another), and what
wraps a model puts a prefix before its names ("module.", "_orig_mod.", Lightning's "model." …). Neither is listed here
by name: the weights are where the tensors are that a layout has, and what stands before their names is the prefix.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from vedette.weights.layouts.arrays import Array
from vedette.weights.layouts.inert import Made, Names
from vedette.weights.layouts.modules import is_module, state_dict_of
from vedette.weights.layouts.torch_files import Stored

WRAPPED = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
OF_TRAINING = re.compile(r"optim|lr_sched|scheduler|scaler|loops$|callbacks$", re.IGNORECASE)  # tensors, no weights
AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|averaged?)($|[._])", re.IGNORECASE)
COUNTERS = ("n_averaged", "steps")  # of torch's and mmengine's averaged models, beside the model's own names
DEEPEST, LONGEST = 8, 300  # keys in one another, letters of a name
HOLDERS = (Mapping, Made, list, tuple)  # of weights, or of what holds some
TOP = "."  # the name of what lies under no key and behind no prefix


class Weights(NamedTuple):
    """One of the state dicts in a file."""

    place: str  # its keys and prefix: what `--key` is given
    tensors: dict[str, Any]  # by name, prefix taken off; whatever else is among them too
    copies: tuple[str, ...] = ()  # other places of the same tensors

    @property
    def averaged(self) -> bool:
        """Whether its name says that it is an average over a training."""
        return bool(AVERAGED.search(self.place))


def weights_in(content: Any, has: str | None = None) -> list[Weights]:
    """The state dicts of a file's content; with `has`, those with a tensor whose whole name that expression is."""
    found: list[Weights] = []
    for place, held in _state_dicts(content):
        names = _unwrapped(held)
        prefixes = [""] if has is None else _prefixes(names, has)
        for prefix in prefixes:
            others = tuple(other for other in prefixes if other.startswith(prefix) and other != prefix)
            mine = {n: t for n, t in names.items() if n.startswith(prefix) and not (others and n.startswith(others))}
            tensors = {name[len(prefix) :]: tensor for name, tensor in mine.items()}
            found.append(Weights(".".join([*place, *prefix.split(".")]).strip(".") or TOP, tensors))
    return _without_copies(found)


def is_tensor(value: Any) -> bool:
    """Whether it is one, or will be."""
    return isinstance(value, Stored | Array | Tensor)


def _state_dicts(content: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Everything in dicts, lists and objects in one another that holds tensors by name, and the keys to it."""
    seen: set[int] = set()
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), content)])
    while waiting:
        place, value = waiting.popleft()
        if id(value) in seen or len(place) > DEEPEST:
            continue
        seen.add(id(value))
        if is_module(value):
            yield place, state_dict_of(value)
            continue
        pairs = _held_by(value)
        if any(is_tensor(one) for one in pairs.values()):
            yield place, pairs
        inner = ((name, one) for name, one in pairs.items() if isinstance(one, HOLDERS) and _is_name(name))
        waiting += [((*place, name), one) for name, one in inner if not OF_TRAINING.search(name)]


def _held_by(value: Any) -> Mapping[str, Any]:
    """What lies in it by name: of a list its places, of an inert object its attributes too."""
    if isinstance(value, Made):
        attributes = value.state if isinstance(value.state, Names) else {}
        return {**attributes, **value.pairs}
    if isinstance(value, list | tuple):
        return {str(place): one for place, one in enumerate(value) if isinstance(one, HOLDERS)}
    return value if isinstance(value, Mapping) else {}


def _is_name(text: str) -> bool:
    """Of a tensor or a key, in a file that somebody means to be read: it can be said in a line."""
    return text.isprintable() and len(text) <= LONGEST


def _unwrapped(held: Mapping[str, Any]) -> dict[str, Any]:
    """By names without what wraps a module, wherever it stands; as they are where two would then be the same.

    Tensors, and whatever else has the name of one: with a dot.
    """
    held = {name: one for name, one in held.items() if _is_name(name) and (is_tensor(one) or "." in name)}
    names = {WRAPPED.sub("", name): one for name, one in held.items()}
    if len(names) < len(held):
        return held
    return {name: one for name, one in names.items() if name not in COUNTERS}


def _prefixes(names: Mapping[str, Any], has: str) -> list[str]:
    """What stands before the names of the tensors that a layout has."""
    matches = (re.fullmatch(rf"((?:.*\.)?)(?:{has})", name) for name in names)
    return list(dict.fromkeys(match[1] for match in matches if match))


def _without_copies(found: list[Weights]) -> list[Weights]:
    """The same tensors under two keys are one state dict."""
    kept: dict[tuple[tuple[str, int], ...], Weights] = {}
    for one in found:
        first = kept.setdefault(key := tuple((name, id(tensor)) for name, tensor in one.tensors.items()), one)
        kept[key] = first if first is one else first._replace(copies=(*first.copies, one.place))
    return list(kept.values())
