"""State dicts from PyTorch's pickled files, read without running anything that they contain."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.weights.finite import check_finite
from vedette.weights.layouts.arrays import read_arrays

WRAPPERS = ("state_dict", "model")  # what training scripts file the weights under
PARALLEL = "module."  # what DataParallel puts before every name


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name.

    Raises InputError where the file is missing, damaged, asks for more than tensors, or holds no state dict of finite
    weights.
    """
    content = _load(path)
    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {name!r} is a {type(value).__name__}, not a tensor; save the state dict alone")
    tensors = {str(name).removeprefix(PARALLEL): tensor for name, tensor in content.items()}
    check_finite(tensors, path)
    return tensors


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".pkl":
            return read_arrays(path.read_bytes())
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
