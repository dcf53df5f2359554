"""What a person calls a video: a file by its suffix, a camera by its number, a stream by its address."""

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

SUFFIXES = frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
        *(".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    )
)
ADDRESS = re.compile(r"(https?|rtmps?|rtp|rtsps?|srt|tcp|udp)://", re.IGNORECASE)


def is_video(source: str) -> bool:
    """Whether a name is one of a video, a camera or a stream."""
    return is_address(source) or is_camera(source) or Path(source).suffix.lower() in SUFFIXES


def is_address(source: str) -> bool:
    """Whether it is read over the network."""
    return ADDRESS.match(source) is not None


def is_camera(source: str) -> bool:
    """Whether it is a number, and no file of that name is there."""
    return source.isascii() and source.isdecimal() and not Path(source).exists()


def without_password(source: str) -> str:
    """A stream's address as it may stand in lines and files: without the user and the password."""
    if not is_address(source):
        return source
    parts = urlsplit(source)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def stem_of(source: str) -> str:
    """A file's name for what is made of a video: clip.mp4 is clip, 0 is camera0, an address is its host and path."""
    if is_address(source):
        parts = urlsplit(source)
        words = re.findall(r"[\w.-]+", f"{parts.netloc.rpartition('@')[2].partition(':')[0]} {parts.path}")
        return "_".join(words).strip(".") or "stream"
    return f"camera{source}" if is_camera(source) else Path(source).stem
