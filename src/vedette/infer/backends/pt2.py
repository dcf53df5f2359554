"""A program of torch.export, run by PyTorch without the classes that it was made from, or compiled for a machine."""

import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
import torchvision.ops  # noqa: F401  # the program calls its operators
from torch import Tensor

import vedette.ops.nms  # noqa: F401  # and ours
from vedette.errors import InputError
from vedette.infer.backends.open import reading
from vedette.infer.backends.session import Session
from vedette.weights.exported import of_metadata

METADATA = "vedette.json"  # in the file
COMPILED = "/aotinductor/"  # a folder in the file


def open_session(path: Path, bf16: bool = False) -> Session:
    """Raises InputError as `open.open_session` does, and for a file that was compiled for another machine."""
    with reading(path), ZipFile(path) as archive:
        names = archive.namelist()
    opened = _open_compiled if any(COMPILED in name for name in names) else _open_program
    return opened(path, bf16)


def machine() -> str:
    """What compiled code hangs on."""
    processor = torch.backends.cpu.get_cpu_capability()
    return f"{platform.system()} {platform.machine()} with {processor}, torch {torch.__version__}"


def _open_program(path: Path, bf16: bool) -> Session:
    extra = {METADATA: ""}
    with reading(path), _quiet():
        program = torch.export.load(path, extra_files=extra)
        exported = of_metadata(path, json.loads(extra[METADATA] or "{}"))
        graph = program.module(check_guards=False)  # they fix what was seen in one size and holds for all
    return Session(path, exported, Program(graph), bf16)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export logs tracebacks of files that it cannot read, which `reading` tells in a line."""
    logger = logging.getLogger("torch.export")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _open_compiled(path: Path, bf16: bool) -> Session:
    """What it says of itself is read before its code is loaded."""
    from torch.export.pt2_archive._package import load_pt2

    with reading(path), ZipFile(path) as archive:
        held = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(f"/extra/{METADATA}")]
        exported = of_metadata(path, held[0] if held else {})
    if exported.compiled_on != machine():
        raise InputError(
            f"{path}: compiled on {exported.compiled_on}, and this is {machine()}; export it again here, or without "
            "--compiled"
        )
    with reading(path):
        return Session(path, exported, Compiled(path, load_pt2(str(path)).aoti_runners["model"]), bf16)


class Program:
    """What runs the graph."""

    def __init__(self, graph: Callable[..., Any]) -> None:
        self.graph = graph

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """bf16: under autocast, as a model runs."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found: Sequence[Tensor] = self.graph(**inputs)
        return found


class Compiled:
    """What runs the machine code."""

    def __init__(self, path: Path, run: Callable[..., Any]) -> None:
        self.path, self.run = path, run

    def __call__(self, inputs: Mapping[str, Tensor], bf16: bool) -> Sequence[Tensor]:
        """Raises InputError for bf16: its code is for float32."""
        if bf16:
            raise InputError(f"{self.path}: compiled in float32; leave bf16 out, or export it without --compiled")
        found: Sequence[Tensor] = self.run(**inputs)
        return found
