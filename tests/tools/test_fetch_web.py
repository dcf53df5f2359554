"""ONNX Runtime Web is fetched by npm, and nothing but the pinned package is taken."""

from pathlib import Path

import pytest

import fetch_web
from vedette.errors import InputError


def an_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is called npm, and is the only one there."""
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_another_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_npm(tmp_path, 'while [ "$1" != --pack-destination ]; do shift; done; echo x > "$2/package.tgz"', monkeypatch)
    with pytest.raises(InputError, match=r"npm gave another onnxruntime-web 1\.30\.0 than the one that is pinned"):
        fetch_web.fetch(tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_what_npm_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_npm(tmp_path, "echo no network >&2; exit 1", monkeypatch)
    with pytest.raises(InputError, match=r"npm cannot fetch onnxruntime-web 1\.30\.0: no network"):
        fetch_web.fetch(tmp_path / "web")


def test_without_npm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="npm is missing: install it"):
        fetch_web.fetch(tmp_path / "web")
