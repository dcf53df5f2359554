"""From a file to a picture: whatever its mode and its EXIF, as RGB. No torch here."""

import warnings
from pathlib import Path
from stat import S_ISDIR
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vedette.errors import InputError

ORIENTATION = 0x0112  # EXIF
WHITE = 0.998  # the share of a deep picture's pixels that are no brighter than its white
WHOLE = ("MPO", "PSD")  # whose first picture is all of it; the others are previews and layers
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

SIDEWAYS = (5, 6, 7, 8)  # of these, what exchanges width and height


def holds_more(image: Image.Image) -> bool:
    """Whether its file has more pictures than the one that is decoded: an animation, the pages of a TIFF."""
    return bool(getattr(image, "is_animated", False)) and image.format not in WHOLE


def decode_image(path: str | Path, rotate: bool = True, least: int | None = None) -> Image.Image:
    """The picture in a file as RGB, turned as its EXIF says (unless `rotate` is False); the first of an animation.

    Transparent parts become white; grey of more than 8 bits is stretched to 8, its brightest parts becoming white.
    least: a JPEG is decoded at a half, a quarter or an eighth of its size as long as no side has fewer pixels than
    that, several times as fast; other formats, and smaller pictures, as they are.

    Raises InputError, naming the file, where there is none, where it is a folder, and where it is not a whole image.
    """
    if not str(path):
        raise InputError("an empty path is no image: give a file")
    file = Path(path)
    try:
        status = file.stat()
        if S_ISDIR(status.st_mode):
            raise InputError(f"{path}: a folder, not an image; give the files in it")
        if status.st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes); replace it")
        with quiet, Image.open(file) as image:
            if least is not None:
                image.draft(None, (least, least))  # None: in its own colours
            return _to_rgb(image, rotate)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except InputError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise InputError(f"{path}: {_reason(error)}") from None


def size_in(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture as its file's header says, a JPEG's turned as its EXIF says: nothing is decoded.

    (0, 0) for what cannot be read; `decode_image` says why.
    """
    if not Path(path).is_file():  # a pipe would be waited for
        return 0, 0
    try:
        with quiet, Image.open(path) as image:
            jpeg = image.format in ("JPEG", "MPO")  # others may have to be decoded for it
            turned = jpeg and int(image.getexif().get(ORIENTATION, 1)) in SIDEWAYS
            return (image.height, image.width) if turned else image.size
    except Exception:  # a decoder may raise anything on a damaged file
        return 0, 0


def to_rgb(image: Image.Image, rotate: bool = True) -> Image.Image:
    """A picture in memory as RGB, by the rules of `decode_image`.

    Raises InputError for a picture whose file turns out damaged.
    """
    try:
        with quiet:
            return _to_rgb(image, rotate)
    except Exception as error:  # the file behind it may be read only now
        raise InputError(f"{getattr(image, 'filename', '') or 'the image'}: {_reason(error)}") from None


def _to_rgb(image: Image.Image, rotate: bool) -> Image.Image:
    turn = TURNS.get(_orientation(image)) if rotate else None
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image)
    elif image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    image = image.convert("RGB")
    if turn is None:
        return image
    if ORIENTATION in image.getexif():  # which goes, in EXIF and XMP: whoever looks again would turn it twice
        return ImageOps.exif_transpose(image)
    return image.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey as integers of 16 bits or more, or as floats, in 8 bits: 0 stays black, the brightest of it is white.

    What its white is no file says: 1, 255, 4095 of many a camera, 65535. So it is taken from the picture, and a few
    pixels beyond all others change nothing.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0).clip(0)
    white = float(np.quantile(values, WHITE)) or float(values.max()) or 1.0
    return Image.fromarray((values * 255 / white).round().clip(0, 255).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    image.load()  # TIFF turns itself while it loads, and says so only then
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to refuse a whole picture
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that can be read; replace it or leave it out"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        return f"too many pixels (more than {most} million); make it smaller first"
    if isinstance(error, PermissionError):
        return "may not be read; check its permissions"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"a truncated or damaged image ({text}); replace it"


class _QuietPillow:
    """Keeps Pillow's warnings to itself while any thread decodes.

    The filters belong to the whole process: threads that each saved and restored them would undo one another.
    """

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b|vedette\.data\.decode")
            self.inside += 1

    def __exit__(self, *raised: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.filters.__exit__(None, None, None)


quiet = _QuietPillow()
