"""Runs the tests of the pages' scripts in node, on data that a test writes."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent / "glass"


def run_node(test: str, folder: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing")
    finished = subprocess.run(
        [node, "--test", str(TESTS / f"{test}.test.mjs")],
        env=os.environ | {"VEDETTE_GLASS_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-2000:]


def write(folder: Path, name: str, content: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
