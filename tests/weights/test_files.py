import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import vedette
from vedette.errors import InputError
from vedette.structures import InputSpec
from vedette.weights.files import load_into, read_weights, save_weights

GOLDEN = Path(__file__).parents[1] / "golden"
DEMO = Path(vedette.__file__).parent / "assets" / "demo"

SPEC = InputSpec(size=320, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), channels="bgr", divisor=64)


@dataclass(frozen=True)
class Config:
    num_classes: int = 2
    ratios: tuple[float, ...] = (0.5, 2.0)


class Tiny(nn.Module):
    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.config = Config()
        self.body = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, outputs)


def write(path: Path, model: nn.Module | None = None, **changes: object) -> Path:
    facts = {"name": "tiny", "classes": ("cat", "dog"), "category_ids": (17, 18), "input_spec": SPEC}
    save_weights(path, model or Tiny(), **(facts | changes))  # type: ignore[arg-type]
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    model = Tiny().to(memory_format=torch.channels_last)
    stored = read_weights(write(tmp_path / "new" / "a.safetensors", model, extra={"data": "voc/train"}))
    assert stored.name == "tiny"
    assert stored.config == {"num_classes": 2, "ratios": [0.5, 2.0]}
    assert stored.classes == ("cat", "dog")
    assert stored.category_ids == (17, 18)
    assert stored.input_spec == SPEC
    assert stored.extra == {"data": "voc/train"}
    assert stored.tensors.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(stored.tensors[key], value)
        assert stored.tensors[key].dtype == value.dtype


def test_without_classes_and_with_a_config_of_ones_own(tmp_path: Path) -> None:
    stored = read_weights(write(tmp_path / "a.safetensors", classes=None, category_ids=None, config={"depth": 7}))
    assert (stored.classes, stored.category_ids) == (None, None)
    assert stored.config == {"depth": 7}


def test_half(tmp_path: Path) -> None:
    model = Tiny()
    with torch.no_grad():
        model.norm.running_var.fill_(1e6)  # more than float16 holds
    stored = read_weights(write(tmp_path / "a.safetensors", model, half=True))
    assert stored.tensors["body.weight"].dtype == torch.float16
    assert stored.tensors["norm.running_var"].tolist() == [1e6] * 4
    assert stored.tensors["norm.num_batches_tracked"].dtype == torch.int64
    fresh = Tiny()
    load_into(fresh, stored)
    assert fresh.body.weight.dtype == torch.float32
    torch.testing.assert_close(fresh.body.weight, model.body.weight, rtol=1e-3, atol=1e-4)


def test_tied_tensors_are_stored(tmp_path: Path) -> None:
    model = Tiny()
    model.body.bias = model.head.bias = nn.Parameter(torch.arange(4.0))
    assert read_weights(write(tmp_path / "a.safetensors", model)).tensors["head.bias"].tolist() == [0, 1, 2, 3]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.safetensors", name="old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"a\.safetensors: cannot be written \(No space left on device\)"):
        write(path, name="new")
    assert read_weights(path).name == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def bad_file(folder: Path, kind: str) -> Path:
    path = write(folder / "good.safetensors").rename(folder / "file.safetensors")
    content = path.read_bytes()
    if kind == "text":
        path.write_text("These are not weights.\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(content[:-10])
    elif kind == "header cut":
        path.write_bytes(content[:60])
    elif kind == "header overwritten":
        path.write_bytes(content[:40] + b"\0" * 30 + content[70:])
    elif kind == "length overwritten":
        path.write_bytes(b"\xff" * 8 + content[8:])
    elif kind == "other tool":
        save_file({"a": torch.zeros(1)}, path, {"format": "pt"})
    elif kind == "no metadata":
        save_file({"a": torch.zeros(1)}, path)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "missing":
        path.unlink()
    elif kind == "pickle":
        torch.save({"a": torch.zeros(1)}, path)
    elif kind == "old pickle":
        torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)
    else:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        del metadata["checksum"]
        metadata["vedette"] = "2"  # whose files have none
        key, value = {
            "newer": ("vedette", "4"),
            "no checksum": ("vedette", "3"),
            "bad version": ("vedette", "x"),
            "no JSON": ("config", "{"),
            "wrong kind": ("classes", "5"),
            "too many classes": ("classes", '["cat", "dog", "cow"]'),
            "config no table": ("config", "[1]"),
            "numbers for names": ("classes", "[1, 2]"),
            "a word for names": ("classes", '"ab"'),
            "names for ids": ("category_ids", '["1", "2"]'),
            "too few ids": ("category_ids", "[1]"),
            "unknown field": ("input_spec", json.dumps({"size": 3, "shape": "round"})),
            "no table": ("input_spec", "[320]"),
            "no size": ("input_spec", json.dumps({"size": "320"})),
            "one colour": ("input_spec", json.dumps({"size": 320, "mean": [1.0]})),
        }.get(kind, ("", ""))
        metadata[key] = value
        if kind == "key lost":
            del metadata["input_spec"]
        save_file({"a": torch.zeros(1)}, path, metadata)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text", "not a safetensors file"),
        ("empty", "not a safetensors file"),
        ("truncated", "not a whole safetensors file"),
        ("header cut", "not a whole safetensors file"),
        ("header overwritten", "not a whole safetensors file"),
        ("length overwritten", "not a whole safetensors file"),
        ("other tool", "of another tool"),
        ("no metadata", "of another tool"),
        ("folder", "a folder"),
        ("missing", "no such file"),
        ("pickle", "vedette weights import"),
        ("old pickle", "vedette weights import"),
        ("newer", "format 4, this vedette reads up to 3"),
        ("no checksum", "damaged since it was written"),
        ("bad version", "format x"),
        ("no JSON", "header is damaged"),
        ("wrong kind", "header is damaged"),
        ("too many classes", "classes does not fit the number of classes"),
        ("config no table", "header is damaged"),
        ("numbers for names", "classes is not a list of str"),
        ("a word for names", "classes is not a list of str"),
        ("names for ids", "category_ids is not a list of int"),
        ("too few ids", "category_ids does not fit the number of classes"),
        ("unknown field", "header is damaged"),
        ("key lost", "header is damaged"),
        ("no table", "header is damaged"),
        ("no size", "size is '320': give a whole number"),
        ("one colour", "mean is (1.0,): give three numbers"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, kind: str, reason: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(InputError) as raised:
        read_weights(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "\n" not in message


def test_a_file_of_which_a_bit_changed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors")
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"a\.safetensors: "):
            read_weights(path)


def test_equal_weights_make_equal_files(tmp_path: Path) -> None:
    model = Tiny()
    contents = {write(tmp_path / f"{n}.safetensors", model, extra={"b": "1", "a": "2"}).read_bytes() for n in range(8)}
    assert len(contents) == 1
    assert write(tmp_path / "other.safetensors", Tiny()).read_bytes() not in contents


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    path, model = write(tmp_path / "a.safetensors"), Tiny()
    before = path.read_bytes()
    model.head.weight.data[1, 2] = value
    with pytest.raises(
        InputError, match=r"a\.safetensors is not written: 1 of 12 values of head\.weight are not finite"
    ):
        write(path, model)
    assert path.read_bytes() == before
    with safe_open(path, "pt") as file:
        save_file(model.state_dict(), path, {**file.metadata(), "vedette": "2", "checksum": ""})
    with pytest.raises(InputError, match=r"a\.safetensors: 1 of 12 values of head\.weight are not finite"):
        read_weights(path)


def test_checkpoints_of_other_tools_are_known_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.caffemodel").write_bytes(b"\x0a\x03VGG")
    with pytest.raises(InputError, match="vedette weights import"):
        read_weights(tmp_path / "a.caffemodel")


def test_nothing_is_loaded_where_something_does_not_fit(tmp_path: Path) -> None:
    stored = read_weights(write(tmp_path / "a.safetensors"))
    model = Tiny(outputs=9)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=r"head\.bias is 3, the model's is 9; head\.weight is 3x4, the model's is 9x4"):
        load_into(model, stored)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_file_and_its_model_are_named_where_it_does_not_fit(tmp_path: Path) -> None:
    stored = read_weights(write(tmp_path / "a.safetensors", name="small"))
    with pytest.raises(InputError, match=r"a\.safetensors: does not fit the model \(the file is of small\): head"):
        load_into(Tiny(outputs=9), stored)


def test_missing_and_superfluous_tensors_are_named(tmp_path: Path) -> None:
    stored = read_weights(write(tmp_path / "a.safetensors"))
    del stored.tensors["body.bias"]
    stored.tensors.update({f"extra{i}": torch.zeros(1) for i in range(3)})
    with pytest.raises(InputError) as raised:
        load_into(Tiny(), stored)
    assert "body.bias is missing; extra0 is not in the model; extra1 is not in the model and 1 more" in str(
        raised.value
    )


def test_layers_can_be_left_out(tmp_path: Path) -> None:
    source, model = Tiny(), Tiny(outputs=9)
    head = model.head.weight.clone()
    load_into(model, read_weights(write(tmp_path / "a.safetensors", source)), leave_out=["head."])
    assert torch.equal(model.body.weight, source.body.weight)
    assert torch.equal(model.head.weight, head)


def test_a_file_of_format_1_still_finds_the_same_boxes() -> None:
    """The detector bundled until then, whose maps are not normalised, on the demo's photographs: as its code found."""
    golden = json.loads((GOLDEN / "format1.json").read_text())
    detector = vedette.load(GOLDEN / "format1-refinedet320-lite0.safetensors", device="cpu")
    assert detector.model.config.map_rms == 0
    for name, wanted in golden.items():
        found = detector.detect(DEMO / name, score=0.02)
        assert found.labels.tolist() == wanted["labels"]
        assert found.source.tolist() == wanted["source"]
        torch.testing.assert_close(found.boxes, torch.tensor(wanted["boxes"]), rtol=0, atol=0.02)
        torch.testing.assert_close(found.scores, torch.tensor(wanted["scores"]), rtol=0, atol=1e-3)


def test_layers_that_a_file_has_no_weights_for_are_never_made(tmp_path: Path) -> None:
    """A header that asks for a hundred million classes: their layers would take 900 GB."""
    model = vedette.build("ssd300-timm/lcnet_050", 3)
    config = model.config.__dict__ | {"num_classes": 10**8}  # type: ignore[operator]
    path = write(
        tmp_path / "a.safetensors", model, name="ssd300-timm/lcnet_050", config=config, classes=None, category_ids=None
    )
    with pytest.raises(InputError, match=r"a\.safetensors: does not fit the model .* head\.logits\.0\.bias is 16"):
        vedette.load(path)
