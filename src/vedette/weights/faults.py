"""A mistake in a detector of one's own: told by its line, for whoever wrote it; imports no torch."""

import sys
from importlib.util import find_spec
from pathlib import Path
from traceback import FrameSummary, extract_tb

modules: set[str] = set()  # of one's own, by the names that this process was given


def fault_of(error: BaseException) -> str | None:
    """What went wrong and at which line of one's own code, in a line; None where no such code has a part in it.

    The line is the last of the traceback that lies in a module's package, or beside a module that has none. Where there
    is none, what the code made could not be used elsewhere, unless it is the system that refused something.
    """
    if not modules:
        return None
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    places = extract_tb(error.__traceback__)
    own = [place for place in places if any(_holds(module, place) for module in modules)]
    last = (own or places)[-1]
    if own:
        return f"{last.filename}:{last.lineno}: {what} (in {last.name})"
    if isinstance(error, OSError | MemoryError):
        return None
    return f"{', '.join(sorted(modules))}: what it made could not be used: {what} (at {last.filename}:{last.lineno})"


def _holds(module: str, place: FrameSummary) -> bool:
    """Whether the place is in the module's package, or in a file beside a module that has none."""
    top, file = module.partition(".")[0], Path(place.filename)
    loaded = sys.modules.get(top)
    spec = loaded.__spec__ if loaded is not None else find_spec(top)
    if spec is None:
        return False
    if spec.submodule_search_locations is not None:
        return any(file.is_relative_to(folder) for folder in spec.submodule_search_locations)
    return spec.origin is not None and file.parent == Path(spec.origin).parent
