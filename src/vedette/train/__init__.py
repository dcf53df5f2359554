"""Training: recipes, the loop, checkpoints. Needs the extra `train`."""

from importlib.util import find_spec

from vedette.errors import InputError


def check_extra() -> None:
    """Raises InputError where the extra is not installed; most modules here cannot be imported then."""
    if find_spec("accelerate") is None or find_spec("tensorboard") is None:
        raise InputError('training needs more packages: pip install "vedette[train]"')
