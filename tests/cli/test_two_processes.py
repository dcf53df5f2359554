"""Two processes train what one does with twice the batch; one that stops is noticed; they share the evaluation."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from vedette.train.checkpoint import read_state
from vedette.train.processes import ANSWER

SIDE = 64
SQUARE, SHORT = [f"image_size={SIDE}"], [f"image_size={SIDE}", f"max_side={SIDE}"]
FPN = [*SHORT, "width=32", "anchor_sizes=[[8],[16],[32],[48],[64]]"]
M2DET = [*SQUARE, "levels=2", "width=16", "base_channels=[8,12]", "squeeze=4", "sizes=[0.2,0.4,0.7,1.0]"]
SSD = [*SQUARE, "extra_channels=[[32,32],[32,32],[32,32]]", "anchor_sizes=[12,20,32,44,52,58,64]"]
REGIONS = ["proposals=60", "positives=3", "negatives=9"]
NAMES = {
    "ssd300-timm/resnet10t": SSD,
    "refinedet320-timm/resnet10t": [*SQUARE, "tcb_channels=8", "extra_channels=[8,16]"],
    "m2det320-timm/resnet10t": M2DET,
    "retinanet-timm/resnet10t-fpn": [*SHORT, "width=32"],
    "faster-rcnn-timm/resnet10t": [*SHORT, "rpn_channels=32", "anchor_sizes=[[16,32]]"],
    "faster-rcnn-timm/resnet10t-fpn": [*FPN, "rpn_channels=32", "proposals=[50,20]"],
    "fast-rcnn-timm/resnet10t": [*SHORT, "proposals=60", "regions=8"],
    "rcnn-timm/resnet10t": [*REGIONS, "warp_size=32", "context=4"],
    "sppnet-timm/resnet10t": [*REGIONS, "scales=[64,96]", "window=32", "hidden=32", "dropout=0"],
}
QUICK = "refinedet320-timm/resnet10t"
pytestmark = pytest.mark.slow  # a process and its torch for each of them
SCRIPT = "import sys; from vedette.cli.main import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of two kinds of boxes, one to four each; five of them to measure on."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    images, boxes = [], []
    for number in range(12):
        picture = Image.effect_noise((SIDE, SIDE), 20 + number).convert("RGB")
        for place in range(1 + number % 4):
            x, y, side = 6 + 13 * place, 4 + 3 * number, 12 + number
            picture.paste((200, 30, 40) if place % 2 else (40, 200, 30), (x, y, min(x + side, SIDE), min(y + 16, SIDE)))
            box = [x, y, min(side, SIDE - x), min(16, SIDE - y)]
            boxes.append({"id": len(boxes), "image_id": number, "category_id": place % 2, "bbox": box})
        picture.save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
    names = [{"id": 0, "name": "leaf"}, {"id": 1, "name": "brick"}]
    for split, count in (("train", 12), ("val", 5)):
        own = [box for box in boxes if box["image_id"] < count]
        content = {"images": images[:count], "annotations": own, "categories": names}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def started(
    data: Path, out: Path, name: str, processes: int, batch: int, *more: str, script: str = SCRIPT
) -> subprocess.Popen[str]:
    """A training of one epoch in so many processes."""
    words = ["train", name, "--data", str(data), "--out", str(out), "--epochs", "1", "--batch-size", str(batch)]
    words += [word for setting in NAMES[name] for word in ("--set", setting)]
    words += ["--backbone", "random", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
    words += ["--optimizer", "sgd", "--lr", "0.01", *more]  # AdamW makes a step of what rounding leaves of nothing
    file = out.parent / "script.py"
    file.write_text(script)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    own = launch if processes > 1 else []
    cache = {"XDG_CACHE_HOME": str(data / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *own, str(file), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | cache,
    )


def weights(out: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = read_state(out / "last.pt")["model"]
    return found


def assert_two_are_as_one(data: Path, folder: Path, name: str, *more: str) -> None:
    outs = {}
    for processes, batch in ((1, 4), (2, 2)):
        outs[processes] = folder / str(processes) / "run"
        outs[processes].parent.mkdir()
        said, errors = (run := started(data, outs[processes], name, processes, batch, *more)).communicate()
        assert run.returncode == 0, said + errors
    one, two = weights(outs[1]), weights(outs[2])
    assert one.keys() == two.keys()
    moved = 0.0
    for key, value in one.items():
        assert torch.allclose(value.float(), two[key].float(), rtol=1e-4, atol=1e-5), key
        moved = max(moved, float(value.float().abs().max()))
    assert moved > 0
    lines = [json.loads((out / "log.jsonl").read_text().splitlines()[0]) for out in outs.values()]
    assert lines[0].keys() == lines[1].keys()
    for key in lines[0].keys() - {"images_per_second"}:
        assert lines[0][key] == pytest.approx(lines[1][key], abs=2e-4), key


def test_two_processes_are_as_one_with_twice_the_batch(data: Path, tmp_path: Path) -> None:
    assert_two_are_as_one(data, tmp_path, QUICK)


@pytest.mark.parametrize("name", [name for name in NAMES if name != QUICK])
def test_of_every_detector(data: Path, tmp_path: Path, name: str) -> None:
    if name.startswith(("rcnn", "sppnet", "fast-rcnn")):
        pytest.importorskip("cv2")
    if name.startswith(("rcnn", "sppnet")):
        pytest.importorskip("sklearn")
    assert_two_are_as_one(data, tmp_path, name)


def test_two_batches_of_a_step_are_as_one_with_twice_the_batch(data: Path, tmp_path: Path) -> None:
    """Of a detector whose batch norm does not learn: one that does sees one batch at a time."""
    name, finals = "retinanet-timm/resnet10t-fpn", []
    for batch, more in ((4, []), (2, ["--accumulate", "2"])):
        out = tmp_path / str(batch) / "run"
        out.parent.mkdir()
        said, errors = (run := started(data, out, name, 1, batch, *more)).communicate()
        assert run.returncode == 0, said + errors
        finals.append(weights(out))
    for key, value in finals[0].items():
        assert torch.allclose(value.float(), finals[1][key].float(), rtol=1e-4, atol=1e-5), key


STOPS = """
import os, signal, sys
from datetime import timedelta
from vedette.cli.main import run
from vedette.train import loop, processes

processes.ANSWER = timedelta(seconds=6)
learn, done = loop.Training._learn_from, []

def stop_in_the_second_step(self, *given):
    done.append(given)
    if os.environ["RANK"] == "1" and len(done) == 2:
        os.kill(os.getpid(), signal.SIGSTOP)
    learn(self, *given)

loop.Training._learn_from = stop_in_the_second_step
sys.exit(run(sys.argv[1:]))
"""


def test_a_process_that_stops_is_noticed(data: Path, tmp_path: Path) -> None:
    """Within the patience, which is two minutes without this test."""
    assert ANSWER.total_seconds() == 120
    run = started(data, tmp_path / "run", QUICK, 2, 2, script=STOPS)
    try:
        _, errors = run.communicate(timeout=150)
    finally:
        run.send_signal(signal.SIGKILL)
    assert run.returncode != 0
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: another process of this training ended, or did not answer for 0.1 minutes: ")
    assert "Traceback" not in errors.split("error: ")[0]


ENDS = """
import os, sys, time
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.train import run as training

evaluate = training.evaluate_model

def end(*given, **ways):
    if os.environ["RANK"] == "1":
        raise InputError("a picture that cannot be read")
    return evaluate(*given, **ways)

training.evaluate_model = end
began = time.monotonic()
status = run(sys.argv[1:])
print("ended", os.environ["RANK"], flush=True)
sys.exit(status)
"""


def test_a_process_that_ends_in_an_evaluation_is_noticed(data: Path, tmp_path: Path) -> None:
    said, errors = (run := started(data, tmp_path / "run", QUICK, 2, 2, script=ENDS)).communicate(timeout=280)
    assert run.returncode != 0
    lines = sorted(line for line in errors.splitlines() if line.startswith("error: "))
    assert lines[0] == "error: a picture that cannot be read"
    assert lines[1].startswith("error: another process of this training ended, ")
    assert "ended 0" in said  # by itself: nobody had to kill it


def test_two_processes_and_one_picture(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("sklearn")
    content = json.loads((data / "train.json").read_text())
    content["images"] = content["images"][:1]
    content["annotations"] = [box for box in content["annotations"] if box["image_id"] == 0]
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "images").symlink_to(data / "images")
    (tmp_path / "one" / "train.json").write_text(json.dumps(content))
    name = "rcnn-timm/resnet10t"
    said, errors = (run := started(tmp_path / "one", tmp_path / "run", name, 2, 1)).communicate(timeout=280)
    assert run.returncode == 0, said + errors


COUNTS = """
import os, sys
from vedette.cli.main import run
from vedette.data import loader
from vedette.train import run as training

evaluate = training.evaluate_model

def counted(model, dataset, *more, **ways):
    with open(sys.argv[-1], "a") as file:
        file.writelines(f"{os.environ['RANK']} {name.name}\\n" for name in map(dataset.file, range(len(dataset))))
    return evaluate(model, dataset, *more, **ways)

training.evaluate_model = counted
sys.exit(run(sys.argv[1:-1]))
"""


def test_the_evaluation_is_shared_and_each_picture_seen_once(data: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.txt"
    said, errors = (run := started(data, tmp_path / "run", QUICK, 2, 2, str(seen), script=COUNTS)).communicate()
    assert run.returncode == 0, said + errors
    pairs = sorted(line.split() for line in seen.read_text().splitlines())
    assert pairs == [["0", "0.png"], ["0", "2.png"], ["0", "4.png"], ["1", "1.png"], ["1", "3.png"]]
