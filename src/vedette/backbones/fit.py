"""Whether given tensors are the ones that a backbone takes."""

from collections.abc import Mapping

from torch import Tensor


def check_fit(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], whose: str) -> None:
    """Raises ValueError naming the first tensor of `wanted` that `given` lacks or has in another shape."""
    for name, tensor in wanted.items():
        if name not in given:
            raise ValueError(f"these weights are not {whose}: {name} is missing")
        if given[name].shape != tensor.shape:
            shapes = f"{tuple(given[name].shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"these weights are not {whose}: {name} has shape {shapes}")
