"""The files of a form (multipart/form-data) that is in memory: nothing is written to a disk."""

import logging

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vedette.serve.refusal import RefusedError

MOST_PARTS = 5000
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings are of what is refused anyway


class Parts:
    """What the parser tells, part by part; a part with a file name is a file."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.count, self.whole = 0, False
        self.name, self.value, self.data = bytearray(), bytearray(), bytearray()
        self.is_file = False

    def on_part_begin(self) -> None:
        """Raises RefusedError for the part that is one too many."""
        self.count += 1
        if self.count > MOST_PARTS:
            raise RefusedError(413, f"a form of more than {MOST_PARTS} parts; send fewer at once")
        self.data, self.is_file = bytearray(), False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Some of a header's name."""
        self.name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Some of its value."""
        self.value += data[start:end]

    def on_header_end(self) -> None:
        """A header is whole."""
        if self.name.lower() == b"content-disposition":
            self.is_file = b"filename" in parse_options_header(self.value.decode("latin-1"))[1]
        self.name, self.value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Some of a part; a field that is no file is passed over."""
        if self.is_file:
            self.data += data[start:end]

    def on_part_end(self) -> None:
        """A part is whole."""
        if self.is_file:
            self.files.append(bytes(self.data))

    def on_end(self) -> None:
        """The form is."""
        self.whole = True


def files_of(content_type: str, body: bytes) -> list[bytes]:
    """Raises RefusedError for a form that cannot be read to its end."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RefusedError(400, "the form's Content-Type names no boundary; let the client write it")
    parts = Parts()
    names = [name for name in vars(Parts) if name.startswith("on_")]
    try:
        MultipartParser(boundary, {name: getattr(parts, name) for name in names}).write(body)  # type: ignore[arg-type]
    except FormParserError as error:
        raise RefusedError(400, f"the form cannot be read ({error})") from None
    if not parts.whole:
        raise RefusedError(400, "the form ends before its last boundary; send all of it")
    return parts.files
