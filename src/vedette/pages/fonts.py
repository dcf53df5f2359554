"""Which font has which letters: the one that VEDETTE_FONT names, Pillow's own, then the system's, looked through once.

Pillow's own has hardly more than ASCII. A letter that no font has is never drawn as an empty box, which looks the same
for every letter: `legible` spells names without it.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from PIL import ImageFont

from vedette.pages.class_names import unnamed
from vedette.pages.letters import clean, clusters, is_silent, plain

Source: TypeAlias = str | None  # a font's file; None is Pillow's own
NAMED = "VEDETTE_FONT"
SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
STYLES = ("bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "serif", "mono", "math")
NOT_FONTS = ("lastresort",)  # Apple's, which has a box for every letter there is
MOST_FONTS, MOST_LETTERS = 1000, 500  # that one search looks at: a second at most
NO_LETTER = "\U0010ffff"  # by its standard none, so every font draws what it draws for a letter that it lacks


class FontError(OSError):
    """The font that a person named cannot be read; has the file and what is wrong, as the system's errors have."""


class Fonts:
    """Some fonts' letters. `files` are looked through for what the named one and Pillow's own do not have."""

    def __init__(self, files: Sequence[str] = (), named: str | None = None) -> None:
        self.files = files
        self.known: list[Source] = [None] if named is None else [named, None]  # fonts in use, asked first
        self.homes: dict[str, Source] = {}  # the font of each letter that has one
        self.without: set[str] = set()  # letters that no font has
        if named is not None:
            _check_named(named)

    def has(self, text: str) -> bool:
        """Whether every letter of a text is in some font."""
        self.learn(text)
        return not self.without.intersection(text)

    def learn(self, letters: Iterable[str]) -> None:
        """Finds the fonts of letters that were not asked for before."""
        new = {letter for letter in letters if letter not in self.homes and letter not in self.without}
        for source in self.known:
            new -= self._take(source, new)
        wanted = set(sorted(new)[:MOST_LETTERS])
        for file in self.files:
            if not wanted:
                break
            if found := self._take(file, wanted):
                wanted -= found
                self.known.append(file)
                new -= self._take(file, new)
        self.without |= new

    def runs(self, text: str) -> list[tuple[str, Source]]:
        """The text in pieces, each with a font that has its letters: one piece where one font has them all.

        Letters that no font has are left out.
        """
        self.learn(text)
        letters = set(text) - self.without
        for source in self.known:
            if all(_has(source, letter) for letter in letters):
                whole = _drawable("".join(letter for letter in text if letter in letters), source)
                return [(whole, source)] if whole else []
        homes: list[tuple[Source, str]] = []
        for cluster in clusters(text):
            if not self.without.intersection(cluster):
                before = homes[-1][0] if homes and cluster.isspace() else self._home(cluster)  # words stay together
                homes.append((before, cluster))
        pieces = [(source, "".join(c for _, c in piece)) for source, piece in groupby(homes, key=lambda home: home[0])]
        return [(_drawable(piece, source), source) for source, piece in pieces]

    def _take(self, source: Source, letters: Iterable[str]) -> set[str]:
        found = {letter for letter in letters if _has(source, letter)}
        self.homes |= dict.fromkeys(found, source)
        return found

    def _home(self, cluster: str) -> Source:
        """Of a letter with its marks, a font that has them all, else that of the letter."""
        whole = (source for source in self.known if all(_has(source, letter) for letter in cluster))
        return next(whole, self.homes[cluster[0]])


def system_fonts() -> Fonts:
    """The fonts of this machine, behind the one that VEDETTE_FONT names. Raises FontError where that is none."""
    return _fonts_behind(os.environ.get(NAMED) or None)


def legible(classes: tuple[str, ...], fonts: Fonts | None = None) -> tuple[str, ...]:
    """Names of classes as they can be drawn, each on one line and no two of different names the same.

    A name without letters that any font has becomes `class 3`, its label; one that lost some has that behind it.
    """
    return _legible(classes, fonts or system_fonts())


def load(source: Source, pixels: int) -> ImageFont.FreeTypeFont:
    """A font in a size."""
    return _load(source, pixels, None)


def find_fonts(folders: Iterable[str | Path]) -> list[str]:
    """The files of fonts in the folders and below, upright ones of ordinary weight first, MOST_FONTS at most."""
    found = {
        os.path.join(folder, name)
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if name.lower().endswith(SUFFIXES) and not any(name.lower().startswith(one) for one in NOT_FONTS)
    }

    def rank(file: str) -> tuple[int, bool, str]:
        name = os.path.basename(file).lower()
        return sum(style in name for style in STYLES), "sans" not in name, name

    return sorted(found, key=rank)[:MOST_FONTS]


def font_folders() -> list[Path]:
    """Where this system keeps fonts: those of all users and this user's own."""
    home, given = Path.home(), os.environ.get
    if sys.platform == "win32":
        own = Path(given("LOCALAPPDATA", home / "AppData" / "Local")) / "Microsoft" / "Windows" / "Fonts"
        return [Path(given("WINDIR", r"C:\Windows")) / "Fonts", own]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    shared = (given("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    own = Path(given("XDG_DATA_HOME") or home / ".local" / "share")
    return [*(Path(folder) / "fonts" for folder in shared if folder), own / "fonts", home / ".fonts"]


@lru_cache(maxsize=8)
def _fonts_behind(named: str | None) -> Fonts:
    return Fonts(_system_files(), named)


@cache
def _system_files() -> list[str]:
    return find_fonts(font_folders())


@lru_cache(maxsize=32)
def _legible(classes: tuple[str, ...], fonts: Fonts) -> tuple[str, ...]:
    names = [clean(name) for name in classes]
    fonts.learn("".join(names))
    spelled = [_spelled(name, fonts) for name in names]
    lost = [plain(name) != plain(text) for name, text in zip(names, spelled, strict=True)]  # more than marks
    numbered = {
        label: unnamed(label)
        for label, text in enumerate(spelled)
        if not any(letter.isalnum() for letter in text) and (lost[label] or not text)
    }
    counts, taken = Counter(spelled), set(numbered.values())
    shown = []
    for label, text in enumerate(spelled):
        alike = text in taken or (text != classes[label] and counts[text] > 1)
        shown.append(numbered.get(label) or (f"{text} ({unnamed(label)})" if lost[label] or alike else text))
    return tuple(shown)


def _spelled(name: str, fonts: Fonts) -> str:
    """The name with the letters that there are; é is spelled e where there is no é."""
    letters: list[str] = []
    for cluster in clusters(name):
        letters += [cluster] if fonts.has(cluster) else [bare for bare in plain(cluster) if fonts.has(bare)]
    return " ".join("".join(letters).split())


@lru_cache(maxsize=65536)
def _has(source: Source, letter: str) -> bool:
    """Whether a font has a letter: what it draws is something, and not what it draws for a letter that is none."""
    if letter.isspace() or is_silent(letter):
        return True
    picture = _drawn(source, letter)
    return picture is not None and any(picture[1]) and picture != _drawn(source, NO_LETTER)


def _drawable(text: str, source: Source) -> str:
    """The text without joiners that the font would draw a box for."""
    joins = {sign for sign in text if is_silent(sign) and _drawn(source, sign) != _drawn(source, NO_LETTER)}
    return "".join(letter for letter in text if not is_silent(letter) or letter in joins)


def _drawn(source: Source, letter: str) -> tuple[tuple[int, int], bytes] | None:
    """Size and pixels, by themselves; None of what is no font, or one of pictures in a size of its own."""
    try:
        mask = _load(source, 16, ImageFont.Layout.BASIC).getmask(letter)
    except (OSError, ValueError, UnicodeError):
        return None
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _load(source: Source, pixels: int, layout: ImageFont.Layout | None) -> ImageFont.FreeTypeFont:
    if source is not None:
        return ImageFont.truetype(source, pixels, layout_engine=layout)
    font = ImageFont.load_default(pixels)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError("this Pillow was built without FreeType")
    return font


def _check_named(file: str) -> None:
    try:
        _load(file, 16, None)
    except OSError as error:
        reason = error.strerror or error
        what = f"{NAMED} names it, and it is no font that can be read ({reason}); give a .ttf or .otf file"
        raise FontError(error.errno or 0, what, file) from None
