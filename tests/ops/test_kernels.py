"""The kernels for a GPU, without one: what they compute, by Triton's interpreter, and that they compile."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from vedette.ops import bipartite_triton, nms_triton  # noqa: E402

POINTERS = {"groups": "*i64", "ends": "*i32", "places": "*i64", "drops": "*i64", "room": "*i32", "keep": "*i1"}
POINTERS |= {"asked": "*i64", "gone": "*i1", "anchor": "*i64", "taken": "*i1", "width": "i32", "enough": "i32"}
POINTERS |= {"anchors": "i32", "iou": "fp64", "sigma": "fp64", "floor": "fp32"}


@pytest.mark.slow
def test_the_kernels_compute_what_slow_loops_do() -> None:
    """In a process of its own: whether kernels are interpreted is settled when triton is imported."""
    file = Path(__file__).with_name("interpreted_kernels.py")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(file)]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    finished = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout[-3000:]


@pytest.mark.parametrize("number", ["fp32", "fp64"])
@pytest.mark.parametrize(
    ("kernel", "constants"),
    [
        (nms_triton._arrange, {"TILE": 64, "PADDING": nms_triton.PADDING}),
        (nms_triton._compare, {"TILE": 64}),
        (nms_triton._compare, {"TILE": 64, "ends": None, "width": 1}),
        (nms_triton._walk, {"TILE": 64, "CHUNK": 1024}),
        (nms_triton._walk, {"TILE": 64, "CHUNK": 1, "ends": None, "width": 1, "enough": 1}),
        (nms_triton._soft_nms, {"LINEAR": True, "CHUNK": 1024}),
        (nms_triton._soft_nms, {"LINEAR": False, "CHUNK": 1, "ends": None, "width": 1}),
        (bipartite_triton._assign, {"BOXES": 64, "CHUNK": 4096}),
    ],
)
def test_they_compile_and_nothing_is_fused(
    kernel: Any, constants: dict[str, Any], number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product fused with a sum would be rounded once, and an overlap differ from that of `ops.boxes.iou`."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = {"boxes": "i32" if kernel is bipartite_triton._assign else "*" + number} | POINTERS
    signature = {name: "constexpr" if name in constants else types.get(name, "*" + number) for name in kernel.arg_names}
    code = ASTSource(kernel, signature, {(kernel.arg_names.index(name),): value for name, value in constants.items()})
    compiled = triton.compile(code, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False})
    assert compiled.asm["ptx"].count("fma.rn.f32") == 0
