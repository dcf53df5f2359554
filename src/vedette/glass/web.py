"""ONNX Runtime Web: what runs an exported network in a browser. It is fetched by `make web` and is not ours (MIT)."""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from vedette.errors import InputError
from vedette.pages import render

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
FILES = {  # in the package's folder dist, with their sha256
    RUNTIME: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
LICENSE = Path(render.__file__).parent / "onnxruntime-web.txt"
FOLDER = Path(".web")  # where `make web` puts them


class Web(NamedTuple):
    """The files, and the licence that goes with them."""

    runtime: bytes  # an ES module
    wasm: bytes
    licence: str


def read_web(folder: Path) -> Web:
    """The files of that folder; raises InputError where they are not there, or are not those of VERSION."""
    contents = {name: _read(folder / name, expected) for name, expected in FILES.items()}
    return Web(contents[RUNTIME], contents[WASM], LICENSE.read_text(encoding="utf-8"))


def _read(file: Path, expected: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError:
        reason = f"run `make web`, or give the folder dist of the npm package {PACKAGE} {VERSION} with --web"
        raise InputError(f"{file}: no such file; {reason}") from None
    if sha256(content).hexdigest() != expected:
        raise InputError(f"{file}: is not the file of {PACKAGE} {VERSION}; run `make web` again")
    return content
