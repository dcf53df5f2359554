"""Where the kernels of `nms_triton` and `bipartite_triton` run."""

from importlib.util import find_spec

from torch import Tensor

INSTALLED = find_spec("triton") is not None  # it comes with PyTorch for CUDA, except on Windows


def has_kernels(tensor: Tensor) -> bool:
    """Whether the kernels can work on this tensor: it is on a GPU and triton is installed."""
    return INSTALLED and tensor.is_cuda
