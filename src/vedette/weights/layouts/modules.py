"""The state dict of a module that was pickled whole: its class is not looked up, only what it holds is read."""

from collections.abc import Iterator
from pickle import UnpicklingError
from typing import Any

from vedette.weights.layouts.inert import Made, Names

PARTS = ("_parameters", "_buffers", "_modules")
MOST = 100_000  # modules: some hold one another without end
LONGEST = 300  # letters before a name


def is_module(value: Any) -> bool:
    """Whether an object was a torch.nn.Module."""
    return isinstance(value, Made) and isinstance(value.state, Names) and all(part in value.state for part in PARTS)


def state_dict_of(module: Made) -> Names:
    """Its tensors by the names that `module.state_dict()` gives them; raises UnpicklingError for endless ones."""
    found = Names()
    for number, (prefix, one) in enumerate(_modules(module)):
        if number > MOST:
            raise UnpicklingError("modules without end")
        unsaved = _members(one.state.get("_non_persistent_buffers_set"))
        for part in ("_parameters", "_buffers"):
            for name, tensor in one.state[part].items():
                if tensor is not None and not (part == "_buffers" and name in unsaved):
                    found[f"{prefix}{name}"] = tensor
    return found


def _modules(module: Any) -> Iterator[tuple[str, Made]]:
    """A module and those in it, in their order, with what stands before the names of their tensors."""
    waiting = [("", module)]
    while waiting:
        prefix, one = waiting.pop()
        if is_module(one) and len(prefix) <= LONGEST:
            yield prefix, one
            waiting += [(f"{prefix}{name}.", inner) for name, inner in reversed(one.state["_modules"].items())]


def _members(value: Any) -> list[Any]:
    """Of a set, as old protocols pickle it: its class is given a list."""
    if isinstance(value, Made) and value.given:
        value = value.given[0]
    return value if isinstance(value, list) else []
