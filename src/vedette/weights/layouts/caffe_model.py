"""Reads the weights in a .caffemodel: a protocol buffer, of which five messages are needed.

Field numbers are those of caffe.proto:
    NetParameter       layers 2 (V1), layer 100
    V1LayerParameter   name 4, blobs 6
    LayerParameter     name 1, blobs 7
    BlobProto          num, channels, height, width 1 to 4 (old form of the shape), data 5, shape 7, double_data 8
    BlobShape          dim 1
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.weights.finite import check_finite

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}  # of NetParameter → a layer's name and blobs
FLOATS, SHAPE, DOUBLES = 5, 7, 8
OLD_SHAPE = (1, 2, 3, 4)
DIM = 1

Value = int | memoryview


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """The blobs of every layer, float32, named `layer[0]`, `layer[1]` …

    Raises InputError where the file is missing, damaged or something else, or holds weights that are not finite.
    """
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        blobs = dict(_blobs(content))
    except ValueError as error:
        raise InputError(f"{path}: not a .caffemodel, or a damaged one: {error}") from None
    if not blobs:
        raise InputError(f"{path}: not a .caffemodel, or one without weights")
    check_finite(blobs, path)
    return blobs


def _blobs(net: memoryview) -> Iterator[tuple[str, Tensor]]:
    for number, layer in _fields(net):
        if number in LAYER_FIELDS:
            name_field, blob_field = LAYER_FIELDS[number]
            fields = list(_fields(_bytes(layer)))
            name = next((str(_bytes(value), "utf-8") for field, value in fields if field == name_field), "")
            blobs = (value for field, value in fields if field == blob_field)
            yield from ((f"{name}[{index}]", _blob(_bytes(blob))) for index, blob in enumerate(blobs))


def _blob(message: memoryview) -> Tensor:
    parts: list[np.ndarray] = []
    shape: list[int] | None = None
    old_shape: dict[int, int] = {}
    for number, value in _fields(message):
        if number in (FLOATS, DOUBLES):  # packed, or one number a field
            parts.append(np.frombuffer(_bytes(value), "<f4" if number == FLOATS else "<f8").astype(np.float32))
        elif number == SHAPE:
            shape = [dim for field, dims in _fields(_bytes(value)) if field == DIM for dim in _integers(dims)]
        elif number in OLD_SHAPE and isinstance(value, int):
            old_shape[number] = value
    if shape is None:
        shape = [old_shape.get(number, 1) for number in OLD_SHAPE]
    count = sum(map(len, parts))
    if count != prod(shape):
        raise ValueError(f"a blob of shape {tuple(shape)} with {count} numbers")
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, np.float32)).reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message; what is not an integer stays bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == BYTES:
            length, position = _varint(message, position)
        elif wire_type in (FIXED32, FIXED64):
            length = 4 if wire_type == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type} is not known")
        if position + length > len(message):
            raise ValueError("it ends too early")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The integer at `position`, seven bits a byte, and the position behind it."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends too early")
        byte = message[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("an integer has no end")


def _integers(value: Value) -> list[int]:
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("an integer where a message should be")
    return value
