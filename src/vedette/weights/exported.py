"""What an exported file says of the graph in it: written by export, read by whoever runs it.

Strings alone, as in a weight file's header, beside `vedette_export` (the version of this format) and `graph`, as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vedette.errors import InputError
from vedette.weights.header import Header, of_strings, to_strings

FORMAT_KEY, FORMAT_VERSION = "vedette_export", 1
SUFFIXES = (".onnx", ".xml", ".pt2")
OUTPUTS = ("boxes", "scores", "labels", "source")


@dataclass(frozen=True, kw_only=True)
class Exported(Header):
    """A detector as a graph: uint8 pictures in, detections out (`OUTPUTS`), or what stands before `find`."""

    sizes: bool  # the graph takes the true heights and widths inside a padded batch
    raw: bool = False  # it gives logits and deltas of every anchor
    int8: dict[str, Any] | None = None  # in eight bits: calibration, and AP before and after where it was measured
    proposals: int = 0  # it takes so many of each picture, padded, and how many there are
    compiled_on: str = ""  # the machine that its code is for

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in their order."""
        given = {"images": True, "score": not self.raw, "sizes": self.sizes}
        given |= dict.fromkeys(("proposals", "counts"), self.proposals > 0)
        return tuple(name for name, takes in given.items() if takes)


def to_metadata(exported: Exported) -> dict[str, str]:
    """What the file holds beside its graph."""
    header = {field: getattr(exported, field) for field in Header.__dataclass_fields__}
    graph = {name: value for name, value in asdict(exported).items() if name not in header}
    return {FORMAT_KEY: str(FORMAT_VERSION), **to_strings(Header(**header)), "graph": json.dumps(graph)}


def of_metadata(path: Path, metadata: Mapping[str, str]) -> Exported:
    """What the file's metadata say; raises InputError for another program's, a newer format's and damaged ones."""
    version = metadata.get(FORMAT_KEY)
    if version is None:
        raise InputError(f"{path}: does not say which detector it is of; give a file that `vedette export` wrote")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise InputError(f"{path}: format {version}, this vedette reads up to {FORMAT_VERSION}: pip install -U vedette")
    try:
        return Exported(**vars(of_strings(metadata)), **json.loads(metadata["graph"]))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: what it says of itself is damaged ({reason}); export it again") from None
