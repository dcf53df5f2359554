"""vedette detect --ray: its words, its folder, and a run on a local Ray that is killed and gone on with."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

import pyarrow.parquet as pq

from cli.upper_left import load
from vedette.cli import ray
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.infer import on_ray
from vedette.infer.collection import Collection, Job, Looker, absolute
from vedette.infer.detector import Detector

Captured = pytest.CaptureFixture[str]
COMMAND = ["detect", "in", "--ray", "--out", "out"]
PATIENCE = 300  # seconds: of a busy machine


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Six pictures, one of them broken; Ray's work is done here, and said which parts."""
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(6):
        Image.new("RGB", (40 + number, 20)).save(f"in/{number}.png")
    Path("in/3.png").write_text("no picture")
    done: list[int] = []

    @contextmanager
    def started(address: str | None) -> Iterator[None]:
        yield None

    def look_at(none: None, collection: Collection, job: Job, workers: on_ray.Workers) -> Iterator[int]:
        for part in collection.left():
            Looker(job).look(part, absolute(collection.files_of(part)))
            done.append(part)
            yield len(collection.files_of(part))

    monkeypatch.setattr(on_ray, "ray_started", started)
    monkeypatch.setattr(on_ray, "look_at", look_at)
    monkeypatch.setattr(on_ray, "workers_of", lambda none, wanted, device: on_ray.Workers(wanted or 1, 1))
    return done


def rows(folder: Path = Path("out")) -> list[dict[str, Any]]:
    """Those of all parts, one after the other."""
    return [row for file in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_parquet_a_row_a_picture_and_exit_code_1_for_one_with_an_error(photos: list[int], capsys: Captured) -> None:
    assert run(COMMAND) == 1
    assert photos == [0, 1, 2]
    assert [row["file"] for row in rows()] == [f"in/{number}.png" for number in range(6)]
    said = capsys.readouterr()
    assert said.out == "5 images, 10 detections: see out/part-*.parquet\n"
    assert said.err.startswith(f"error: {Path('in/3.png').resolve()}: not an image")
    Path("in/3.png").unlink()
    assert run([*COMMAND[:-1], "other", "--score", "0.7"]) == 0
    assert [row["scores"] for row in rows(Path("other"))] == [pytest.approx([0.9])] * 5


def test_what_is_done_is_not_done_again(photos: list[int], capsys: Captured) -> None:
    run(COMMAND)
    whole = rows()
    Path("out/part-000001.parquet").unlink()
    photos.clear()
    assert run(COMMAND) == 2
    assert "a run is there, with 2 of 3 parts done; go on with --resume" in capsys.readouterr().err
    assert run([*COMMAND, "--resume"]) == 1
    assert photos == [1]
    assert rows() == whole
    assert run([*COMMAND, "--resume", "--ray-workers", "2"]) == 1  # the parts stay what they were
    assert photos == [1]
    assert run([*COMMAND, "--overwrite", "--ray-workers", "2"]) == 1
    assert photos == [1, 0, 1, 2, 3, 4, 5]
    assert rows() == whole


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        ("", ["--resume", "--score", "0.7"], '--resume: out was begun with score "default", and now it is 0.7'),
        ("", ["--resume", "--overwrite"], "--resume goes on with a run, --overwrite begins one anew"),
        ("in/9.png", ["--resume"], "--resume: 1 picture more and 0 fewer than when out was begun; give the same"),
        ("", ["--json"], "--json: not of --ray; leave it out"),
        ("", ["--graphs"], "--graphs: not of --ray; leave it out"),
    ],
)
def test_what_does_not_go_is_one_line(
    photos: list[int], capsys: Captured, before: str, now: list[str], why: str
) -> None:
    run(COMMAND)
    whole, done = rows(), list(photos)
    if before:
        Image.new("RGB", (9, 9)).save(before)
    capsys.readouterr()
    assert run([*COMMAND, *now]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {why}")
    assert said.count("\n") == 1
    assert (rows(), photos) == (whole, done)


def test_files_of_others_are_not_written_over(photos: list[int], capsys: Captured) -> None:
    Path("out").mkdir()
    Path("out/part-000007.parquet").write_text("mine")
    assert run([*COMMAND, "--overwrite"]) == 2
    assert "part-000007.parquet is not of this command; give another folder" in capsys.readouterr().err
    assert Path("out/part-000007.parquet").read_text() == "mine"


def test_the_scores_of_the_weights_are_told(
    photos: list[int], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def chosen(source: str, device: str | None = None, **config: object) -> Detector:
        detector = load(source, device, **config)
        detector.thresholds = (0.7, 0.2)
        return detector

    monkeypatch.setattr("vedette.infer.load.load", chosen)
    assert run(COMMAND) == 1
    note = "note: least scores are those chosen for the classes: cat 0.70, dog 0.20; --score gives one for all\n"
    assert capsys.readouterr().err.startswith(note)
    assert run([*COMMAND[:-1], "other", "--score", "0.5"]) == 1
    assert "note" not in capsys.readouterr().err


def test_options_of_ray_need_it(capsys: Captured) -> None:
    assert run(["detect", "in", "--ray-workers", "2"]) == 2
    assert capsys.readouterr().err == "error: --ray-workers: goes with --ray; add it\n"


def test_without_the_package_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(ray, "find_spec", lambda name: None)
    assert run(COMMAND) == 2
    assert capsys.readouterr().err == 'error: --ray needs ray: pip install "vedette[scale]"\n'


@pytest.mark.parametrize(
    ("here", "wanted", "device", "workers"),
    [
        ({"CPU": 2.0}, None, None, (1, 2, 0)),
        ({"CPU": 16.0}, None, None, (4, 4, 0)),
        ({"CPU": 16.0}, 8, None, (8, 2, 0)),
        ({"CPU": 3.0}, 2, None, (2, 1, 0)),
        ({"CPU": 16.0, "GPU": 2.0}, None, None, (2, 1, 1)),
        ({"CPU": 16.0, "GPU": 2.0}, None, "cpu", (4, 4, 0)),
    ],
)
def test_as_many_workers_as_fit(
    here: dict[str, float], wanted: int | None, device: str | None, workers: tuple[int, int, int]
) -> None:
    assert on_ray.workers_of(cluster(here), wanted, device) == on_ray.Workers(*workers)


def cluster(here: dict[str, float]) -> Any:
    return SimpleNamespace(cluster_resources=lambda: here)


def test_more_workers_than_fit_are_refused() -> None:
    with pytest.raises(InputError, match="--ray-workers 9: Ray has 4 cores here; give no more"):
        on_ray.workers_of(cluster({"CPU": 4.0}), 9, None)
    with pytest.raises(InputError, match="--ray-workers 2: Ray has 1 GPUs here"):
        on_ray.workers_of(cluster({"CPU": 4.0, "GPU": 1.0}), 2, "cuda")


def started(*options: str) -> "subprocess.Popen[str]":
    """The command in a process of its own, on a local Ray."""
    program = "from vedette.cli.main import main; main()"
    source = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{source / 'src'}:{source / 'tests'}"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND, "--model", "small.safetensors", "--ray-workers", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.slow  # a local Ray, twice
def test_on_a_local_ray_killed_and_gone_on_with_each_picture_has_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vedette
    from vedette.weights.files import save_weights

    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(60):
        Image.effect_noise((64, 48), 90).convert("RGB").save(f"in/{number:02}.png")
    Path("in/07.png").write_text("no picture")
    small: dict[str, Any] = {"num_classes": 2, "tcb_channels": 8, "extra_channels": (8, 16)}
    model = vedette.build("refinedet320-timm/test_efficientnet", **small)
    save_weights("small.safetensors", model, name="refinedet320-timm/test_efficientnet", classes=None,
                 input_spec=model.input_spec)  # fmt: skip

    first = started("--score", "0.1")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and first.poll() is None and not [*Path("out").glob("part-*.parquet")]:
        time.sleep(0.02)
    first.kill()
    said = first.communicate(timeout=PATIENCE)[1]
    if "Ray does not start here" in said:
        pytest.skip(said)
    assert first.returncode == -signal.SIGKILL, said
    assert 1 <= len(rows()) < 60

    second = started("--score", "0.1", "--resume")
    out, said = second.communicate(timeout=PATIENCE)
    if "Ray does not start here" in said:
        pytest.skip(said)
    assert second.returncode == 1, said
    own = [line for line in said.splitlines() if "Set ray log level" not in line]  # which Ray says whatever the level
    assert len(own) == 1, said  # of the picture that is none
    assert "59 images" in out
    done = rows()
    assert [row["file"] for row in done] == [f"in/{number:02}.png" for number in range(60)]
    assert [row["file"] for row in done if row["error"]] == ["in/07.png"]
    detector = vedette.load("small.safetensors", "cpu")
    found = detector.detect("in/20.png", score=0.1)
    assert done[20]["scores"] == pytest.approx(found.scores.tolist(), abs=1e-4)
