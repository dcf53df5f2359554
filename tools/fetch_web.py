"""Fetches ONNX Runtime Web by npm's own client: the two files that the live page holds, and their licence.

    python tools/fetch_web.py [FOLDER]      # by default .web, where `vedette explain --live` looks

The version and what its files must be are pinned in `vedette.glass.web`; another file is refused.
"""

import shutil
import subprocess
import sys
import tarfile
from base64 import b64encode
from hashlib import sha512
from pathlib import Path
from tempfile import TemporaryDirectory

from vedette.errors import InputError
from vedette.glass.web import FILES, FOLDER, INTEGRITY, LICENSE, PACKAGE, VERSION, read_web


def fetch(folder: Path) -> None:
    """Into the folder, unless it is there. Raises InputError where npm cannot, or gives something else."""
    try:
        read_web(folder)
    except InputError:
        with TemporaryDirectory() as place:
            _unpack(_packed(Path(place)), folder)
        read_web(folder)
    print(f"{PACKAGE} {VERSION} is in {folder}")


def _packed(place: Path) -> Path:
    """The package as npm gives it."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm is missing: install it (Debian, Ubuntu: apt install npm), or do without the live page")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(place)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["it did not say why"])[-1]
        raise InputError(f"npm cannot fetch {PACKAGE} {VERSION}: {reason}")
    (packed,) = place.glob("*.tgz")
    digest = b64encode(sha512(packed.read_bytes()).digest()).decode("ascii")
    if f"sha512-{digest}" != INTEGRITY:
        raise InputError(f"npm gave another {PACKAGE} {VERSION} than the one that is pinned: sha512-{digest}")
    return packed


def _unpack(packed: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed) as archive:
        for name in FILES:
            content = archive.extractfile(f"package/dist/{name}")
            assert content is not None
            (folder / name).write_bytes(content.read())
    shutil.copyfile(LICENSE, folder / "LICENSE")


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    except InputError as error:
        sys.exit(f"error: {error}")
