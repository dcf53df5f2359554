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

ODD = (  # for data sets: dates that are none, depth, length, size, other types, names of nothing and of everything
    *(b"2001-99-99", b"2001-01-01", b"12:99:99", b"0x", b"1_0", b"999999999", b"9" * 5000, b"1e999", b"-1e308"),
    *(b"[" * 20000, b"{a: " * 3000, b'{"a":' * 20000, b"<object>" * 20000, b"- " * 5000, b"x" * 5000, b"a/" * 3000),
    *(b"!!python/object:os.system", b"!!binary x", b"&a [*a]", b"*a", b"? [a]", b"<<: 1", b"%YAML 9", b"{}: 1"),
    *(
        b"&amp;",
        b"&x;",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
        b'<?xml version="1.0" encoding="punycode"?>',
        b"<![CDATA[1]]>",
    ),
    *(b'<?xml version="1.0" encoding="gbk"?>', b'<?xml version="1.0" encoding="rot13"?>', b"<bndbox>", b"<part>"),
    *(b"nc: 999999999", b"kpt_shape: [3, 2]", b"kpt_shape: [999999999, 3]", b"path: ..", b"train: .", b"names: {0: a}"),
    *(b"..", b".", b"a\\b", b"images", b"a.jpg", b"b.jpg", b"\\u0000", b"\\ud800", b"true", b"~", b"'", b'"', b"#"),
    *(b'{"id": 1}', b'{"counts": [1]}', b"0 .5 .5 .5 .5", b"0 9 9 9 9", b"0 .5 .5 .5 .5 .5 1", b"a  -1", b"1.5", b"-0"),
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


def altered(content: bytes, random: Random) -> bytes:
    """A data set's text with one to four changes: of bytes, of words and their structure, of its whole encoding."""
    if random.random() < 0.3:
        return mutant(content, random)
    data = bytearray(content)
    for _ in range(random.randint(1, 3)):
        random.choice((reword, reword, reword, restructure, move_line, mark, encode))(data, random)
    return bytes(data)


def reword(data: bytearray, random: Random) -> None:
    """A number, a word, a list or a line becomes something that nobody expects there."""
    pattern = random.choice((rb"-?\d+(?:\.\d+)?", rb"\"[^\"\n]*\"", rb"[\w./-]+", rb"\[[^\[\]]*\]", rb"(?m)^.*$"))
    _replace(pattern, NUMBERS + WORDS + ODD, data, random)


def restructure(data: bytearray, random: Random) -> None:
    """An element, an object or a line is doubled, put into another one, called otherwise or lost."""
    found = list(re.finditer(rb"<(\w+)>[^<]*</\1>|<(\w+)>|\{[^{}]*\}|(?m:^.*$)", data))
    one = random.choice(found)
    text = one[0]
    tag = random.choice((b"objects", b"Object", b"bndbox", b"part", b"annotation"))
    wrapped = (text * 2, b"<" + tag + b">" + text + b"</" + tag + b">", b"[" + text + b"]", text.upper(), b"")
    data[one.start() : one.end()] = random.choice(wrapped)


def move_line(data: bytearray, random: Random) -> None:
    """A line comes elsewhere, so that files hold what belongs to others."""
    lines = bytes(data).split(b"\n")
    line = lines.pop(random.randrange(len(lines)))
    lines.insert(random.randrange(len(lines) + 1), line)
    data[:] = b"\n".join(lines)


def mark(data: bytearray, random: Random) -> None:
    """A null byte, a byte order mark or a wide letter somewhere; mostly where a file begins."""
    starts = [one.end() for one in re.finditer(rb"(?m)^=== .*\n", data)]
    place = random.choice((*starts, random.randrange(len(data) + 1)))
    data[place:place] = random.choice((b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", "é\u0301".encode(), b"\x85"))


def encode(data: bytearray, random: Random) -> None:
    """A file is written in another encoding."""
    files = re.split(rb"(?m)^(=== .*\n)", bytes(data))
    at = random.randrange(0, len(files), 2)
    name = random.choice(("utf-16", "utf-16-be", "utf-8-sig", "utf-32", "cp037", "gb18030"))
    files[at] = files[at].decode("latin-1").encode(name, "replace")
    data[:] = b"".join(files)


CHANGES = (flip, overwrite, cut, repeat, insert, renumber, renumber, rename)
