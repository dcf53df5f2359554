"""The kinds of files that come from elsewhere: whole ones to begin with, and who reads them."""

import argparse
import io
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

import vedette
from fuzz.data_sets import FOLDER, coco, coco_objects, lay_out, reader, voc, voc_objects, yolo, yolo_objects
from fuzz.mutants import altered, mutant
from vedette.train.checkpoint import SEAL, save_state
from vedette.train.resume import Position, resume_from
from vedette.weights.files import save_weights
from vedette.weights.layouts.caffe_model import read_caffemodel
from vedette.weights.layouts.pickled import read_state_dict
from vedette.zoo import restore

PATIENCE = 60.0
SMALL = {"extra_channels": [[8, 8]] * 3}


class Format(NamedTuple):
    """A kind of file, or of a folder in one run of bytes that `lay` lays out.

    `sealed` gives a mutant the checksum that belongs to it, as who means harm would.
    """

    name: str  # of a file or folder
    whole: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    sealed: Callable[[bytes], bytes] = bytes
    mutate: Callable[[bytes, Random], bytes] = mutant
    lay: Callable[[Path, bytes], object] = Path.write_bytes
    seconds: float = PATIENCE  # of the processor's time that a mutant may take


def data_set(whole: Callable[[], list[bytes]], objects: Callable[[Path], int | None]) -> Format:
    """A data set: whole ones, and how many objects the files of one say there are."""
    return Format(FOLDER, whole, reader(objects), mutate=altered, lay=lay_out, seconds=1.0)


def zipped() -> list[bytes]:
    """State dicts as torch.save writes them."""
    return [_saved({"a.weight": torch.rand(3, 4), "a.bias": torch.zeros(3), "n": torch.tensor(7)}, True)]


def old() -> list[bytes]:
    """State dicts as torch.save wrote them before there were zip files."""
    return [_saved({"state_dict": {"module.a": torch.rand(3, 4), "b": torch.zeros(3).half()}}, False)]


def nested() -> list[bytes]:
    """Training checkpoints of both kinds: a whole module, and weights beside what programs save with them."""
    linear = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    beside = {"args": argparse.Namespace(lr=0.1, tags={"a"}, when=date(2024, 1, 1)), "score": np.float64(0.5)}
    module = {"epoch": 3, "model": linear, **beside}
    weights = {"state_dict": {f"model._orig_mod.{name}": tensor for name, tensor in linear.state_dict().items()}}
    return [_saved(content, new) for content in (module, weights | beside) for new in (True, False)]


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


def states() -> list[bytes]:
    """The checkpoint of a run, without its checksum."""
    model, optimizer, schedule = _learning()
    model(torch.rand(2, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "average": None, "optimizer": optimizer.state_dict()}
    state |= {"schedule": schedule.state_dict()} | asdict(Position(epoch=1, steps=3, random=[{"host": None}]))
    with TemporaryDirectory() as folder:
        save_state(Path(folder) / "last.pt", state)
        return [(Path(folder) / "last.pt").read_bytes()[: -len(SEAL) - 32]]


def go_on(path: Path) -> Any:
    """From a checkpoint, as a training does."""
    model, optimizer, schedule = _learning()
    parts = {"model": model, "average": None, "optimizer": optimizer, "schedule": schedule}
    return resume_from(path.parent, 9, lambda line: None, **parts)


FORMATS = {
    "pth": Format("mutant.pth", zipped, read_state_dict),
    "old-pth": Format("mutant.pth", old, read_state_dict),
    "nested-pth": Format("mutant.pth", nested, read_state_dict),
    "pkl": Format("mutant.pkl", arrays, read_state_dict),
    "caffemodel": Format("mutant.caffemodel", caffe, read_caffemodel),
    "safetensors": Format("mutant.safetensors", weight_files, restore),
    "coco": data_set(coco, coco_objects),
    "voc": data_set(voc, voc_objects),
    "yolo": data_set(yolo, yolo_objects),
    "checkpoint": Format("last.pt", states, go_on, lambda content: content + SEAL + sha256(content).digest()),
}


def _learning() -> tuple[Any, Any, Any]:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def _saved(content: Any, new: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes in a protocol buffer, of fewer than 128."""
    key = number << 3 | 2
    return (bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])) + bytes([len(content)]) + content
