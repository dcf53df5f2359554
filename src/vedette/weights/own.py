"""A detector that did not come with Vedette: a function that a user, or a weight file that is trusted, names."""

import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from vedette.backbones.backbone import Backbone, Classifier
from vedette.errors import InputError, likely
from vedette.structures import InputSpec
from vedette.weights.faults import modules

WANTED = "a detector has config, input_spec, class_layers, forward, loss and detect (docs/own.md)"


def build_own(name: str, fields: Mapping[str, Any]) -> nn.Module:
    """What the function of that name, `module:function`, makes of the fields, `num_classes` among them.

    The module is looked for in the current folder too. Raises InputError where there is none such, and where what comes
    of it is no detector; what its own code raises comes through, and `faults.fault_of` tells where.
    """
    module, _, function = name.partition(":")
    modules.add(module)
    here = _look_here()
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that the module itself imports
        if module.endswith(".py"):
            meant = f"{module.removesuffix('.py')}:{function}"
            raise InputError(f"{name}: write {meant}, without .py, in the folder of that file") from None
        where = f"in {here} or among the packages; go to the folder of {module.partition('.')[0]}.py, or install it"
        raise InputError(f"{name}: there is no module {error.name} {where}") from None
    except SystemExit:
        raise InputError(
            f"{name}: {module} ends the program when it is imported; put what it does as a script under "
            'if __name__ == "__main__":'
        ) from None
    builder = getattr(found, function, None)
    if not callable(builder):
        meant = likely(function, (one for one in dir(found) if callable(getattr(found, one))))
        raise InputError(f"{name}: {module} ({_place_of(found)}) has no function {function}{meant}")
    try:
        signature(builder).bind(**fields)
    except TypeError as error:
        raise InputError(f"{name}: {error}; write def {function}(**fields), of which num_classes is one") from None
    return _checked(builder(**fields), name)


def _place_of(module: ModuleType) -> str:
    """Its file, or the folder that was taken for a package."""
    return getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "built in")


def code_of(name: str) -> bytes:
    """What stands in the file of the module of `module:function`; nothing where none is found. It is not run."""
    _look_here()
    try:
        spec = find_spec(name.partition(":")[0])
    except (ImportError, ValueError):
        return b""
    return Path(spec.origin).read_bytes() if spec is not None and spec.origin and spec.has_location else b""


def takes_imagenet(model: Any) -> bool:
    """Whether its backbone is one of ours, that can be given ImageNet's weights."""
    return isinstance(getattr(model, "backbone", None), Backbone | Classifier)


def _look_here() -> str:
    """Has modules looked for in the current folder, too, where no package has them."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    return here


def _checked(model: Any, name: str) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise InputError(f"{name}: gives a {type(model).__name__}, not a torch.nn.Module; {WANTED}")
    wanted = {
        "config": is_dataclass(getattr(model, "config", None)),
        "config.num_classes": isinstance(getattr(getattr(model, "config", None), "num_classes", None), int),
        "input_spec": isinstance(getattr(model, "input_spec", None), InputSpec),
        "class_layers": isinstance(getattr(model, "class_layers", None), tuple),
        "loss": callable(getattr(model, "loss", None)),
        "detect": callable(getattr(model, "detect", None)),
    }
    missing = [part for part, there in wanted.items() if not there]
    if missing:
        raise InputError(f"{name}: its {type(model).__name__} lacks {', '.join(missing)}; {WANTED}")
    return model
