"""Weights under any keys and behind any prefix are found and chosen, and nothing that stands beside them is run."""

import argparse
import collections
import datetime
import enum
import functools
import pathlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vedette.cli.main import run
from vedette.errors import InputError
from vedette.weights.layouts.pickled import Picked, pick, read_content, read_state_dict

HAS = r"head\.(conv|fc)\.weight"
PLAIN = {"body.0.weight": torch.arange(3.0), "head.conv.weight": torch.ones(2), "head.conv.bias": torch.zeros(())}


def picked(path: Path, content: Any, key: str | None = None, **how: Any) -> Picked:
    """What is found in a file of that content."""
    torch.save(content, path, **how)
    return pick(path, read_content(path), HAS, key)


def prefixed(prefix: str, weights: dict[str, Tensor] = PLAIN) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


def same(found: dict[str, Tensor], right: dict[str, Tensor] = PLAIN) -> bool:
    return list(found) == list(right) and all(torch.equal(found[name], right[name]) for name in right)


def copies(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor + 1 for name, tensor in weights.items()}


@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda w: w, "."),
        (lambda w: {"state_dict": prefixed("model.", w)}, "state_dict.model"),
        (lambda w: {"state_dict": prefixed("module._orig_mod.model.", w)}, "state_dict.model"),
        (lambda w: {"model": {"state_dict": prefixed("_orig_mod.module.", w)}}, "model.state_dict"),
        (lambda w: {"model_ema": prefixed("module.", w)}, "model_ema"),
        (lambda w: {"checkpoint": {"net": {"params": {"weights": w}}}}, "checkpoint.net.params.weights"),
        (lambda w: prefixed("net.detector.", w), "net.detector"),
        (lambda w: prefixed("body_of_all.", w) | {"loss.weight": torch.ones(3)}, "body_of_all"),
        (lambda w: prefixed("module.", w) | {"n_averaged": torch.tensor(4)}, "."),
        (lambda w: {"model": w, "optimizer": {"state": {"exp_avg": copies(w)}, "param_groups": []}}, "model"),
        (lambda w: {"model": w, "model_again": dict(w)}, "model"),
        (lambda w: {"a": [], "model_state_dict": collections.defaultdict(list, w)}, "model_state_dict"),
        (lambda w: (prefixed("module.", w), {"epoch": 3}), "0"),
        (lambda w: {"models": [7, (prefixed("model.", w),)]}, "models.1.0.model"),
        (lambda w: {"ema": argparse.Namespace(decay=0.9, weights=w)}, "ema.weights"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_found_wherever_they_are(
    tmp_path: Path, wrap: Callable[[Any], Any], place: str, zipped: bool
) -> None:
    found = picked(tmp_path / "a.pth", wrap(PLAIN), _use_new_zipfile_serialization=zipped)
    assert same(found.tensors)
    assert found.place == place
    assert found.others == ()


def test_the_same_tensors_under_another_key_may_be_asked_for(tmp_path: Path) -> None:
    """As where an average shares its tensors with the model, or a teacher with its student."""
    found = picked(tmp_path / "a.pth", {"model": PLAIN, "model_ema": dict(PLAIN)}, "model_ema")
    assert same(found.tensors)
    assert found.others == ()


def test_a_wrapper_in_the_middle_of_names_is_taken_out() -> None:
    names = {"body._orig_mod.0.weight": 1, "head.module.conv.weight": 2, "module_list.0": 3}
    from vedette.weights.layouts.nesting import _unwrapped

    assert list(_unwrapped(dict.fromkeys(names, torch.ones(1)))) == [
        "body.0.weight",
        "head.conv.weight",
        "module_list.0",
    ]


def test_names_that_would_be_the_same_without_a_wrapper_are_two_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds the weights of 2 models: \., module; choose one: --key \."):
        picked(tmp_path / "a.pth", PLAIN | prefixed("module.", copies(PLAIN)))


def test_an_average_is_taken_when_it_is_asked_for(tmp_path: Path) -> None:
    average = {name: tensor + 7 for name, tensor in PLAIN.items()}
    content = {"model": PLAIN, "model_ema": prefixed("module.", average)}
    first = picked(tmp_path / "a.pth", content)
    assert same(first.tensors)
    assert (first.place, first.others) == ("model", ("model_ema",))
    assert same(picked(tmp_path / "a.pth", content, "model_ema").tensors, average)
    assert same(picked(tmp_path / "a.pth", {"epoch": 3, "ema_state_dict": average}).tensors, average)


def test_two_models_in_a_file_are_told_and_chosen_by_key(tmp_path: Path) -> None:
    other = {name: tensor + 7 for name, tensor in PLAIN.items()}
    both = {"state_dict": prefixed("student.") | prefixed("teacher.", other)}
    path = tmp_path / "a.pth"
    message = r"a\.pth: holds the weights of 2 models: state_dict\.student, state_dict\.teacher; choose one: --key"
    with pytest.raises(InputError, match=message):
        picked(path, both)
    assert same(picked(path, both, "state_dict.teacher").tensors, other)
    with pytest.raises(InputError, match=r"--key teacher: .*a\.pth has no weights there; it has state_dict\.student, "):
        picked(path, both, "teacher")
    inside = PLAIN | prefixed("teacher.", other)  # one beside the names of the other
    assert same(picked(path, inside, ".").tensors)
    assert same(picked(path, inside, "teacher").tensors, other)


# ---------------------------------------------------------------------------------------------- what stands beside


class Level(enum.Enum):
    HIGH = 3


class Anything(dict[str, Any]):
    """Of a class that the reader must not look up: pickled by its name alone."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.own = {(1, 2): [3]}


def beside() -> dict[str, Any]:
    """What training programs save with the weights."""
    return {
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("a/b"), device=torch.device("cpu")),
        "meta": Anything({"env": {"time": datetime.datetime(2024, 1, 1), 3: {4, 5}, (1, 2): frozenset("a")}}),
        "hyper_parameters": collections.OrderedDict(
            level=Level.HIGH, dtype=torch.float16, size=torch.Size([1, 2]), of=functools.partial(max, 1), default=max
        ),
        "history": [np.float64(0.5), np.arange(3), np.random.RandomState(0).get_state(), range(3), 1j, None, b"x"],
        "by_class": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("aab"),
        "queue": collections.deque([1], 3),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_whatever_stands_beside_the_weights_is_inert(tmp_path: Path, zipped: bool, protocol: int) -> None:
    how = {"_use_new_zipfile_serialization": zipped, "pickle_protocol": protocol}
    assert same(picked(tmp_path / "a.pth", {"model": PLAIN, **beside()}, **how).tensors)


def test_nothing_that_a_file_names_is_imported_or_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return print, ("code of the file was run",)

    path = tmp_path / "a.pth"
    torch.save({"model": PLAIN, "meta": Harm()}, path)
    assert same(pick(path, read_content(path), HAS).tensors)
    assert capsys.readouterr().out == ""
    torch.save({"model": PLAIN, "meta": argparse.Namespace(a=1)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"cargparse\nNamespace\n", b"cantigravity\nfly\n"))
    assert "antigravity" not in sys.modules
    assert same(pick(path, read_content(path), HAS).tensors)
    assert "antigravity" not in sys.modules


# ---------------------------------------------------------------------------------------------- whole modules


class Detector(nn.Module):
    """Pickled whole, by its name in this file."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
        self.head = nn.ModuleDict({"conv": nn.Conv2d(2, 1, 1)})
        self.register_buffer("grid", torch.ones(2), persistent=False)
        self.register_buffer("mean", torch.ones(3))
        self.nothing: Tensor | None
        self.register_buffer("nothing", None)
        self.head["again"] = self.head["conv"]
        self.anchors = torch.ones(4)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"epoch": 1, "model": nn.DataParallel(m), "optimizer": Level}])
def test_a_pickled_module_gives_its_state_dict(
    tmp_path: Path, wrap: Callable[[Any], Any], protocol: int, zipped: bool
) -> None:
    torch.manual_seed(0)
    module = Detector()
    right = module.state_dict()
    found = picked(
        tmp_path / "a.pth", wrap(module), pickle_protocol=protocol, _use_new_zipfile_serialization=zipped
    ).tensors
    assert found.keys() == right.keys()
    assert all(torch.equal(found[name], right[name]) for name in right)


def test_names_that_nobody_gives_are_no_weights(tmp_path: Path) -> None:
    """Which could not be said in a line, or take hours to compare."""
    odd = {"a\nb.weight": torch.ones(1), "x." * 500_000 + "weight": torch.ones(1), "\x1b[2Jhead.conv.weight": PLAIN}
    assert same(picked(tmp_path / "a.pth", {"model": PLAIN | odd, "b\n": PLAIN | {"c": torch.ones(1)}}).tensors)


def test_many_dicts_take_no_time(tmp_path: Path) -> None:
    many = {str(number): {} for number in range(200_000)}
    began = time.process_time()
    assert same(picked(tmp_path / "a.pth", {"many": many, "model": PLAIN}).tensors)
    assert time.process_time() - began < 20


def test_modules_without_end_are_refused(tmp_path: Path) -> None:
    """One that holds itself, and sixty in one another, each in two places."""
    circle = nn.Sequential(nn.Linear(1, 1))
    circle.add_module("a", circle)
    circle.add_module("b", circle)
    twice: nn.Module = nn.Linear(1, 1)
    for _ in range(60):
        twice = nn.ModuleList([twice, twice])
    for module in (circle, twice):
        torch.save(module, tmp_path / "a.pth")
        with pytest.raises(InputError, match=r"a\.pth: a damaged"):
            read_state_dict(tmp_path / "a.pth")


def test_the_command_says_which_layout_and_which_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from weights.layouts.test_ssd import state_dict

    weights = state_dict("lufficc")
    average = {f"model.{name}": tensor + 1 for name, tensor in weights.items()}
    path, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"model": weights, "ema": {"module": average}, "args": argparse.Namespace(a=1)}, path)
    assert run(["weights", "import", str(path), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"note: {path} is read as --from lufficc",
        "note: the weights are those of model; for others in the file give --key ema.module.model",
    ]
    assert "ssd300-vgg16, 20 classes" in said.out
    assert run(["weights", "import", str(path), "--key", "ema.module.model", "--out", str(out)]) == 0
