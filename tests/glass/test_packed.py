"""A trace in few bytes: by hand; a browser's side is tested in tests/pages/glass/decode.test.mjs."""

import base64
import gzip
import json
import struct

import torch

from vedette.glass.columns import column, quantised_boxes
from vedette.glass.packed import RISE, pack


def unpacked(text: str) -> tuple[dict[str, dict[str, int]], bytes]:
    whole = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(whole[:4], "little")
    return json.loads(whole[4 : 4 + length]), whole[4 + length :]


def test_columns_stand_aligned_behind_the_head_and_equal_ones_once() -> None:
    bytes_, floats = column(torch.tensor([1, 2, 3], dtype=torch.uint8)), column(torch.tensor([0.5, -2.0]))
    head, body = unpacked(pack({"a": bytes_, "b": [floats], "c": bytes_, "d": None}))
    assert head["a"] == head["c"] == {"type": "uint8", "shape": [3], "at": 0}
    assert head["b"] == [{"type": "float32", "shape": [2], "at": 8}]
    assert head["d"] is None
    assert body == b"\1\2\3\0\0\0\0\0" + struct.pack("<2f", 0.5, -2.0)


def test_boxes_are_written_as_what_they_rise_by() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [1, 0, 2, 1]])
    head, body = unpacked(pack({"boxes": quantised_boxes(boxes)}))
    assert head["boxes"]["rises"] == RISE == 12
    assert struct.unpack("<16h", body) == (0, 0, 16, 16, 0, 0, 32, 32, 0, 0, 48, 48, 16, 0, 16, 0)
