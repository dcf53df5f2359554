import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from vedette.data.decode import ORIENTATION, decode_image, to_rgb
from vedette.errors import InputError
from vedette.ops.images import Normalize, input_size, mirror_images, sizes_of, stack_padded, to_input
from vedette.structures import InputSpec

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
# Where the first stored pixel is seen, by the EXIF standard: right, bottom; and whether the sides change places.
SEEN = {
    1: (0, 0, False),
    2: (1, 0, False),
    3: (1, 1, False),
    4: (0, 1, False),
    5: (0, 0, True),
    6: (1, 0, True),
    7: (1, 1, True),
    8: (0, 1, True),
}

BEYOND_THE_END = b"Exif\0\0II*\0\xff\xff\xff\xff"
NO_TIFF = b"Exif\0\0nonsense"
NO_NUMBER = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHI4sI", 1, ORIENTATION, 2, 2, b"x", 0)  # a text


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def marked(orientation: int) -> tuple[Image.Image, Image.Exif]:
    """3 x 2, white, the first pixel red."""
    image = Image.new("RGB", (3, 2), WHITE)
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return image, exif


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize(("orientation", "seen"), SEEN.items())
def test_exif_rotation(tmp_path: Path, orientation: int, seen: tuple[int, int, bool], suffix: str) -> None:
    image, exif = marked(orientation)
    options = {"lossless": True} if suffix == "webp" else {}
    decoded = decode_image(saved(image, tmp_path / f"a.{suffix}", exif=exif, **options))
    right, bottom, swapped = seen
    assert decoded.size == ((2, 3) if swapped else (3, 2))
    assert decoded.getpixel((right * (decoded.width - 1), bottom * (decoded.height - 1))) == RED
    assert sum(pixel == RED for pixel in decoded.get_flattened_data()) == 1


def test_without_rotation(tmp_path: Path) -> None:
    image, exif = marked(6)
    decoded = decode_image(saved(image, tmp_path / "a.png", exif=exif), rotate=False)
    assert decoded.size == (3, 2)
    assert decoded.getpixel((0, 0)) == RED


@pytest.mark.parametrize("content", [BEYOND_THE_END, NO_TIFF, NO_NUMBER])
def test_broken_exif_does_not_matter(tmp_path: Path, content: bytes) -> None:
    path = saved(Image.new("RGB", (9, 7), RED), tmp_path / "a.jpg", exif=content)
    assert decode_image(path).size == (9, 7)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (2, 2), 77), (77, 77, 77)),
        (Image.new("1", (2, 2), 1), WHITE),
        (Image.new("LA", (2, 2), (0, 0)), WHITE),
        (Image.new("LA", (2, 2), (77, 255)), (77, 77, 77)),
        (Image.new("RGBA", (2, 2), (0, 0, 255, 0)), WHITE),
        (Image.new("RGBA", (2, 2), (0, 0, 255, 51)), (204, 204, 255)),
        (Image.new("RGBA", (2, 2), (0, 0, 255, 255)), BLUE),
        (Image.new("RGB", (2, 2), BLUE).convert("P"), BLUE),
    ],
)
def test_modes(tmp_path: Path, image: Image.Image, expected: tuple[int, int, int]) -> None:
    decoded = decode_image(saved(image, tmp_path / "a.png"))
    assert (decoded.mode, decoded.size) == ("RGB", (2, 2))
    assert decoded.getpixel((1, 1)) == expected


def test_transparent_palette_and_transparent_colour_become_white(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *BLUE])
    palette.putdata([0, 1])
    for name, image, key in (("p", palette, 0), ("rgb", palette.convert("RGB"), RED)):
        decoded = decode_image(saved(image, tmp_path / f"{name}.png", transparency=key))
        assert list(decoded.get_flattened_data()) == [WHITE, BLUE]


def test_cmyk(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for name in ("a.jpg", "a.tif"):
        pixel = decode_image(saved(red, tmp_path / name)).getpixel((8, 8))
        assert np.abs(np.subtract(pixel, RED)).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 200, 1000, 32768, 65535]], dtype=np.uint16)
    decoded = decode_image(saved(Image.fromarray(values), tmp_path / f"a.{suffix}"))
    assert [pixel[0] for pixel in decoded.get_flattened_data()] == [0, 1, 4, 128, 255]


@pytest.mark.parametrize("white", [1.0, 255.0, 4000.0])
def test_floats(tmp_path: Path, white: float) -> None:
    values = np.array([[0.0, 0.2, 1.0, np.nan, -5.0]], dtype=np.float32) * white
    decoded = decode_image(saved(Image.fromarray(values), tmp_path / "a.tif"))
    assert [pixel[0] for pixel in decoded.get_flattened_data()] == [0, 51, 255, 0, 0]


def ramp() -> np.ndarray:
    """0 to 255, as often as one another."""
    return np.tile(np.arange(256), (64, 1))


@pytest.mark.parametrize(
    ("kind", "scale"), [("int32", 1), ("int32", 16), ("uint16", 1), ("uint16", 257), ("float32", 1 / 255)]
)
def test_whatever_white_is_a_deep_picture_is_that_of_8_bits(kind: str, scale: float) -> None:
    deep = Image.fromarray((ramp() * scale).astype(kind))
    assert deep.mode in ("I", "I;16", "F")
    grey = np.asarray(to_rgb(deep))[..., 0]
    assert np.abs(grey.astype(int) - ramp()).max() <= 1


@pytest.mark.parametrize("brightest", [1.0001, 1.5, 60.0, 1e6])
def test_a_single_bright_pixel_makes_no_picture_dark(brightest: float) -> None:
    values = (ramp() / 255).astype(np.float32)
    values[3, 7] = brightest
    grey = np.asarray(to_rgb(Image.fromarray(values)))[..., 0].astype(int)
    grey[3, 7] = 7
    assert np.abs(grey - ramp()).max() <= 1


def test_a_black_picture_stays_black() -> None:
    assert np.asarray(to_rgb(Image.new("I", (9, 9)))).max() == 0
    assert np.asarray(to_rgb(Image.new("F", (9, 9), -3.0))).max() == 0


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_a_turned_picture_is_not_turned_again(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    file = saved(Image.new("RGB", (60, 40), RED), tmp_path / f"a.{suffix}", exif=exif)
    turned = decode_image(file)
    assert turned.size == (40, 60)
    assert to_rgb(turned).size == (40, 60)
    assert turned.getexif().get(0x010F) == "maker"  # all else stays
    again = saved(turned, tmp_path / f"b.{suffix}", exif=turned.getexif())
    assert decode_image(again).size == (40, 60)


def test_orientation_in_xmp_goes_too(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    xmp += b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    file = saved(Image.new("RGB", (60, 40), RED), tmp_path / "a.jpg", xmp=xmp)
    turned = decode_image(file)
    assert turned.size == (40, 60)
    assert to_rgb(turned).size == (40, 60)
    assert b'tiff:Orientation="6"' not in turned.info.get("xmp", b"")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_picture(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert decode_image(path).getpixel((4, 4)) == RED


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    decoded = decode_image(saved(Image.new("RGB", size, RED), tmp_path / "a.jpg"))
    assert decoded.size == size
    assert to_input(decoded, InputSpec(size=320)).shape == (3, 320, 320)


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.jpg"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a picture\n")
    elif kind == "empty":
        path.touch()
    elif kind == "truncated":
        noise(64, 64).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "damaged png":
        noise(64, 64).save(path, "png")
        content = bytearray(path.read_bytes())
        content[200:400] = bytes(200)
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such file"),
        ("folder", "a folder"),
        ("text", "not an image in a format"),
        ("empty", "the file is empty"),
        ("truncated", "a truncated or damaged image (image file is truncated"),
        ("damaged png", "a truncated or damaged image"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, kind: str, reason: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(InputError) as raised:
        decode_image(path)
    assert str(raised.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(raised.value)


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("L", (6, 5)), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert decode_image(path).size == (6, 5)  # Pillow would warn, and only refuse twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match="too many pixels"):
        decode_image(path)


def test_threads_leave_the_warning_filters_as_they_were(tmp_path: Path) -> None:
    path = saved(noise(200, 200), tmp_path / "a.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode_image, [path] * 40))
    assert warnings.filters == before


def test_a_picture_in_memory(tmp_path: Path) -> None:
    image, exif = marked(6)
    path = saved(image, tmp_path / "a.png", exif=exif)
    with Image.open(path) as opened:
        assert to_rgb(opened).size == (2, 3)
    path = bad_file(tmp_path, "truncated")
    with Image.open(path) as opened, pytest.raises(InputError, match=r"truncated\.jpg: a truncated"):
        to_rgb(opened)


@pytest.mark.parametrize(
    ("size", "spec", "expected"),
    [
        ((500, 333), InputSpec(size=320), (320, 320)),
        ((500, 400), InputSpec(size=600, resize="short side", max_side=1000), (750, 600)),
        ((400, 1000), InputSpec(size=600, resize="short side", max_side=1000), (400, 1000)),
        ((400, 1000), InputSpec(size=600, resize="short side"), (600, 1500)),
        ((1, 5000), InputSpec(size=600, resize="short side", max_side=1000), (1, 1000)),
    ],
)
def test_input_size(size: tuple[int, int], spec: InputSpec, expected: tuple[int, int]) -> None:
    assert input_size(*size, spec) == expected
    assert to_input(Image.new("RGB", size), spec).shape == (3, expected[1], expected[0])


@pytest.mark.parametrize(("short", "longest"), [(800, 1333), (600, 1000), (64, 128), (100, 100)])
def test_sizes_are_torchvision_s(short: int, longest: int) -> None:
    transform = GeneralizedRCNNTransform(short, longest, [0.0] * 3, [1.0] * 3).eval()
    spec = InputSpec(size=short, resize="short side", max_side=longest, divisor=32)
    for width, height in product((31, 33, 97, 333, 427, 499, 501, 641, 1023, 1335), repeat=2):
        resized = transform.resize(torch.empty(3, height, width, device="meta"))[0]  # its shape alone
        assert input_size(width, height, spec) == (resized.shape[2], resized.shape[1])


def test_batches_are_padded_right_and_below_with_the_mean() -> None:
    spec = InputSpec(size=2, resize="short side", divisor=4, mean=(1.0, 2.0, 3.0), std=(2.0, 2.0, 2.0))
    images = [torch.full((3, 2, 5), 9, dtype=torch.uint8), torch.full((3, 3, 2), 7, dtype=torch.uint8)]
    batch, sizes = stack_padded(images, 4), sizes_of(images)
    assert batch.dtype == torch.uint8
    assert batch.shape == (2, 3, 4, 8)
    assert sizes.tolist() == [[2, 5], [3, 2]]
    assert batch[1, 0].tolist() == [[7, 7, 0, 0, 0, 0, 0, 0]] * 3 + [[0] * 8]
    pixels = Normalize(spec)(batch, sizes)
    assert pixels[0, 0].tolist() == [[4, 4, 4, 4, 4, 0, 0, 0]] * 2 + [[0] * 8] * 2
    assert pixels[1, 2].tolist() == [[2, 2, 0, 0, 0, 0, 0, 0]] * 3 + [[0] * 8]


def test_images_of_one_size_are_stacked_and_normalised_as_ever() -> None:
    images = [torch.randint(256, (3, 6, 6), dtype=torch.uint8) for _ in range(3)]
    batch = stack_padded(images)
    assert torch.equal(batch, torch.stack(images))
    spec = InputSpec(size=6, range=1.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), channels="bgr")
    assert torch.equal(Normalize(spec)(batch, sizes_of(images)), Normalize(spec)(batch))


def test_a_mirror_leaves_the_padding_where_it_is() -> None:
    row = torch.arange(1.0, 5).expand(2, 3, 1, 4)
    mirrored = mirror_images(row, torch.tensor([[1, 4], [1, 3]]))
    assert mirrored[:, 2, 0].tolist() == [[4, 3, 2, 1], [3, 2, 1, 4]]


def test_to_input_keeps_the_pixels_of_a_picture_that_fits() -> None:
    picture = noise(4, 4)
    values = to_input(picture, InputSpec(size=4))
    assert values.dtype == torch.uint8
    assert torch.equal(values.permute(1, 2, 0), torch.from_numpy(np.array(picture)))


@pytest.mark.parametrize("antialias", [True, False])
def test_a_tensor_and_its_picture_give_the_same(antialias: bool) -> None:
    picture = noise(40, 30)
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    spec = InputSpec(size=16, antialias=antialias)
    assert torch.equal(to_input(tensor, spec), to_input(picture, spec))


def test_antialias() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (64, 32)).repeat(3).reshape(64, 64, 3))
    smooth = to_input(stripes, InputSpec(size=13))
    rough = to_input(stripes, InputSpec(size=13, antialias=False))
    assert smooth.float().std() < 20 < rough.float().std()


def test_interpolation() -> None:
    picture = noise(8, 8)
    for kind in ("bilinear", "bicubic"):
        wanted = picture.resize((20, 20), Image.Resampling[kind.upper()])
        values = to_input(picture, InputSpec(size=20, interpolation=kind))  # type: ignore[arg-type]
        assert torch.equal(values.permute(1, 2, 0), torch.from_numpy(np.array(wanted)))


def pixel(red: int, green: int, blue: int) -> Tensor:
    return torch.tensor([red, green, blue], dtype=torch.uint8)[:, None, None]


def test_normalize() -> None:
    spec = InputSpec(size=1, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0))
    values = Normalize(spec)(pixel(110, 120, 230))
    assert values.dtype == torch.float32
    assert values.flatten().tolist() == [50.0, 25.0, 40.0]


def test_normalize_bgr_has_its_mean_in_the_same_order() -> None:
    spec = InputSpec(size=1, mean=(10.0, 20.0, 30.0), channels="bgr")
    assert Normalize(spec)(pixel(130, 120, 110)).flatten().tolist() == [100.0, 100.0, 100.0]


def test_normalize_range() -> None:
    spec = InputSpec(size=1, range=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert Normalize(spec)(pixel(0, 255, 51)).flatten().tolist() == pytest.approx([-2.0, 2.0, -1.2])


def test_normalize_batches() -> None:
    spec = InputSpec(size=5, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), channels="bgr")
    images = torch.randint(256, (2, 3, 3, 5, 4), dtype=torch.uint8)
    values = Normalize(spec)(images)
    assert values.shape == images.shape
    assert torch.equal(values[1, 2], Normalize(spec)(images[1, 2]))
