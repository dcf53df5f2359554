"""Which number format a device is fastest in."""

from typing import Literal

import torch


def fast_precision(device: torch.device) -> Literal["bf16", "fp32"]:
    """bf16 where the device computes in it, else fp32.

    A CPU without instructions for it (AMX or AVX512-BF16) only imitates bf16, and is slower with it.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and (
            torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # torch names no public way
        )
    return "bf16" if native else "fp32"
