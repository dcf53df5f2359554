import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from vedette import __version__
from vedette.cli import main
from vedette.cli.main import app, run
from vedette.errors import InputError


def verbs(command: Any, path: str = "") -> Iterator[str]:
    """Every group and verb: "", "detect", "data", "data check" …"""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, f"{path} {name}".strip())


VERBS = tuple(verbs(get_command(app)))


def test_there_are_verbs_and_groups_of_them() -> None:
    assert {"", "detect", "train", "models", "config", "data", "data check", "data stats", "weights import"} <= {*VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_group_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*verb.split(), "--help"]) == 0
    written = capsys.readouterr()
    assert f"Example: vedette {verb}".strip() in " ".join(written.out.split())
    assert written.err == ""


def test_an_error_about_an_endless_name_is_one_short_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", str(tmp_path / ("n" * 5000))]) == 2
    assert run(["data", "check", "m" * 5000]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) < 2100


def test_help_names_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in filter(None, VERBS):
        assert f"\n  {verb.split()[0]} " in text


def test_help_does_not_wait_for_torch() -> None:
    """Half a second is not measured here, where a machine may be busy; what costs it is looked for."""
    code = (
        "import sys; from vedette.cli.main import run\n"
        "for verb in ([], ['detect'], ['train'], ['evaluate'], ['models'], ['data', 'check'], ['weights', 'import']):\n"
        "    assert run([*verb, '--help']) == 0\n"
        "slow = {'torch', 'torchvision', 'timm', 'numpy', 'PIL', 'accelerate'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_runs_the_package() -> None:
    told = subprocess.run([sys.executable, "-m", "vedette", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"vedette {__version__}\n"


def test_an_interrupt_while_the_command_is_imported_is_told_in_a_word() -> None:
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'vedette.cli.models':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from importlib.metadata import entry_points\n"
        "(program,) = entry_points(group='console_scripts', name='vedette')\n"
        "program.load()()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from vedette import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"vedette {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detekt"], "detekt"),
        (["detect"], "source"),
        (["detect", "a.jpg", "--scor", "0.5"], "--scor"),
        (["detect", "a.jpg", "--score", "high"], "--score"),
        (["detect", "a.jpg", "--score", "1.5"], "--score"),
        (["detect", "a.jpg", "--batch-size", "0"], "--batch-size"),
        (["detect", "a.jpg", "--nms", "none"], "'--nms': 'none' is not one of 'hard', 'linear', 'gaussian'"),
        (["data"], "error: Missing command. (see vedette data --help)"),
        (["weights"], "error: Missing command. (see vedette weights --help)"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert written.err.count("\n") == 1
    assert message in written.err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.jpg: damaged;\n replace it"), 2, "error: a.jpg: damaged; replace it\n"),
        (OSError(28, "No space left on device", "out/a.jpg"), 2, "error: out/a.jpg: No space left on device\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_stops_a_command(
    error: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    app.command("fail")(fail)
    assert run(["fail"]) == code
    assert capsys.readouterr().err == line


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    app.command("fail")(fail)
    with pytest.raises(RuntimeError, match="ours"):
        run(["fail"])


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vedette"])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert stopped.value.code == 0
    assert "Example: vedette detect" in capsys.readouterr().out


def test_what_does_not_compute_imports_no_torch(tmp_path: Path) -> None:
    """Wrong names and paths among it: torch alone takes seconds."""
    photo = tmp_path / "a.jpg"
    Image.new("RGB", (20, 20)).save(photo)
    commands = {
        "models": 0,
        "models --json": 0,
        "config refinedet320-lite": 2,
        "train refinedet320-lite --data x --out y": 2,
        "evaluate refinedet320-lite --data x": 2,
        f"detect {tmp_path / 'absent.jpg'}": 2,
        f"detect {photo} --model refinedet320-lite": 2,
        "data check /absent": 2,
        f"data stats {photo} --model refinedet320-lite": 2,
        "data stats /absent --model refinedet320-lite0 --set image_size=512": 2,
        f"data proposals {photo} --model refinedet320-lite": 2,
        "train refinedet320-lite0 --data /absent --out y": 2,
        f"train refinedet320-lite0 --data {photo} --val /absent --out y": 2,
        "--version": 0,
    }
    code = (
        "import sys\nfrom vedette.cli.main import run\n"
        f"for words, wanted in {commands!r}.items():\n"
        "    code = run(words.split())\n"
        "    slow = {'torch', 'torchvision', 'timm', 'accelerate'} & set(sys.modules)\n"
        "    assert code == wanted and not slow, (words, code, slow)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("did you mean refinedet320-lite0?") == 6


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("vedette tra", ["train"]),
        ("vedette train refinedet320-", ["refinedet320-vgg16", "refinedet320-resnet101", "refinedet320-lite0"]),
        ("vedette detect a.jpg --model ssd3", ["ssd300-vgg16", "ssd300-lite0"]),
        ("vedette train ssd300-lite0 --find", ["--find-lr"]),
        ("vedette evaluate runs/", []),  # a shell offers files by itself
    ],
)
def test_a_shell_completes_verbs_names_and_options(words: str, offered: list[str]) -> None:
    """As the script of --show-completion asks."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_VEDETTE_COMPLETE": "complete_bash"}
    code = "import sys\nfrom vedette.cli.main import main\nsys.argv = ['vedette']\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | asked
    )
    assert done.stdout.split() == offered, done.stderr


def test_letters_that_the_terminal_has_no_sign_for_are_written_as_numbers(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [\u732b\u00e9]\n", encoding="utf-8")
    code = "import sys\nfrom vedette.cli.main import main\nsys.argv = ['vedette', 'data', 'check', '.']\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"  0 \\u732b\xe9\n" in done.stdout
