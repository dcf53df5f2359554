from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from PIL import Image

from vedette.errors import InputError
from vedette.infer import files
from vedette.infer.detector import Detector
from vedette.infer.files import detect_files
from vedette.infer.multiscale import plan_passes


def folder(path: Path, count: int) -> list[Path]:
    """Pictures that become wider one by one."""
    names = [path / f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        Image.new("RGB", (10 + number, 10), "white").save(name)
    return names


def found_in(detector: Detector, names: list[Path], batch_size: int = 8, score: float = 0.5) -> list[Any]:
    passes = plan_passes(detector.input_spec, batch_size=batch_size)
    return [one for batch in detect_files(detector, names, passes, score) for one in batch]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
def test_bad_files_do_not_stop_the_others(detector: Detector, tmp_path: Path, batch_size: int) -> None:
    names = folder(tmp_path, 7)
    for bad in (2, 3, 6):
        names[bad].write_text("no picture")
    found = found_in(detector, names, batch_size)
    assert [isinstance(one, InputError) for one in found] == [number in (2, 3, 6) for number in range(7)]
    assert str(names[2]) in str(found[2])
    assert [one.boxes.tolist() for one in found if not isinstance(one, InputError)] == [
        [[0, 0, 10 + number, 10]] for number in (0, 1, 4, 5)
    ]


def test_no_files_and_bad_files_alone(detector: Detector, tmp_path: Path) -> None:
    assert found_in(detector, []) == []
    assert [type(one) for one in found_in(detector, [tmp_path, tmp_path / "none"])] == [InputError] * 2
    with pytest.raises(InputError, match="score"):
        found_in(detector, [], score=2.0)


@pytest.mark.slow
def test_no_more_pictures_are_kept_than_wait(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 30 files, in batches of 2: those that wait, a batch, and what the caller holds."""
    names, decoded, most = folder(tmp_path, 30), list[ref[Image.Image]](), 0

    def decode(path: Path) -> Image.Image:
        one = Image.new("RGB", (10, 10), "white")
        decoded.append(ref(one))
        return one

    monkeypatch.setattr(files, "decode_image", decode)
    for results in detect_files(detector, names, plan_passes(detector.input_spec, batch_size=2)):
        while results:
            assert not isinstance(results.pop(0), InputError)
        most = max(most, sum(each() is not None for each in decoded))
    assert most <= 7
    assert not any(each() for each in decoded)
