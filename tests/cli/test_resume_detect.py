"""A batch that was stopped: what is done stands there, and the rest follows."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from cli.upper_left import WAIT, load
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.structures import Detections

Captured = pytest.CaptureFixture[str]
ROWS, RESULTS = Path("out/detections.jsonl"), Path("out/detections.json")
COMMAND = ["detect", "in", "--out", "out"]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five pictures, one of them broken."""
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(5):
        Image.new("RGB", (40 + number, 20)).save(f"in/{number}.png")
    Path("in/3.png").write_text("no picture")


def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are decoded from now on."""
    files: list[str] = []
    from vedette.infer import files as module

    decode = module._decode
    monkeypatch.setattr(module, "_decode", lambda file: (files.append(Path(file).name), decode(file))[1])
    return files


def test_a_row_for_each_picture() -> None:
    assert run([*COMMAND, "--score", "0.7"]) == 1
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    assert rows[1] == {
        "file_name": "in/1.png",
        "source": str(Path("in/1.png").resolve()),
        "output": "1.jpg",
        "width": 41,
        "height": 20,
        "detections": [{"category_id": 18, "bbox": [0, 0, 20.5, 10], "score": pytest.approx(0.9), "class_name": "dog"}],
    }
    assert list(rows[3]) == ["file_name", "source", "error"]
    assert rows[3]["error"].startswith("in/3.png: not an image")
    assert [row["file_name"] for row in rows] == [f"in/{number}.png" for number in range(5)]


def test_pictures_without_detections_have_a_row_too() -> None:
    assert run([*COMMAND, "--score", "0.99"]) == 1
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    assert [row.get("detections") for row in rows] == [[], [], [], None, []]
    assert json.loads(RESULTS.read_text()) == []


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.35, 0.5, 0.8, 0.999, 1.0])
def test_cut_anywhere_it_goes_on_to_the_same_list(keep: float) -> None:
    assert run(COMMAND) == 1
    whole, rows = RESULTS.read_bytes(), ROWS.read_bytes()
    RESULTS.unlink()
    ROWS.write_bytes(rows[: int(keep * len(rows))])
    assert run([*COMMAND, "--resume"]) == 1
    assert RESULTS.read_bytes() == whole
    assert ROWS.read_bytes() == rows


def test_what_is_done_is_not_done_again(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert run(COMMAND) == 1
    lines = ROWS.read_text().splitlines(keepends=True)
    RESULTS.unlink()
    ROWS.write_text("".join([*lines[:2], lines[3], lines[2][:30]]))  # as if the third had come last
    files = seen(monkeypatch)
    capsys.readouterr()
    assert run([*COMMAND, "--resume"]) == 1
    assert files == ["2.png", "4.png", "3.png"]  # the broken one, which may have been mended, last
    assert capsys.readouterr().out.splitlines()[-1] == "4 images, 8 detections: see out/"
    files.clear()
    Image.new("RGB", (43, 20)).save("in/3.png")
    assert run([*COMMAND, "--resume"]) == 0
    assert files == ["3.png"]
    assert [row["image_id"] for row in json.loads(RESULTS.read_text())] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_run_that_was_not_finished_is_not_begun_anew_unasked(capsys: Captured) -> None:
    assert run(COMMAND) == 1
    RESULTS.unlink()
    rows = ROWS.read_bytes()
    capsys.readouterr()
    assert run(COMMAND) == 2
    assert capsys.readouterr().err == (
        "error: --out out: a run that was not finished is there, with 4 pictures done; go on with --resume, begin anew "
        "with --overwrite, or give another folder\n"
    )
    assert ROWS.read_bytes() == rows
    assert run([*COMMAND, "--overwrite"]) == 1


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (["--score", "0.7"], 'out was begun with score "default", and now it is 0.7'),
        (["--model", "in/0.png"], 'out was begun with model "refinedet320-lite0", and now it is "in/0.png"'),
        (["--flip"], "out was begun with flip false, and now it is true"),
        (["--scales", "32,64"], "out was begun with scales null, and now it is [32, 64]"),
        (["--nms", "linear"], 'out was begun with nms null, and now it is "linear"'),
        (["--overwrite"], "--resume goes on with a run, --overwrite begins one anew: give one of them"),
    ],
)
def test_other_settings_are_refused(now: list[str], message: str, capsys: Captured) -> None:
    assert run(COMMAND) == 1
    before = ROWS.read_bytes(), RESULTS.read_bytes()
    capsys.readouterr()
    assert run([*COMMAND, "--resume", *now]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (ROWS.read_bytes(), RESULTS.read_bytes()) == before


def test_a_default_that_is_given_is_no_other_setting() -> None:
    tiles = ["--tiles", "64"]
    assert run([*COMMAND, *tiles]) == run([*COMMAND, *tiles, "--overlap", "0.2", "--resume"]) == 1
    assert run([*COMMAND, *tiles, "--overlap", "0.3", "--resume"]) == 2


def test_other_weights_of_the_same_name_are_refused(capsys: Captured) -> None:
    Path("best.safetensors").write_bytes(b"some")
    given = [*COMMAND, "--model", "best.safetensors"]
    assert run(given) == run([*given, "--resume"]) == 1
    Path("best.safetensors").write_bytes(b"others")
    capsys.readouterr()
    assert run([*given, "--resume"]) == 2
    assert "--resume: best.safetensors holds other weights than when out was begun" in capsys.readouterr().err


def test_weights_beside_an_exported_graph_are_looked_at_too(capsys: Captured) -> None:
    Path("best.xml").write_text("graph")
    Path("best.bin").write_bytes(b"some")
    given = [*COMMAND, "--model", "best.xml"]
    assert run(given) == run([*given, "--resume"]) == 1
    Path("best.bin").write_bytes(b"others")
    capsys.readouterr()
    assert run([*given, "--resume"]) == 2
    assert "--resume: best.xml holds other weights than when out was begun" in capsys.readouterr().err


@pytest.mark.parametrize(("way", "asked"), [("look_in", ["--scales", "32,64"]), ("look", ["--bf16"])])
def test_what_an_exported_file_cannot_do_leaves_the_results_of_before(
    way: str, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert run(COMMAND) == 1
    before = ROWS.read_bytes(), RESULTS.read_bytes()

    def refuse(*given: object) -> None:
        raise InputError("best.onnx: cannot do that")

    def exported(source: str, device: str | None = None, **config: object) -> Detector:
        detector = load(source, device, **config)
        monkeypatch.setattr(Detector, "model", None)
        return detector

    monkeypatch.setattr("vedette.infer.load.load", exported)
    monkeypatch.setattr(Detector, way, refuse)
    capsys.readouterr()
    assert run([*COMMAND, *asked]) == 2
    assert capsys.readouterr().err == "error: best.onnx: cannot do that\n"
    assert (ROWS.read_bytes(), RESULTS.read_bytes()) == before


def test_batch_size_may_be_another() -> None:
    assert run(COMMAND) == run([*COMMAND, "--resume", "--batch-size", "2"]) == 1


def test_with_nothing_to_go_on_with_it_begins_and_says_so(capsys: Captured) -> None:
    said = "note: --resume: nothing is done in out yet, so all begins\n"
    assert run([*COMMAND, "--resume"]) == 1
    assert len(json.loads(RESULTS.read_text())) == 8
    assert said in capsys.readouterr().err
    assert run([*COMMAND, "--resume"]) == 1
    assert said not in capsys.readouterr().err


def test_the_network_sees_the_batches_that_it_would_have_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of another size may change the last digit of a score; the broken picture moves nothing."""
    widths: list[list[int]] = []
    look = Detector.look

    def watched(self: Detector, pictures: list[Image.Image], *how: object) -> list[Detections]:
        widths.append([picture.width for picture in pictures])
        return look(self, pictures, *how)  # type: ignore[arg-type]

    Image.new("RGB", (45, 20)).save("in/5.png")
    Path("in/0.png").write_text("no picture either")
    monkeypatch.setattr(Detector, "look", watched)
    assert run([*COMMAND, "--batch-size", "2"]) == 1
    assert widths == [[41], [42], [44, 45]]
    rows = ROWS.read_bytes().splitlines(keepends=True)
    expected = list(widths)
    for done, rest in ((2, expected[1:]), (4, expected[2:])):
        RESULTS.unlink()
        ROWS.write_bytes(b"".join(rows[:done]))
        widths.clear()
        assert run([*COMMAND, "--batch-size", "2", "--resume"]) == 1
        assert widths == rest
        assert ROWS.read_bytes() == b"".join(rows)


def test_pictures_that_came_since_are_done_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(COMMAND) == 1
    Path("more").mkdir()
    Image.new("RGB", (90, 20)).save("more/0.png")
    files = seen(monkeypatch)
    assert run(["detect", "more", *COMMAND[1:], "--resume"]) == 1
    assert files == ["0.png", "3.png"]
    names = {row["file_name"]: row["image_id"] for row in json.loads(RESULTS.read_text())}
    assert list(names.values()) == [0, 1, 2, 3, 5]
    assert sorted(file.name for file in Path("out").glob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg", "4.jpg", "more_0.jpg"]


def begun(count: int) -> subprocess.Popen[bytes]:
    """The command in a process of its own, when it has done so many pictures."""
    program = (
        "import vedette.infer.load as module\n"
        "from cli.upper_left import load\n"
        "module.load = load\n"
        "import sys\n"
        "from vedette.cli.main import main\n"
        f"sys.argv = ['vedette', *{COMMAND!r}, '--batch-size', '1']\n"
        "main()\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, WAIT: "0.3", "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not (ROWS.is_file() and ROWS.read_bytes().count(b"\n") >= count):
        time.sleep(0.02)
    return process


@pytest.mark.slow  # a process and its torch, several times
def test_killed_and_gone_on_with() -> None:
    assert run(COMMAND) == 1
    whole = RESULTS.read_bytes()
    Path("out").rename("whole")
    process = begun(2)
    process.kill()
    process.wait()
    assert 2 <= ROWS.read_bytes().count(b"\n") < 5
    assert not RESULTS.exists()
    assert run([*COMMAND, "--resume", "--batch-size", "1"]) == 1
    assert RESULTS.read_bytes() == whole
    for name in ("0.jpg", "1.jpg", "2.jpg", "4.jpg"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_stopped_it_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, stop: BaseException, code: int
) -> None:
    """By Ctrl-C, and by SIGTERM, which the command line turns into an exit. The list of a run before is not its own."""
    assert run(COMMAND) == 1
    save = Detections.save

    def stopped(found: Detections, path: Path) -> None:
        if path.name == "2.jpg":
            raise stop
        save(found, path)

    monkeypatch.setattr(Detections, "save", stopped)
    try:
        ended = run([*COMMAND, "--batch-size", "1"])
    except SystemExit as error:
        ended = error.code
    assert ended == code
    said = "done: 2 of 5 pictures, in out/detections.jsonl; the same command with --resume goes on\n"
    assert said in capsys.readouterr().err
    assert not RESULTS.exists()
    monkeypatch.setattr(Detections, "save", save)
    assert run([*COMMAND, "--resume"]) == 1
    assert len(json.loads(RESULTS.read_text())) == 8
