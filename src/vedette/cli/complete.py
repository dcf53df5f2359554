"""What a shell offers when Tab is pressed after a model."""


def complete_model(incomplete: str) -> list[str]:
    """The names that begin so; where there are none, a shell offers files by itself."""
    from vedette.zoo import names  # imports no torch, so it answers at once

    return [name for name in names() if name.startswith(incomplete)]
