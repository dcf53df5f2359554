"""How much there is to read for one paper: counted right, and no more than there was."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of SSD: files, lines of them, and of the definitions in them; may fall. The last rise, 32 lines: a step of several
# processes, which divide by the numbers of all. Since then: NMS is called as a function and so seen to be read,
# detections show themselves in notebooks, and a graph that is exported may have sides that are not known yet.
FILES, LINES, REACHED = 14, 2152, 1429


def counted(paper: str, *words: str) -> list[str]:
    command = [sys.executable, str(ROOT / "tools/reading.py"), paper, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_paper_counts_whole_and_what_it_uses_by_its_definitions() -> None:
    table = {line.split()[-1]: [int(word) for word in line.split() if word.isdigit()] for line in counted("ssd")[:-1]}
    whole = len((ROOT / "src/vedette/papers/ssd.py").read_text().splitlines())
    assert table["vedette.papers.ssd"] == [whole, whole]
    reached, lines = table["vedette.parts.matching"]  # SSD's rule alone
    assert 10 <= reached < lines / 2
    assert "vedette.papers.refinedet" not in table


def test_what_is_left_out_is_not_followed() -> None:
    names = [line.split()[-1] for line in counted("ssd", "--leave-out", "vedette.parts.detection")[:-1]]
    assert "vedette.parts.detection" not in names
    assert "vedette.ops.nms" not in names  # the detection alone uses it


def test_there_is_no_more_to_read_than_before() -> None:
    words = counted("ssd")[-1].split()
    assert int(words[0]) <= REACHED
    assert int(words[4]) <= FILES
    assert int(words[2]) <= LINES
