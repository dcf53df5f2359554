"""Which image files a person means by a file, a folder or a glob."""

from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

from vedette.errors import InputError

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SUFFIXES = (*JPEG, ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm")


def find_images(sources: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files behind all sources, each once, in order; and a line for each source that has none."""
    found: dict[Path, Path] = {}
    faults = []
    for source in sources:
        try:
            for file in expand(source):
                found.setdefault(file.resolve(), file)
        except InputError as error:
            faults.append(str(error))
    return list(found.values()), faults


def expand(source: str) -> list[Path]:
    """A file is itself, whatever its name; a folder or a glob stands for its images, those in subfolders left out.

    Raises InputError where there is nothing.
    """
    if not source:
        raise InputError("an empty name is no image: give a file, a folder or a glob")
    path = Path(source)
    if path.is_dir():
        found = _images(path.iterdir())
        if not found:
            raise InputError(f"{source}: no images in this folder (subfolders are not searched; give them by name)")
        return found
    if path.exists():
        return [path]
    if not has_magic(source):
        raise InputError(f"{source}: no such file or folder; check the path")
    found = _images(Path(match) for match in glob(source, recursive=True))
    if not found:
        raise InputError(f"{source}: matches no images; check the pattern")
    return found


def _images(files: Iterable[Path]) -> list[Path]:
    return sorted(f for f in files if f.suffix.lower() in SUFFIXES and not f.name.startswith(".") and f.is_file())
