"""Small files whose headers promise pictures of gigabytes."""

import struct
import zlib

SIDE = 65000


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(3 << 20))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts))


def png_of_words(times: int) -> bytes:
    """A picture of one pixel with a megabyte of text, compressed, many times over."""
    return png(1, 1, *[(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))] * times)


def gif() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0x80, 0, 0) + bytes(6) + _gif_image()


def webp() -> bytes:
    """A canvas of the largest size with one small frame."""
    canvas = (16382).to_bytes(3, "little")
    frame = bytes(6) + canvas * 2 + bytes(3) + b"\x00" + _riff(b"VP8L", b"\x2f" + bytes(12))
    body = b"WEBP" + _riff(b"VP8X", b"\x02" + bytes(3) + canvas * 2) + _riff(b"ANIM", bytes(6)) + _riff(b"ANMF", frame)
    return _riff(b"RIFF", body)


def bmp() -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + bytes(64)


def jpeg() -> bytes:
    frame = struct.pack(">BHHB", 8, SIDE, SIDE, 3) + b"\x01\x11\0\x02\x11\0\x03\x11\0"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda" + bytes(64)


def tiff() -> bytes:
    """One strip of zlib, which would unfold to all of it."""
    strip = zlib.compress(bytes(1 << 20))
    tags = (
        (256, SIDE),
        (257, SIDE),
        (258, 8),
        (259, 8),
        (262, 1),
        (273, 200),
        (277, 1),
        (278, SIDE),
        (279, len(strip)),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + strip


def all_bombs() -> dict[str, bytes]:
    """By what they are."""
    return {
        "png": png(SIDE, SIDE),
        "png of words": png_of_words(5000),
        "gif": gif(),
        "webp": webp(),
        "bmp": bmp(),
        "jpeg": jpeg(),
        "tiff": tiff(),
    }


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, data = part
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _gif_image() -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\x02\x02\x44\x01\0;"
