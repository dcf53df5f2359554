"""Exported files: what is found with them is as a model's, and what is none gets one line."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

import vedette
from infer.backends.shared import described, write_onnx
from vedette import InputError
from vedette.weights.exported import to_metadata

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
PICTURE = Image.new("RGB", (200, 100))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "model.onnx")


def test_it_detects_as_a_weight_file_does(file: Path) -> None:
    detector = vedette.load(file)
    assert detector.model is None
    found = detector.detect(PICTURE, score=0.3)
    assert found.boxes.tolist() == [[20, 20, 60, 40], [0, 0, 200, 100]]  # pixels of the picture, not of the input
    assert found.scores.tolist() == pytest.approx([0.9, 0.4])
    assert found.names == ["dog", "cat"]
    assert found.source.tolist() == [7, 5]
    assert found.category_ids == (17, 18)
    assert [len(one) for one in detector.detect([PICTURE] * 5, score=0.5)] == [1] * 5


def test_passes_are_merged_by_what_the_file_says_of_the_suppression(file: Path) -> None:
    found = vedette.load(file).detect(PICTURE, score=0.3, flip=True)
    assert found.boxes.tolist() == [[20, 20, 60, 40], [140, 20, 180, 40], [0, 0, 200, 100]]
    assert found.source.tolist() == [-1] * 3


def test_what_it_cannot_do_is_said(file: Path) -> None:
    detector = vedette.load(file)
    with pytest.raises(InputError, match="pictures of 100 pixels alone"):
        detector.detect(PICTURE, scales=[64])
    with pytest.raises(InputError, match="bf16: ONNX Runtime computes in float32"):
        detector.detect(PICTURE, bf16=True)
    with pytest.raises(InputError, match="has its own nms; export the weights again"):
        vedette.load(file, nms="linear")
    with pytest.raises(InputError, match="shows no steps; give the weights it was made from"):
        vedette.explain(detector, PICTURE)
    with pytest.raises(InputError, match="runs on the CPU"):
        vedette.load(file, device="meta")


@pytest.mark.parametrize("keep", [0, 1, 200, -30])
def test_a_truncated_file_gets_one_line(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.onnx: (cannot be read|does not say)") as raised:
        vedette.load(file)
    assert "\n" not in str(raised.value)


def test_files_of_others_and_of_later_versions(tmp_path: Path) -> None:
    given = to_metadata(described())
    for metadata, line in (
        ({}, "does not say which detector it is of"),
        ({**given, "vedette_export": "2"}, "format 2, this vedette reads up to 1"),
        ({**given, "vedette_export": "one"}, "format one"),
        ({**given, "input_spec": "[]"}, "damaged"),
        ({**given, "graph": "{}"}, "damaged"),
        (to_metadata(described(raw=True)), "gives raw outputs"),
    ):
        with pytest.raises(InputError, match=line):
            vedette.load(write_onnx(tmp_path / "other.onnx", metadata))


def test_without_the_library_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r'needs onnxruntime; pip install "vedette\[export\]"'):
        vedette.load(file)


def test_openvino_needs_both_files(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    from vedette.export.openvino import save_openvino
    from vedette.infer.backends.openvino import core_for

    save_openvino(core_for("a test").read_model(str(file)), described(), tmp_path / "model.xml")
    found = vedette.load(tmp_path / "model.xml").detect([PICTURE] * 2, score=0.3)
    assert found[1].boxes.tolist() == [[20, 20, 60, 40], [0, 0, 200, 100]]
    assert found[0].names == ["dog", "cat"]
    weights = (tmp_path / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(weights[:4])
    with pytest.raises(InputError, match=r"model\.xml: cannot be read"):
        vedette.load(tmp_path / "model.xml")
    (tmp_path / "model.bin").unlink()
    with pytest.raises(InputError, match=r"model\.bin is not beside it"):
        vedette.load(tmp_path / "model.xml")
    (tmp_path / "model.xml").write_text("<net")
    (tmp_path / "model.bin").write_bytes(weights)
    with pytest.raises(InputError, match=r"model\.xml: cannot be read"):
        vedette.load(tmp_path / "model.xml")


SIGNALLED = """
import gc, signal, sys
import vedette
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
first, second = (vedette.load(sys.argv[1]) for _ in range(2))
for gone in ("first", "second"):
    del globals()[gone]
    gc.collect()
signal.raise_signal(signal.SIGUSR1)
print("heard" if heard else "not heard")
"""


def test_a_signal_is_heard_after_openvinos_detectors_are_gone(file: Path, tmp_path: Path) -> None:
    """Each of OpenVINO's cores lays a stack for signals: closed in the order they came, they left one that was gone."""
    pytest.importorskip("openvino")
    from vedette.export.openvino import save_openvino
    from vedette.infer.backends.openvino import core_for

    model = tmp_path / "model.xml"
    save_openvino(core_for("a test").read_model(str(file)), described(), model)
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(model)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_another_kind_of_xml_is_not_given_to_openvino(tmp_path: Path) -> None:
    """Its parsers would write lines of their own."""
    pytest.importorskip("openvino")
    (tmp_path / "photo.xml").write_text("<annotation><filename>photo.jpg</filename></annotation>")
    (tmp_path / "photo.bin").touch()
    with pytest.raises(InputError, match=r"photo\.xml: is no graph of OpenVINO's; give a file that `vedette export`"):
        vedette.load(tmp_path / "photo.xml")


@pytest.mark.slow  # for what torch.export imports
def test_a_program_that_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "model.pt2"
    file.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match=r"model\.pt2: cannot be read"):
        vedette.load(file)
    for name, line in (
        ("else", r"model\.pt2: cannot be read"),
        ("a/data/aotinductor/model/a.so", "does not say which"),
    ):
        with ZipFile(file, "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(InputError, match=line):
            vedette.load(file)
    assert not caplog.records  # no traceback of torch.export's
