"""What a file becomes on a bad disk, in a bad copy, or in the hands of somebody who means harm."""

import re
from random import Random

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"7",
    b"255",
    b"65536",
    b"4294967295",
    b"99999999999",
    b"1e308",
    b"-0.5",
    b"NaN",
    b"Infinity",
)
WORDS = (b"null", b"true", b"[]", b"{}", b'""', b"[[[]]]", b'"x"', b'{"size":1}')
NAMES = (  # what pickles name: what runs code, and what is almost harmless
    *(b"os\nsystem", b"builtins\nexec", b"builtins\neval", b"numpy.f2py.__main__\nmain", b"subprocess\nPopen"),
    *(
        b"numpy\nload",
        b"numpy.core.multiarray\n_reconstruct",
        b"numpy\ndtype",
        b"torch\nload",
        b"collections\nOrderedDict",
    ),
    *(b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatStorage", b"torch._utils\n_rebuild_parameter"),
)


def mutant(content: bytes, random: Random) -> bytes:
    """The content with one to four changes; of equal random numbers the same."""
    data = bytearray(content)
    for _ in range(random.randint(1, 4)):
        random.choice(CHANGES)(data, random)
    return bytes(data)


def flip(data: bytearray, random: Random) -> None:
    """One bit."""
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def overwrite(data: bytearray, random: Random) -> None:
    """A byte, or a number of the sizes that files count with, by an extreme one."""
    place = random.randrange(len(data) + 1)
    value = random.choice((b"\0", b"\x7f", b"\x80", b"\xff", random.randbytes(1)))
    data[place : place + random.choice((1, 2, 4, 8))] = value * random.choice((1, 2, 4, 8))


def cut(data: bytearray, random: Random) -> None:
    """A stretch is lost, or all from some place on."""
    start = random.randrange(len(data) + 1)
    del data[start : start + random.choice((1, 3, 16, 200, len(data)))]


def repeat(data: bytearray, random: Random) -> None:
    """A stretch comes again at another place."""
    start, to = (random.randrange(len(data) + 1) for _ in range(2))
    data[to:to] = data[start : start + random.choice((1, 8, 64, 500))]


def insert(data: bytearray, random: Random) -> None:
    """Bytes of chance."""
    place = random.randrange(len(data) + 1)
    data[place:place] = random.randbytes(random.choice((1, 2, 9)))


def renumber(data: bytearray, random: Random) -> None:
    """A number or a word that is written in letters becomes another value."""
    _replace(rb"-?\d+(?:\.\d+)?|null|true|false|\"\w+\"|\[[^\[\]]*\]", NUMBERS + WORDS, data, random)


def rename(data: bytearray, random: Random) -> None:
    """A function that a pickle names becomes another one."""
    _replace(rb"[a-z_][\w.]*\n\w+", NAMES, data, random)


def _replace(pattern: bytes, by: tuple[bytes, ...], data: bytearray, random: Random) -> None:
    found = list(re.finditer(pattern, data))
    if found:
        one = random.choice(found)
        data[one.start() : one.end()] = random.choice(by)


CHANGES = (flip, overwrite, cut, repeat, insert, renumber, renumber, rename)
