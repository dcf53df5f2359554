"""Pictures inside of a page, an SVG or a notebook."""

from base64 import b64encode
from io import BytesIO

from PIL import Image


def jpeg_uri(picture: Image.Image, side: int, quality: int = 72) -> str:
    """The picture as JPEG, its longer side at most `side` pixels."""
    small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def png_of(picture: Image.Image) -> bytes:
    """The picture as PNG, pixel for pixel."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
