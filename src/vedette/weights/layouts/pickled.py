"""State dicts from PyTorch's pickled files, read without running anything that they contain."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import Unpickler, UnpicklingError
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor

from vedette.errors import InputError

WRAPPERS = ("state_dict", "model")  # what training scripts file the weights under
PARALLEL = "module."  # what DataParallel puts before every name


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name.

    Raises InputError where the file is missing, damaged, asks for more than tensors, or holds no state dict.
    """
    content = _load(path)
    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {name!r} is a {type(value).__name__}, not a tensor; save the state dict alone")
    return {str(name).removeprefix(PARALLEL): tensor for name, tensor in content.items()}


class _ArraysAlone(Unpickler):
    """Reads numpy arrays in plain containers, and nothing that runs code of the file's choosing."""

    ALLOWED = ("_reconstruct", "scalar", "ndarray", "dtype")

    def find_class(self, module: str, name: str) -> Any:
        """numpy's own few; raises UnpicklingError for everything else, as torch does."""
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes the bytes of an array for Python 2
            return super().find_class(module, name)
        raise UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")


def _load_arrays(path: Path) -> Any:
    """The content of a plain pickle, as detectron2's zoo has them: {"model": {name: array}}, arrays as tensors."""
    with path.open("rb") as file:
        content = _ArraysAlone(file, encoding="latin1").load()
    held = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(held, dict):
        return held
    return {name: torch.from_numpy(value) if isinstance(value, ndarray) else value for name, value in held.items()}


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".pkl":
            return _load_arrays(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnpicklingError as error:
        asked = re.search(r"Unsupported \w+:? (?:GLOBAL )?([A-Za-z_][\w.]*)", str(error))
        if asked is None:
            raise InputError(f"{path}: not a PyTorch checkpoint") from None
        raise InputError(
            f"{path}: needs {asked[1]} to be read, and pickled code is not run here; save model.state_dict() alone"
        ) from None
    except Exception:  # whatever a damaged file makes the readers raise
        raise InputError(f"{path}: a damaged PyTorch checkpoint, or none at all") from None
