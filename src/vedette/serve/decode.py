"""From the bytes of a request to a picture, in memory that no picture's header decides."""

from io import BytesIO

from PIL import Image

from vedette.data.decode import quiet, to_rgb
from vedette.errors import InputError
from vedette.serve.refusal import RefusedError

# Whose size stands in a header that Pillow reads without decoding, and whose decoders call no other program
Image.init()
FORMATS = tuple(name for name in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF") if name in Image.OPEN)
NO_PICTURE = f"not a picture in a format that is read here: send {', '.join(FORMATS)}"


def size_of(data: bytes, most: int) -> tuple[int, int]:
    """Width and height, as the header says. Raises RefusedError for what is no picture, 413 for too many pixels."""
    if not data:
        raise RefusedError(400, "an empty picture (0 bytes); send a whole file")
    try:
        with quiet, Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise RefusedError(413, _too_many("far more", most)) from None
    except Exception:  # a decoder may raise anything
        raise RefusedError(400, NO_PICTURE) from None
    if width * height > most:
        raise RefusedError(413, _too_many(f"{width} x {height} are more", most))
    return width, height


def decode(data: bytes) -> Image.Image:
    """The picture as RGB, turned as its EXIF says. Raises RefusedError for a damaged one."""
    try:
        with quiet, Image.open(BytesIO(data), formats=FORMATS) as image:
            return to_rgb(image)
    except InputError as error:
        raise RefusedError(400, str(error)) from None
    except Exception:
        raise RefusedError(400, NO_PICTURE) from None


def _too_many(pixels: str, most: int) -> str:
    return f"{pixels} than {most / 1e6:g} million pixels; send the picture smaller"
