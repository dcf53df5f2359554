"""run.json: what a run was started with, so that it can be told again and gone on with."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from vedette.errors import InputError
from vedette.train.recipe import Recipe

NAME = "run.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it is stored in its folder."""

    model: str
    config: dict[str, Any]
    classes: tuple[str, ...]
    data: tuple[str, ...]
    val: str | None
    metric: Literal["voc07", "voc12", "coco"]  # that chooses the best checkpoint
    recipe: Recipe
    version: str  # vedette's

    def save(self, folder: Path) -> None:
        """Writes run.json."""
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{NAME}"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.replace(folder / NAME)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Raises InputError where there is no run, or one that this version cannot read."""
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"{folder}: no run to resume (there is no {NAME}); start it without --resume")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            recipe = Recipe(**stored.pop("recipe"))
            known = {field.name: stored[field.name] for field in fields(cls) if field.name != "recipe"}
            tuples = {name: tuple(known[name]) for name in ("classes", "data")}
            return cls(recipe=recipe, **(known | tuples))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read, it was damaged or written by another version ({error})"
            ) from None
