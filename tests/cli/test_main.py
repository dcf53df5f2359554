import subprocess
import sys

import pytest

from vedette.cli import main
from vedette.cli.main import app, run
from vedette.errors import InputError

VERBS = (
    "detect",
    "train",
    "evaluate",
    "models",
    "data check",
    "weights import",
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*verb.split(), "--help"]) == 0
    written = capsys.readouterr()
    assert f"Example: vedette {verb}" in " ".join(written.out.split())
    assert written.err == ""


def test_help_names_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
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
