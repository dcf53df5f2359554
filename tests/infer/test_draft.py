"""JPEG files decoded at a fraction of their size, where the network sees less of them anyway."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from vedette.data.decode import decode_image
from vedette.errors import InputError
from vedette.infer.detector import Detector

BOX = (160, 480, 960, 800)


def photo(file: Path, orientation: int = 1) -> Path:
    """1601 × 1203 pixels as seen (before EXIF turns them, the sides are exchanged), a bright box on black."""
    picture = Image.new("RGB", (1601, 1203))
    ImageDraw.Draw(picture).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill="white")
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = picture.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else picture
    turned.save(file, quality=95, exif=exif)
    return file


@pytest.mark.parametrize(
    ("least", "size"),
    [(None, (1601, 1203)), (700, (1601, 1203)), (600, (801, 602)), (300, (401, 301)), (1, (201, 151))],
)
def test_no_side_falls_below_the_least(tmp_path: Path, least: int | None, size: tuple[int, int]) -> None:
    assert decode_image(photo(tmp_path / "a.jpg"), least=least).size == size


def test_other_formats_are_whole(tmp_path: Path) -> None:
    Image.new("RGB", (800, 800)).save(tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png", least=10).size == (800, 800)


@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_are_in_the_pixels_of_the_whole_picture(detector: Detector, tmp_path: Path, orientation: int) -> None:
    """The input has 100 pixels a side, so that an eighth is too little and a quarter is decoded; 16 pixels are one."""
    file = photo(tmp_path / "a.jpg", orientation)
    whole = detector.detect(file, keep_image=False)
    one = detector.detect(file, keep_image=False, draft=True)
    both = detector.detect([file, file], keep_image=False, draft=True)
    assert torch.allclose(whole.boxes, torch.tensor([BOX]).float(), atol=17)
    for found in (one, *both):
        assert found.image is None
        assert torch.allclose(found.boxes, whole.boxes, atol=17)
        assert not torch.equal(found.boxes, whole.boxes)
        assert found.source.tolist() == [42]


def test_what_is_small_or_no_file_is_looked_at_as_it_is(detector: Detector, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "white").save(tmp_path / "a.jpg")
    for image in (tmp_path / "a.jpg", Image.new("RGB", (300, 200), "white")):
        found = detector.detect(image, keep_image=False, draft=True)
        assert found.boxes.tolist() == [[0, 0, 300, 200]]
        assert found.image is None


def test_a_draft_is_refused_where_all_of_the_picture_is_needed(detector: Detector) -> None:
    with pytest.raises(InputError, match="give keep_image=False"):
        detector.detect("a.jpg", draft=True)
    detector.network.needs_proposals = True  # type: ignore[assignment]
    with pytest.raises(InputError, match="selective search"):
        detector.detect("a.jpg", draft=True, keep_image=False)
