"""Scores of classes in a weight file: another header before the same tensors; who reads it, and who does not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import vedette
from vedette.errors import InputError
from vedette.export.run import describe
from vedette.infer.load import load
from vedette.weights.exported import of_metadata, to_metadata
from vedette.weights.files import read_weights, save_weights
from vedette.weights.thresholds import write_thresholds

CLASSES = ("cat", "dog", "cow")
SCORES = [0.25, 0.5, 1.0]
OLD = Path(__file__).parents[1] / "golden" / "format1-refinedet320-lite0.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "own.safetensors"
    model = vedette.build("ssd300-lite0", num_classes=3, weights_backbone=None)
    save_weights(
        file, model, name="ssd300-lite0", classes=CLASSES, input_spec=model.input_spec, half=True, extra={"why": "test"}
    )
    return file


def tensors_of(file: Path) -> bytes:
    """All behind the header."""
    content = file.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_the_tensors_are_the_same_bit_for_bit(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.safetensors"
    write_thresholds(weights, out, SCORES)
    assert tensors_of(out) == tensors_of(weights)
    before, after = read_weights(weights), read_weights(out)
    assert (before.thresholds, after.thresholds) == (None, tuple(SCORES))
    for name in ("name", "config", "classes", "category_ids", "input_spec", "version", "extra"):
        assert getattr(after, name) == getattr(before, name)


def test_in_place_and_once_more(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    file.write_bytes(weights.read_bytes())
    for scores in (SCORES, [0.1, 0.2, 0.3]):
        write_thresholds(file, file, scores)
        assert read_weights(file).thresholds == tuple(scores)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_has_none_is_written_as_before(weights: Path) -> None:
    with safe_open(weights, "pt") as file:
        assert "thresholds" not in file.metadata()


def test_an_old_file_keeps_its_format(tmp_path: Path) -> None:
    """What its config lacks means what it meant then."""
    out = tmp_path / "old.safetensors"
    count = len(read_weights(OLD).classes or ())
    write_thresholds(OLD, out, [0.5] * count)
    assert read_weights(out).version == 1
    assert tensors_of(out) == tensors_of(OLD)
    assert load(out, device="cpu").thresholds == (0.5,) * count


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5, 1.1], [0.5, 0.5, float("nan")], []])
def test_other_numbers_are_refused(weights: Path, tmp_path: Path, scores: list[float]) -> None:
    with pytest.raises(ValueError, match="are no scores from 0 to 1, one for each of its classes"):
        write_thresholds(weights, tmp_path / "new.safetensors", scores)
    assert not any(tmp_path.iterdir())


def test_a_header_of_other_numbers_is_damaged(weights: Path, tmp_path: Path) -> None:
    from vedette.weights.sealed import sealed

    with safe_open(weights, "pt") as file:
        metadata = dict(file.metadata())
    bad = tmp_path / "bad.safetensors"
    for text in ("[0.5]", '["0.5", "0.5", "0.5"]', "0.5"):
        bad.write_bytes(sealed({"a": torch.zeros(1)}, metadata | {"thresholds": text}))
        with pytest.raises(InputError, match="its header is damaged"):
            read_weights(bad)


def test_a_loaded_detector_goes_by_them_and_an_exported_file_has_them(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    write_thresholds(weights, file, SCORES)
    detector = load(file, device="cpu")
    assert detector.thresholds == tuple(SCORES)
    assert load(weights, device="cpu").thresholds is None
    metadata = to_metadata(describe(detector))
    assert json.loads(metadata["thresholds"]) == SCORES
    assert of_metadata(Path("own.onnx"), metadata).thresholds == tuple(SCORES)
