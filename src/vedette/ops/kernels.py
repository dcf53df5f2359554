"""Which kernels there are beside PyTorch's: those of `nms_triton` and `bipartite_triton`, and torchvision's."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

INSTALLED = find_spec("triton") is not None  # it comes with PyTorch for CUDA, except on Windows
LIBRARIES = (".so", ".pyd", ".dylib")


def has_kernels(tensor: Tensor) -> bool:
    """Whether the kernels can work on this tensor: it is on a GPU and triton is installed."""
    return INSTALLED and tensor.is_cuda


@cache
def torchvision_nms() -> Callable[[Tensor, Tensor, float], Tensor]:
    """torchvision's NMS of (K, 4) boxes with (K,) scores: the positions of those that stay, best first.

    Its library is loaded without its Python, which imports PyTorch's compiler and takes longer than PyTorch itself.
    """
    spec = find_spec("torchvision")
    folder = Path(spec.origin or "").parent if spec is not None else Path()
    for library in (path for path in sorted(folder.glob("_C*")) if path.suffix in LIBRARIES):
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    kernel: Any = getattr(torch.ops.torchvision, "nms", None)
    if kernel is None:
        from torchvision import ops

        kernel = ops.nms
    found: Callable[[Tensor, Tensor, float], Tensor] = kernel
    return found
