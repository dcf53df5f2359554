"""What classes are called that nobody named."""


def unnamed(label: int) -> str:
    """The class of that label."""
    return f"class {label}"


def all_unnamed(count: int) -> tuple[str, ...]:
    """So many classes."""
    return tuple(map(unnamed, range(count)))
