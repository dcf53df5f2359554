"""safetensors files with a checksum of all their bytes; equal content makes equal files.

The header's metadata hold it under `checksum`: SHA-256 of the file with zeros in its place.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from vedette.errors import InputError

CHECKSUM = "checksum"
BLANK = "0" * sha256().digest_size * 2
LENGTH = 8  # bytes of a safetensors file that say how long its header is
SEAL = re.compile(rb'"checksum":"([0-9a-f]{64})"')
PIECE = 1 << 24  # bytes read at once


def sealed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file; metadata in the order of their keys, which safetensors leaves to chance."""
    content = save(dict(tensors), {})
    length = int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH : LENGTH + length])
    header = {"__metadata__": dict(sorted({**metadata, CHECKSUM: BLANK}.items()))} | {
        name: header[name] for name in sorted(header.keys() - {"__metadata__"})
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)  # tensors begin at a multiple of eight
    blank = len(text).to_bytes(LENGTH, "little") + text + content[LENGTH + length :]
    return blank.replace(BLANK.encode(), sha256(blank).hexdigest().encode(), 1)


def check_seal(path: Path, needed: bool) -> None:
    """Raises InputError where a file is not what was written, whatever changed it since.

    needed: no checksum is damage too; else it is a file from before there was any.
    """
    damaged = InputError(f"{path}: damaged since it was written (its checksum is another); copy or download it again")
    with path.open("rb") as file:
        beginning = file.read(LENGTH)
        beginning += file.read(min(int.from_bytes(beginning, "little"), PIECE))
        seal = SEAL.search(beginning)
        if seal is None and needed:
            raise damaged
        if seal is None:
            return
        digest = sha256(beginning[: seal.start(1)] + BLANK.encode() + beginning[seal.end(1) :])
        while piece := file.read(PIECE):
            digest.update(piece)
    if digest.hexdigest().encode() != seal[1]:
        raise damaged
