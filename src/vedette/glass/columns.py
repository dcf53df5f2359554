"""Tensors as JSON: little-endian bytes in base64, maps of many numbers in eight or sixteen bits."""

from base64 import b64encode
from typing import Any

import numpy as np
import torch
from torch import Tensor

TYPES = {
    torch.float32: ("float32", "<f4"),
    torch.int32: ("int32", "<i4"),
    torch.int16: ("int16", "<i2"),
    torch.uint8: ("uint8", "u1"),
}
SIXTEENTH = 1 / 16  # pixels: the least step of quantised boxes

Column = dict[str, Any]


def column(values: Tensor) -> Column:
    """As {"type", "shape", "data"}: float32, uint8, or int32 where they are other integers."""
    if values.dtype not in TYPES:
        values = values.float() if values.is_floating_point() else values.int()
    name, order = TYPES[values.dtype]
    raw = np.ascontiguousarray(values.numpy()).astype(order).tobytes()
    return {"type": name, "shape": list(values.shape), "data": b64encode(raw).decode("ascii")}


def quantised(values: Tensor) -> Column:
    """Scores from 0 on in eight bits: a value is the byte times "scale"."""
    scale = max(float(values.max()), 1e-12) / 255 if values.numel() else 1.0
    return column((values / scale).round().clamp(0, 255).to(torch.uint8)) | {"scale": scale}


def quantised_boxes(boxes: Tensor) -> Column:
    """Pixels in sixteen bits, to a sixteenth of one; beyond ±2047 they are cut."""
    whole = (boxes.nan_to_num(0.0) / SIXTEENTH).round().clamp(-32767, 32767)
    return column(whole.to(torch.int16)) | {"scale": SIXTEENTH}
