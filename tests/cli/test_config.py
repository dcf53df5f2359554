"""vedette config: every field with its value, what it may be, and where it is from."""

import json

import pytest

import vedette
from vedette.cli.main import run


def test_value_bounds_and_source_of_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "ssd300-vgg16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    fields = told["fields"]
    assert list(fields) == list(told["config"]) == list(vedette.build("ssd300-vgg16").config.__dataclass_fields__)  # type: ignore[union-attr]
    assert fields["match_iou"]["value"] == fields["match_iou"]["usual"] == told["config"]["match_iou"] == 0.5
    assert fields["match_iou"]["bounds"] == "a number above 0, at most 1"
    assert fields["match_iou"]["source"] == "sec. 2.2"
    assert fields["aspect_ratios"]["source"] == "sec. 3.1, less 1"  # of a value that is written on many lines
    assert fields["nms"]["bounds"] == "one of hard, linear, gaussian"
    assert all(field["bounds"] for field in fields.values())
    assert sum(not field["source"] for field in fields.values()) <= 1


def test_what_a_name_has_of_its_own_is_not_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "refinedet320-lite0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("tcb_channels"))
    assert lines[place].split() == ["tcb_channels", "128"]
    assert lines[place + 1].strip() == "a whole number from 1 on; this name's own; the paper's is 256 (fig. 2)"
    place = next(number for number, line in enumerate(lines) if line.startswith("theta"))
    assert lines[place + 1].strip() == "a number above 0; sec. 3.2"


def test_a_mistyped_field_or_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        vedette.InputError, match=r"no field 'tcb_chanels'; did you mean tcb_channels\? `vedette config"
    ):
        vedette.build("refinedet320-lite0", tcb_chanels=3)
    with pytest.raises(vedette.InputError, match=r"no field 'wings': `vedette config"):
        vedette.build("refinedet320-lite0", wings=3)
    assert run(["config", "refinedet"]) == 2
    assert "no model 'refinedet'" in capsys.readouterr().err
