"""Reads mutants of a format, one after another, and prints what became of each: `python worker.py FORMAT FIRST LAST`.

"read" and "refused" (in one line that names the file) are well. Else it is a fault: an error of another kind, something
that a reader has no business to do, and for data sets more than a second of the processor's time.
"""

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.formats import FORMATS, Format
from vedette.errors import InputError

HARMFUL = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
TABLES = ("encodings.", "torch.")  # what Python and torch themselves import when they need it
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Guard:
    """Notes what a file made its reader do: start a program, go to the network, import a module, write."""

    def __init__(self) -> None:
        self.armed, self.seen = False, ""
        sys.addaudithook(self.look)

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if not self.armed:
            return
        new = event == "import" and arguments[0] not in sys.modules and not arguments[0].startswith(TABLES)
        if event in HARMFUL or new:
            self.seen = f"{event} {arguments[0]}"
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self.seen = f"writes {arguments[0]}"


def outcome(form: Format, path: Path, guard: Guard) -> str:
    """What became of one file."""
    guard.armed, guard.seen = True, ""
    start = time.process_time()
    try:
        form.read(path)
        said = "read"
    except InputError as error:
        said = "refused" if str(path) in str(error) and "\n" not in str(error) else f"said badly: {error}"
    except Exception as error:
        said = f"raw {type(error).__name__}: {error}"
    guard.armed = False
    spent = time.process_time() - start
    if spent > form.seconds:
        return f"slow: {spent:.1f} seconds, {' '.join(said.split())}"
    return f"did {guard.seen}" if guard.seen else " ".join(said.split())


def main() -> None:
    """Prints a line for each mutant."""
    form, first, last = FORMATS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    torch.manual_seed(0)  # the same whole files, and so the same mutants
    whole, guard = form.whole(), Guard()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / form.name
        for content in (*whole, b"", whole[0][:-9]):  # whatever is imported late is so now
            form.lay(path, content)
            outcome(form, path, guard)
        for number in range(first, last):
            random = Random(f"{sys.argv[1]} {number}")
            form.lay(path, form.sealed(form.mutate(random.choice(whole), random)))
            print(number, outcome(form, path, guard), flush=True)


if __name__ == "__main__":
    main()
