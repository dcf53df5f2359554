"""Whether weights are numbers: with one that is none a detector finds nothing, and says nothing of it."""

from collections.abc import Mapping

from torch import Tensor

from vedette.errors import InputError


def check_finite(tensors: Mapping[str, Tensor], whose: object) -> None:
    """Raises InputError that names `whose` they are and the first tensor with infinite values or NaN."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise InputError(
                f"{whose}: {bad} of {tensor.numel()} values of {name} are not finite, and with such weights nothing is "
                "found; take weights from before, or train again at a lower rate"
            )
