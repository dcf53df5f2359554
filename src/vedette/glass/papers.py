"""Which paper a model is of, told by its config."""

from typing import Any


def paper_of(model: Any) -> str:
    """The paper's name as its file has it: "RefineDet", "FPN"; the model's own for one of no paper."""
    name = type(model.config).__name__
    return name.removesuffix("Config") if name.endswith("Config") else type(model).__name__
