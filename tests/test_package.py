"""What a user installs: the version, and the files in the wheel and the source archive."""

import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import vedette

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
FILES = {
    path.relative_to(ROOT / "src").as_posix()
    for path in (ROOT / "src" / "vedette").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel."""
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the source archive, without its top folder."""
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"])
    with tarfile.open(built) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_version_is_stated_once() -> None:
    assert vedette.__version__ == VERSION


def test_the_wheel_holds_the_package_and_its_license(wheel: set[str]) -> None:
    metadata = {name for name in wheel if name.startswith(f"vedette-{VERSION}.dist-info/")}
    assert wheel - metadata == FILES
    assert {"vedette/py.typed", "vedette/pages/templates/report.html"} <= FILES
    assert f"vedette-{VERSION}.dist-info/licenses/LICENSE" in metadata


def test_the_wheel_brings_what_the_demo_shows(wheel: set[str]) -> None:
    assets = [name for name in wheel if name.startswith("vedette/assets/")]
    assert {Path(name).suffix for name in assets} >= {".safetensors", ".jpg"}


def test_the_source_archive_holds_the_sources_alone(sdist: set[str]) -> None:
    assert {f"src/{name}" for name in FILES} <= sdist
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/conftest.py", "examples/pyramids.py"} <= sdist
    assert not {name.split("/")[0] for name in sdist} & {"runs", "demo-output", ".venv", ".git", "dist"}
