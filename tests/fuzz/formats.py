"""The kinds of files that come from elsewhere: whole ones to begin with, and who reads them."""

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

import vedette
from vedette.weights.files import save_weights
from vedette.weights.layouts.caffe_model import read_caffemodel
from vedette.weights.layouts.pickled import read_state_dict
from vedette.zoo import restore

SMALL = {"extra_channels": [[8, 8]] * 3}


class Format(NamedTuple):
    """A kind of file."""

    suffix: str
    whole: Callable[[], list[bytes]]
    read: Callable[[Path], Any]


def zipped() -> list[bytes]:
    """State dicts as torch.save writes them."""
    return [_saved({"a.weight": torch.rand(3, 4), "a.bias": torch.zeros(3), "n": torch.tensor(7)}, True)]


def old() -> list[bytes]:
    """State dicts as torch.save wrote them before there were zip files."""
    return [_saved({"state_dict": {"module.a": torch.rand(3, 4), "b": torch.zeros(3).half()}}, False)]


def arrays() -> list[bytes]:
    """detectron2's zoo, in the protocols that there are."""
    held = {"a.weight": np.ones((2, 3), np.float32), "b": np.asfortranarray(np.ones((2, 3))), "c": np.zeros(4, ">i4")}
    return [pickle.dumps({"model": held, "__author__": "zoo"}, protocol) for protocol in (2, 3, 4, 5)]


def caffe() -> list[bytes]:
    """Two layers of each version of the format."""
    numbers = struct.pack("<6f", *range(6))
    new = _field(7, _field(1, b"\x02\x03")) + _field(5, numbers)
    old_shape = b"\x08\x01\x10\x01\x18\x02\x20\x03" + _field(5, numbers)
    return [_field(100, _field(1, b"conv") + _field(7, new)) + _field(2, _field(4, b"fc") + _field(6, old_shape))]


def weight_files() -> list[bytes]:
    """A small SSD without a checksum, so that what is damaged is looked at, not refused for being other bytes."""
    model = vedette.build("ssd300-timm/lcnet_050", 3, **SMALL)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "whole.safetensors"
        save_weights(path, model, name="ssd300-timm/lcnet_050", classes=("a", "b", "c"), input_spec=model.input_spec)  # type: ignore[arg-type]
        content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= {"vedette": "2"}
    del header["__metadata__"]["checksum"]
    text = json.dumps(header).encode()
    return [len(text).to_bytes(8, "little") + text + content[8 + length :]]


FORMATS = {
    "pth": Format(".pth", zipped, read_state_dict),
    "old-pth": Format(".pth", old, read_state_dict),
    "pkl": Format(".pkl", arrays, read_state_dict),
    "caffemodel": Format(".caffemodel", caffe, read_caffemodel),
    "safetensors": Format(".safetensors", weight_files, restore),
}


def _saved(content: Any, new: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes in a protocol buffer, of fewer than 128."""
    key = number << 3 | 2
    return (bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])) + bytes([len(content)]) + content
