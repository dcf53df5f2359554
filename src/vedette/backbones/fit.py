"""Whether given tensors are the ones that a backbone takes."""

from collections.abc import Mapping

from torch import Tensor, nn


def check_fit(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], whose: str) -> None:
    """Raises ValueError naming the first tensor of `wanted` that `given` lacks or has in another shape."""
    for name, tensor in wanted.items():
        if name not in given:
            raise ValueError(f"these weights are not {whose}: {name} is missing")
        if given[name].shape != tensor.shape:
            shapes = f"{tuple(given[name].shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"these weights are not {whose}: {name} has shape {shapes}")


def take_weights(module: nn.Module, given: Mapping[str, Tensor], whose: str) -> None:
    """Copies into `module` the tensors of its own names; what else is given is left out.

    Raises ValueError as `check_fit`.
    """
    wanted = module.state_dict()
    check_fit(given, wanted, whose)
    module.load_state_dict({name: given[name] for name in wanted})
