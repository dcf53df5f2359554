"""The Containerfile: built where a builder is; else its steps in a fresh environment."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "src" / "vedette" / "assets" / "demo" / "chelsea.jpg"
PATIENCE = 120  # seconds
STEPS = [line for line in (ROOT / "Containerfile").read_text().splitlines() if line and not line.startswith("#")]


def builder() -> str | None:
    """podman, buildah or docker, where it can build."""
    for name in ("podman", "buildah", "docker"):
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:
            return name
    return None


def test_what_is_copied_is_there_and_no_index_is_named() -> None:
    copied = [source for step in STEPS if step.startswith("COPY") for source in step.split()[1:-1]]
    assert copied
    assert all((ROOT / source).exists() for source in copied)
    assert "ARG PACKAGE_INDEX" in STEPS  # without a default
    text = (ROOT / "Containerfile").read_text()
    assert "http:" not in text
    assert "https:" not in text


@pytest.mark.slow
def test_the_image_builds_or_its_install_step_does(tmp_path: Path) -> None:
    """VEDETTE_TEST_INSTALL=1 asks for it: it fetches packages."""
    if not os.environ.get("VEDETTE_TEST_INSTALL"):
        pytest.skip("fetches packages: set VEDETTE_TEST_INSTALL=1")
    if name := builder():
        subprocess.run([name, "build", "-f", "Containerfile", "-t", "vedette-test", "."], cwd=ROOT, check=True)
        return
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (install,) = [step.removeprefix("RUN ") for step in STEPS if step.startswith("RUN pip install")]
    path = {"PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}"}
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | path
    subprocess.run(["sh", "-c", install], cwd=ROOT, env=clean, check=True)
    entry, given = (
        json.loads(next(step.removeprefix(name) for step in STEPS if step.startswith(name)))
        for name in ("ENTRYPOINT", "CMD")
    )
    answers(tmp_path / "venv" / "bin" / entry[0], [*entry[1:], *given, "--port", "0"], clean)


def answers(program: Path, arguments: list[str], environment: dict[str, str]) -> None:
    """The installed service finds the cat, and stops when it is told to."""
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rpartition(":")[2].partition("/")[0].split()[0])
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                try:
                    request = Request(
                        f"http://127.0.0.1:{port}/detect", PHOTO.read_bytes(), {"Content-Type": "image/jpeg"}
                    )
                    with urlopen(request) as answer:
                        names = [one["name"] for one in json.load(answer)["detections"]]
                    break
                except URLError:  # it does not listen yet
                    time.sleep(0.2)
            assert names == ["cat"]
        finally:
            server.terminate()
        assert server.wait(PATIENCE) == 143
