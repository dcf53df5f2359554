"""Pictures inside of a page or an SVG: small, as data URIs."""

from base64 import b64encode
from io import BytesIO

from PIL import Image


def jpeg_uri(picture: Image.Image, side: int, quality: int = 72) -> str:
    """The picture as JPEG, its longer side at most `side` pixels."""
    small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return f"data:image/jpeg;base64,{_encoded(small, 'JPEG', quality=quality, optimize=True)}"


def png_uri(picture: Image.Image) -> str:
    """The picture as PNG, pixel for pixel."""
    return f"data:image/png;base64,{_encoded(picture, 'PNG', optimize=True)}"


def _encoded(picture: Image.Image, form: str, **how: int) -> str:
    buffer = BytesIO()
    picture.save(buffer, form, **how)
    return b64encode(buffer.getvalue()).decode("ascii")
