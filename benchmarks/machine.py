"""What a table of times says of the machine that it was made on, and how fast that machine multiplies matrices."""

import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
PACKAGES = ("torch", "torchvision", "onnxruntime", "openvino", "transformers")
SIDE = 2048  # of the matrices
REPEATS = 7


def describe(commit: str) -> dict[str, str]:
    """Processor, its instructions for networks, threads, versions."""
    info = Path("/proc/cpuinfo")
    lines = [line.split(":", 1) for line in (info.read_text() if info.exists() else "").splitlines() if ":" in line]
    of = {key.strip(): value.strip() for key, value in lines}
    flags = [flag for flag in FLAGS if flag in of.get("flags", "").split()]
    cores = sum(key.strip() == "processor" for key, _ in lines)
    return {
        "processor": f"{of.get('model name', platform.processor())}, family {of.get('cpu family', '?')}, "
        f"model {of.get('model', '?')}, {cores} cores",
        "instructions": ", ".join(flags) or "not known",
        "threads": str(torch.get_num_threads()),
        "versions": ", ".join([f"Python {platform.python_version()}", *filter(None, map(_version, PACKAGES))]),
        "commit": commit,
    }


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def matmul_peak(dtype: torch.dtype, side: int = SIDE) -> float:
    """Floating-point operations a second of a product of two square matrices, the median of several."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    times = []
    for round_ in range(REPEATS + 2):
        start = time.perf_counter()
        a @ b
        if round_ >= 2:  # the first choose their kernels
            times.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(times)
