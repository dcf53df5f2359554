"""What `vedette detect` calls the files of a video: NAME.mp4, and NAME.frames.jsonl with a row for each frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vedette.cli.outputs import name_pictures
from vedette.errors import InputError
from vedette.infer.video_names import is_address, is_camera, stem_of, without_password


def name_films(videos: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The annotated video's name of each, no two the same; those that `rows` of before have stay."""
    given = {source: _with_suffix(row["output"], ".jpg") for source, row in rows.items() if "frames" in row}
    files = [Path(source if is_file(source) else f"{stem_of(source)}.mp4") for source in videos]
    return [_with_suffix(name, ".mp4") for name in name_pictures(files, given)]


def rows_of_frames(film: str) -> str:
    """The file beside an annotated video with what was found in each frame."""
    return _with_suffix(film, ".frames.jsonl")


def check_recordings(out: Path, videos: Sequence[str], films: Sequence[str], overwrite: bool) -> None:
    """Raises InputError where a camera's or a stream's video is there already: it cannot be made once more."""
    for source, film in zip(videos, films, strict=True):
        if not is_file(source) and not overwrite and os.path.lexists(out / film):
            raise InputError(
                f"--out {out}: {film} of {without_password(source)} is there; give another folder, or write it over "
                "with --overwrite"
            )


def files_among(videos: Iterable[str]) -> list[Path]:
    """Those that are no cameras and streams."""
    return [Path(source) for source in videos if is_file(source)]


def is_file(source: str) -> bool:
    """Whether a video is neither a camera nor a stream."""
    return not (is_address(source) or is_camera(source))


def real_name(source: str) -> str:
    """A file's real path; of a stream, its address without a password."""
    return os.path.realpath(source) if is_file(source) else without_password(source)


def _with_suffix(name: str, suffix: str) -> str:
    return name.rpartition(".")[0] + suffix
