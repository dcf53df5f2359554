import os
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from PIL import Image

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


def found_in(source: str) -> list[str]:
    return names(expand(source)[0])


def test_a_folder_gives_its_own_images_in_order(photos: Path) -> None:
    assert found_in(str(photos)) == ["[1].jpg", "a.PNG", "b.jpg", "c.webp"]


def test_globs(photos: Path) -> None:
    assert found_in(f"{photos}/*.jpg") == ["[1].jpg", "b.jpg"]
    assert found_in(f"{photos}/**/*.jpg") == ["[1].jpg", "b.jpg", "d.jpg", "e.jpg"]
    assert found_in(f"{photos}/[ab].*") == ["a.PNG", "b.jpg"]


def test_a_file_is_itself_whatever_its_name(photos: Path) -> None:
    for name in ("notes.txt", "[1].jpg"):
        assert expand(str(photos / name)) == ([photos / name], "")


@pytest.mark.parametrize(
    ("source", "reason"), [("none.jpg", "no such file"), ("*.gif", "matches no images"), ("empty", "no images in this")]
)
def test_nothing_there(photos: Path, source: str, reason: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(InputError, match=reason) as raised:
        expand(str(photos / source))
    assert str(raised.value).startswith(str(photos / source))


def test_each_image_once_and_a_line_for_each_fault(photos: Path) -> None:
    found = find_images([f"{photos}/b.jpg", f"{photos}/none.jpg", f"{photos}/sub/../b.jpg", str(photos)])
    assert names(found.files) == ["b.jpg", "[1].jpg", "a.PNG", "c.webp"]
    assert [fault.split(": ")[0] for fault in found.faults] == [f"{photos}/none.jpg"]


def test_one_is_one(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    assert expand(str(tmp_path))[1] == "passed over 1 folder"
    os.mkfifo(tmp_path / "p")
    assert set(expand(str(tmp_path))[1].removeprefix("passed over ").split(", ")) == {"1 folder", "1 special file"}
    for number in range(7):
        (tmp_path / f"n.x{number}").touch()
    assert "1 other" in expand(str(tmp_path))[1]


def test_what_is_passed_over_is_said(photos: Path) -> None:
    """Not the files that macOS leaves, as ._a.jpg."""
    Image.new("RGB", (5, 5)).save(photos / "bare", "PNG")
    for name in (".b.jpg", "list.TXT", "x.pdf", "y.eps", "clip.mpg", "words", "z.heic"):
        (photos / name).touch()
    files, passed = expand(str(photos))
    assert names(files) == ["[1].jpg", "a.PNG", "b.jpg", "bare", "c.webp"]
    kinds = ("2 folders", "2 .txt", "1 .eps", "1 .heic", "1 .mpg", "1 .pdf", "1 hidden", "1 without a suffix")
    assert sorted(passed.removeprefix("passed over ").split(", ")) == sorted(kinds)
    assert find_images([str(photos)]).notes == [f"{photos}: {passed}"]
    assert expand(f"{photos}/**/*.jpg")[1] == ""
    for number in range(12):
        (photos / f"n.x{number}").touch()
    assert expand(str(photos))[1].endswith(", 12 others")


@pytest.mark.parametrize(
    "name",
    ["a.JPG", "a.jp2", "a.tga", "a.ppm", "a.psd", "a.ico", "a.gif", "a.webp", "a.avif", "a.tif", "a.bmp", "a.mpo"],
)
def test_what_the_decoder_reads_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert found_in(str(tmp_path)) == [name]


def test_linked_loops_end_and_each_real_file_comes_once(photos: Path) -> None:
    (photos / "sub" / "up").symlink_to(photos)
    (photos / "sub" / "again").symlink_to(photos / "sub")
    (photos / "twin.jpg").symlink_to(photos / "b.jpg")
    (photos / "sub" / "deep" / "deeper").mkdir(parents=True)
    (photos / "sub" / "deep" / "deeper" / "f.jpg").touch()
    assert sorted(found_in(f"{photos}/**/*.jpg")) == ["[1].jpg", "b.jpg", "d.jpg", "e.jpg", "f.jpg", "twin.jpg"]
    assert found_in(f"{photos}/**/deep/**/*.jpg") == ["f.jpg"]
    assert sorted(found_in(f"{photos}/sub/deep/**")) == ["f.jpg"]
    once = names(find_images([f"{photos}/**/*.jpg"]).files)
    assert once.count("b.jpg") == 1
    assert "twin.jpg" not in once


def test_globs_of_this_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert [str(file) for file in expand("**/*.jpg")[0]] == ["[1].jpg", "b.jpg", "sub/d.jpg", "sub.jpg/e.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_passed_over_and_a_broken_link_is_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    files, passed = expand(str(tmp_path))
    assert (names(files), passed) == (["link.jpg"], "passed over 1 special file")


def test_a_mistyped_name(photos: Path) -> None:
    with pytest.raises(InputError, match=r"b\.jgp: no such file or folder; did you mean .*b\.jpg\?"):
        expand(str(photos / "b.jgp"))
    with pytest.raises(InputError, match="check the path"):
        expand(str(photos / "none" / "b.jpg"))


@pytest.mark.parametrize("name", ["x" * 5000 + ".jpg", "a\0b.jpg", "x/" * 3000])
def test_names_that_no_file_has(photos: Path, name: str) -> None:
    found = find_images([name, str(photos / "b.jpg")])
    assert names(found.files) == ["b.jpg"]
    assert len(found.faults) == 1
    assert len(found.faults[0]) < 200


@pytest.mark.parametrize("text", ["b.jpg\nsub/d.jpg\n\n", "b.jpg\r\nsub/d.jpg", "b.jpg\0sub/d.jpg\0"])
def test_names_on_stdin(photos: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(photos)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text.encode())))
    assert [str(file) for file in find_images(["-"]).files] == ["b.jpg", "sub/d.jpg"]


def test_stdin_with_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = BytesIO()
    Image.new("RGB", (5, 5)).save(picture, "JPEG")
    for given, message in ((picture.getvalue(), "a picture stands on stdin"), (b"", "no names"), (b"\n\n", "no names")):
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(given)))
        with pytest.raises(InputError, match=message):
            find_images(["-"])
