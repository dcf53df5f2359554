from pathlib import Path

import pytest

from vedette.cli.sources import expand, find_images
from vedette.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with images, other files and a subfolder."""
    for name in ("b.jpg", "a.PNG", "c.webp", "notes.txt", "._a.jpg", "sub/d.jpg", "sub.jpg/e.jpg", "[1].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_a_folder_gives_its_own_images_in_order(photos: Path) -> None:
    assert names(expand(str(photos))) == ["[1].jpg", "a.PNG", "b.jpg", "c.webp"]


def test_globs(photos: Path) -> None:
    assert names(expand(f"{photos}/*.jpg")) == ["[1].jpg", "b.jpg"]
    assert names(expand(f"{photos}/**/*.jpg")) == ["[1].jpg", "b.jpg", "d.jpg", "e.jpg"]
    assert names(expand(f"{photos}/[ab].*")) == ["a.PNG", "b.jpg"]


def test_a_file_is_itself_whatever_its_name(photos: Path) -> None:
    for name in ("notes.txt", "[1].jpg"):
        assert expand(str(photos / name)) == [photos / name]


@pytest.mark.parametrize(
    ("source", "reason"), [("none.jpg", "no such file"), ("*.gif", "matches no images"), ("empty", "no images in this")]
)
def test_nothing_there(photos: Path, source: str, reason: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(InputError, match=reason) as raised:
        expand(str(photos / source))
    assert str(raised.value).startswith(str(photos / source))


def test_each_image_once_and_a_line_for_each_fault(photos: Path) -> None:
    files, faults = find_images([f"{photos}/b.jpg", f"{photos}/none.jpg", f"{photos}/sub/../b.jpg", str(photos)])
    assert names(files) == ["b.jpg", "[1].jpg", "a.PNG", "c.webp"]
    assert [fault.split(": ")[0] for fault in faults] == [f"{photos}/none.jpg"]
