"""Where things are kept, and what is said where they cannot be."""

from pathlib import Path

import pytest

from vedette.data.cache import cache_folder, check_cache
from vedette.errors import InputError


def test_it_is_where_the_environment_says_or_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("kind") == tmp_path / "vedette" / "kind"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder("kind") == tmp_path / ".cache" / "vedette" / "kind"


def test_without_a_home_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="no home folder to keep files in; set XDG_CACHE_HOME"):
        cache_folder("kind")


def test_a_folder_is_tried_before_the_work(tmp_path: Path) -> None:
    check_cache(tmp_path / "a" / "b")
    assert not any((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/kind: nothing can be kept there \(.*\); set XDG_CACHE_HOME"):
        check_cache(tmp_path / "file" / "kind")
