"""A GPU that never waits, watched without a GPU: every operation on fake CUDA tensors goes through a mode that knows
which ones make the host wait, and that counts kernels.

What waits: reading a value back, a shape that the data decide (`nonzero`, an index of booleans), and a tensor copied
from the host's pageable memory, be it the constant of `torch.tensor([…], device=…)`. Our own operators are opaque to
PyTorch, so their bodies are run here, on the same fake tensors.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._library.custom_ops import OPDEFS
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PACKAGE = str(Path(__file__).parents[1] / "src")
READ_BACK = {
    *("_local_scalar_dense", "item", "equal", "is_nonzero", "allclose"),
    *("multinomial", "histc", "_linalg_solve_ex", "_linalg_svd", "linalg_inv_ex"),  # whose kernels look at a result
}
SHAPED_BY_DATA = {
    *("nonzero", "nonzero_numpy", "argwhere", "masked_select", "bincount", "nms"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"),
}
NO_KERNEL = {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "lift_fresh"}


class WaitsError(AssertionError):
    """The host would wait; says for which operation and in which line."""


class NeverWaits(TorchDispatchMode):
    """Raises WaitsError at an operation for which the host would wait, and counts those that launch a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.launches = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "vedette":
            with self:
                return OPDEFS[func._schema.name]._init_fn(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        if reason := why_it_waits(name, args, kwargs):
            raise WaitsError(f"{func} {reason}{place_of_the_call()}")
        self.launches += not (func.is_view or name in NO_KERNEL or func.namespace == "prim")
        return func(*args, **kwargs)

    def launched(self, *given: Any, **settings: Any) -> None:
        """Stands in for the launch of a Triton kernel."""
        self.launches += 1


def why_it_waits(name: str, args: Any, kwargs: Any) -> str | None:
    """What is wrong with an operation, if anything is."""
    if name in READ_BACK:
        return "reads a value back"
    if name in SHAPED_BY_DATA or (name == "repeat_interleave" and kwargs.get("output_size") is None):
        return "has a shape that the data decide"
    if name in ("index", "index_put", "index_put_", "_index_put_impl_") and has_booleans(args[1]):
        return "has an index of booleans"
    if name not in ("_to_copy", "copy_") and mixes_devices((args, kwargs)):
        return "takes a tensor of the host"
    if name in ("_to_copy", "copy_") and len(devices_of(name, args, kwargs)) > 1:
        return "copies between the host and the device"
    return None


def mixes_devices(given: Any) -> bool:
    """Tensors of the device beside one of the host, an index for instance; a single number is passed by value."""
    tensors = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
    host = any(tensor.device.type == "cpu" and tensor.ndim > 0 for tensor in tensors)
    return host and any(tensor.is_cuda for tensor in tensors)


def has_booleans(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def devices_of(name: str, args: Any, kwargs: Any) -> set[str]:
    """Where a copy comes from and where it goes."""
    to = args[1].device if name == "copy_" else kwargs.get("device") or args[0].device
    return {args[0].device.type, torch.device(to).type}


def place_of_the_call() -> str:
    """The innermost line of the library that asked for the operation."""
    own = [frame for frame in traceback.extract_stack() if frame.filename.startswith(PACKAGE)]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""


@contextmanager
def never_waiting() -> Iterator[NeverWaits]:
    """The mode, around which Triton launches are counted and nothing asks for a real device."""
    from triton.runtime.jit import JITFunction

    mode = NeverWaits()
    with patch.object(JITFunction, "run", mode.launched), patch("torch.cuda.device_of", nullcontext), mode:
        yield mode


class FakeGPU:
    """Tensors and models that say they are on a GPU, and hold nothing."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode()

    def tensor(self, like: Tensor) -> Tensor:
        """A fake one of the same shape and type."""
        with self.mode:
            return torch.empty(like.shape, dtype=like.dtype, device="cuda")

    def model(self, model: nn.Module) -> nn.Module:
        """The model itself, its parameters and buffers fake from now on."""
        return model._apply(lambda tensor: self.tensor(tensor).requires_grad_(tensor.requires_grad))


def watched(call: Any) -> tuple[Any, int]:
    """What a call gives, and how many kernels it launched; raises WaitsError where the host would wait."""
    with never_waiting() as mode:
        result = call()
    assert not [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.device.type == "cpu"]
    return result, mode.launches
