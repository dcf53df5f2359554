"""run.json: what a run was started with, so that it can be told again and gone on with."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vedette.data.atomic import write_json
from vedette.errors import InputError
from vedette.train.recipe import Recipe

NAME = "run.json"
Metric = Literal["voc07", "voc12", "coco"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it is stored in its folder."""

    model: str
    config: dict[str, Any]  # fields that are not the model's own
    classes: tuple[str, ...]
    data: tuple[str, ...]  # PATH[:SPLIT] each
    val: str | None  # PATH[:SPLIT] to measure on
    metric: Metric  # that chooses the best checkpoint
    recipe: Recipe
    version: str  # vedette's
    init: str | None = None  # a whole detector's weights that it begins with
    backbone: str = "imagenet"  # without them: "imagenet", "random", or a file
    images: int = 0  # that it learns from
    fingerprint: str = ""  # of these and their annotations
    detector: dict[str, Any] = field(default_factory=dict)  # the whole config that came of all this, once it has begun
    input_spec: dict[str, Any] = field(default_factory=dict)  # InputSpec's fields, likewise
    sessions: tuple[dict[str, Any], ...] = ()  # what it was begun with and gone on with (facts.py)

    def save(self, folder: Path) -> None:
        """Writes run.json."""
        write_json(folder / NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Raises InputError where there is no run, or one that this version cannot read."""
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"{folder}: no run is there (no {NAME}); to begin one, leave --resume out")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            recipe = Recipe(**stored.pop("recipe"))
            known = {field.name: stored[field.name] for field in fields(cls) if field.name in stored}
            tuples = {name: tuple(known[name]) for name in ("classes", "data")}
            texts = (known["model"], known["metric"], *tuples["classes"], *tuples["data"])
            if not all(isinstance(text, str) for text in (*texts, known["val"] or "")):
                raise TypeError("a text is none")
            return cls(recipe=recipe, **(known | tuples | {"sessions": tuple(known.get("sessions", ()))}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read, it was damaged or written by another version ({error})"
            ) from None
