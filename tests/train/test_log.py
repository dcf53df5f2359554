"""The lines of a run's log, the table made of them, and what a terminal shows."""

import json
from math import nan
from pathlib import Path

from vedette.train.log import RunLog, epoch_record, overall

RESULTS = {"mAP": 0.5, "AP/cat": 0.25, "AP/a,b": nan}


def rows(folder: Path, epochs: int) -> RunLog:
    log = RunLog(folder, {})
    for epoch in range(1, epochs + 1):
        log.epoch(epoch_record(epoch, {"area": 0.123456}, RESULTS, 0.001, 7.0 * (epoch > 1)), epoch)
    return log


def test_a_line_has_losses_results_and_rate_and_no_nan(tmp_path: Path) -> None:
    rows(tmp_path, 1).close()
    line = (tmp_path / "log.jsonl").read_text()
    wanted = {"epoch": 1, "area": 0.1235, "mAP": 0.5, "AP/cat": 0.25, "AP/a,b": None, "lr": 0.001}
    assert json.loads(line, parse_constant=lambda name: name) == wanted


def test_the_table_says_what_the_lines_say(tmp_path: Path) -> None:
    rows(tmp_path, 2).close()
    assert (tmp_path / "log.csv").read_text().splitlines() == [
        'epoch,area,mAP,AP/cat,"AP/a,b",lr,images_per_second',
        "1,0.1235,0.5,0.25,,0.001,",
        "2,0.1235,0.5,0.25,,0.001,7.0",
    ]


def test_going_on_from_a_mark_cuts_the_table_too(tmp_path: Path) -> None:
    log = rows(tmp_path, 1)
    marks = log.marks()
    log.epoch({"epoch": 2, "area": 0.1}, 2)
    log.close()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    RunLog(tmp_path, marks).close()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    RunLog(tmp_path, {}).close()
    assert not (tmp_path / "log.csv").exists()


def test_a_terminal_shows_no_single_classes() -> None:
    assert overall(RESULTS) == "mAP 0.5000"
