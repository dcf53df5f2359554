"""The Containerfile: built where a builder is; else its steps in a fresh environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = [line for line in (ROOT / "Containerfile").read_text().splitlines() if line and not line.startswith("#")]


def builder() -> str | None:
    """podman or docker, where it can build."""
    for name in ("podman", "docker"):
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
    subprocess.run(["sh", "-c", install], cwd=ROOT, env=os.environ | path, check=True)
    serve = [tmp_path / "venv" / "bin" / "vedette", "serve", "--help"]
    assert "POST /detect" in subprocess.run(serve, capture_output=True, text=True, check=True).stdout
