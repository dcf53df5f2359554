"""Memory is used again: a block costs its pages once, and not each time that it is asked for."""

import os
import subprocess
import sys

import pytest

from vedette.infer.memory import OWN_WISHES

PAGE, BLOCK, TIMES = 4096, 64 << 20, 10
ALLOCATE = f"""
import resource
import torch
from vedette.infer.look import Look
from vedette.structures import InputSpec

LOOK
for _ in range({TIMES}):
    torch.empty({BLOCK}, dtype=torch.uint8).zero_()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({TIMES}):
    torch.empty({BLOCK}, dtype=torch.uint8).zero_()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(look: bool, **environment: str) -> int:
    """How many pages the system gives for ten blocks of 64 MiB, one after the other, once there were as many."""
    script = ALLOCATE.replace("LOOK", "Look(torch.nn.Linear(1, 1), InputSpec(size=8))" if look else "")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(OWN_WISHES)} | environment
    return int(subprocess.check_output([sys.executable, "-c", script], env=mine))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_a_process_that_looks_keeps_its_memory() -> None:
    pages = TIMES * BLOCK // PAGE
    assert page_faults(look=False) > pages / 2  # huge pages, where the system gives such, are fewer
    assert page_faults(look=True) < pages / 50


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_what_the_environment_says_of_memory_is_obeyed() -> None:
    assert page_faults(look=True, MALLOC_PERTURB_="0") > TIMES * BLOCK // PAGE / 2
