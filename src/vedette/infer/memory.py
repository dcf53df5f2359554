"""Memory that a network uses again for the next batch, instead of giving it back to the system after each layer.

glibc gives large blocks back as soon as they are free, and the system clears the pages of the next ones: with the maps
of a batch that takes up to a third of the time on a CPU. See benchmarks/memory.py.
"""

import ctypes
import os
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of glibc's malloc.h
NEVER, NONE = -1, 0  # gives back; blocks that are asked of the system one by one
OWN_WISHES = ("MALLOC_", "GLIBC_TUNABLES")  # beginnings of the environment's names that glibc itself goes by


@cache
def reuse_memory() -> bool:
    """Has this process keep the memory that it once needed, and says whether it does.

    Only glibc is asked (Linux), and not where the environment says how it is to work (`MALLOC_TRIM_THRESHOLD_`, …,
    `GLIBC_TUNABLES`).
    """
    if sys.platform != "linux" or any(name.startswith(OWN_WISHES) for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(MMAP_MAX, NONE) and library.mallopt(TRIM_THRESHOLD, NEVER))
