"""Exports that are kept: made once, for the very bytes and fields that they are of."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infer.backends.shared import write_onnx
from vedette import InputError
from vedette.export import kept
from vedette.export.error import ExportError
from vedette.export.kept import Weights, kept_export

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


given: list[Path | None] = []  # files in ONNX that an export was translated from


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that would have been exported: each is a small one made by hand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files: list[Path] = []
    given.clear()

    def export(detector: Any, to: str, out: Path, onnx: Path | None, tell: Any) -> str:
        files.append(out)
        given.append(onnx)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_onnx(out)
        return "the same"

    monkeypatch.setattr("vedette.export.run.export", export)
    monkeypatch.setattr(kept, "load", lambda *_, **__: None)
    return files


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"some weights")
    return Weights(file)


def test_it_is_made_once_and_told(made: list[Path], weights: Weights, tmp_path: Path) -> None:
    said: list[str] = []
    file = kept_export(weights, "onnx", said.append)
    assert made == [file]
    assert file.parent == tmp_path / "cache" / "vedette" / "exports"
    assert file.name.startswith("mine-")
    assert said[0] == "exporting mine.safetensors to onnx, once; this takes minutes"
    assert said[1].endswith(f" s, kept as {file}")
    assert kept_export(weights, "onnx", said.append) == file
    assert (len(made), len(said)) == (1, 2)


def test_other_bytes_or_fields_are_another_file(made: list[Path], weights: Weights) -> None:
    files = [kept_export(weights, "onnx"), kept_export(Weights(weights.path, config={"nms": "linear"}), "onnx")]
    weights.path.write_bytes(b"some weighty")
    files.append(kept_export(weights, "onnx"))
    assert len(set(files)) == 3
    assert made == files


def test_other_code_of_a_module_of_one_s_own_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *sys.path])
    monkeypatch.setattr(kept, "read_weights", lambda path: SimpleNamespace(name="one_of_mine:build"))
    code, file = Path("one_of_mine.py"), Path("mine.safetensors")
    file.write_bytes(b"some weights")
    keys = set()
    for line in ("side = 40", "side = 41"):
        code.write_text(line)
        keys.add(Weights(file, trust=True).key())
    assert len(keys) == 2
    code.unlink()
    assert Weights(file, trust=True).key() not in keys  # and what is not there is told by whoever builds it


def test_other_versions_are_another_file(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights.key()
    assert weights.key() == before
    monkeypatch.setattr(kept, "version", lambda name: "0.0")
    assert weights.key() != before


def test_what_cannot_be_exported_is_kept_in_mind(
    made: list[Path], weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        made.append(Path("tried"))
        raise ExportError("mine: its network cannot be traced (it asks)")

    monkeypatch.setattr("vedette.export.run.export", refuse)
    with pytest.raises(ExportError, match="cannot be traced") as first:
        kept_export(weights, "onnx")
    with pytest.raises(ExportError, match=r"cannot be traced \(it asks\) \(remove .*refused.txt to try again\)"):
        kept_export(weights, "onnx")
    assert len(made) == 1
    assert "remove" not in str(first.value)


def test_a_missing_library_is_named_and_not_kept(
    made: list[Path], weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(InputError, match=r'backend onnx: needs onnxscript; pip install "vedette\[export\]"') as raised:
        kept_export(weights, "onnx")
    assert not isinstance(raised.value, ExportError)
    assert not (tmp_path / "cache").exists()


def test_an_ir_without_its_weights_is_made_again(made: list[Path], weights: Weights) -> None:
    pytest.importorskip("openvino")
    plain = kept_export(weights, "onnx")
    made.clear()
    file = kept_export(weights, "openvino")
    assert given == [None, plain]  # what has been translated once is not again
    assert file.suffix == ".xml"
    kept_export(weights, "openvino")
    assert len(made) == 2  # the hand-made one has no .bin
    file.with_suffix(".bin").touch()
    kept_export(weights, "openvino")
    assert len(made) == 2


def test_what_has_nothing_to_do_with_the_format_is_not_kept(
    made: list[Path], weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weights that are not trusted today may be tomorrow, and a full disk is emptied."""

    def fail(line: str) -> Any:
        def failing(*_: Any, **__: Any) -> None:
            raise InputError(line)

        return failing

    monkeypatch.setattr("vedette.export.run.export", fail("the disk is full"))
    for home, line in ((None, "the disk is full"), (kept, "names a module; --trust")):
        if home is not None:
            monkeypatch.setattr(home, "load", fail(line))
        with pytest.raises(InputError, match=line) as raised:
            kept_export(weights, "onnx")
        assert not isinstance(raised.value, ExportError)
    assert not [file for file in tmp_path.rglob("*") if "refused" in file.name]


def test_where_nothing_can_be_kept_no_work_is_done(
    made: list[Path], weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(weights.path))  # a file
    said: list[str] = []
    with pytest.raises(InputError, match=r"nothing can be kept there .*; set XDG_CACHE_HOME to another folder"):
        kept_export(weights, "onnx", said.append)
    assert (made, said) == ([], [])
