"""The bytes of a text file as UTF-8, whichever encoding it was written in."""

import gzip
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import NamedTuple

_BLOCK = 1 << 16  # bytes in which zeros tell UTF-16 without a byte order mark


class Text(NamedTuple):
    """A text file: its bytes in UTF-8 without a byte order mark, and the encoding that they had."""

    data: bytes
    encoding: str

    def head(self, size: int) -> str:
        """Return the lines that lie wholly within the first `size` bytes; all of them where the file is shorter."""
        start = self.data[:size]
        whole = start if len(self.data) <= size else start[: start.rfind(b"\n") + 1]
        return whole.decode("utf-8", errors="replace")


def read_text(path: Path) -> Text:
    """Read a text file, unpacked where its name ends in `.gz`.

    UTF-16 is known by its byte order mark, or by a zero in every other byte; what is not UTF-8 is taken for
    Windows-1252, in which every price and time reads the same as in its relatives.
    """
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    if data.startswith(BOM_UTF8):
        return Text(data[len(BOM_UTF8) :], "UTF-8")
    if (utf16 := _utf16(data)) is not None:
        return Text(data.decode(utf16).removeprefix("\ufeff").encode(), "UTF-16")
    if data.isascii():
        return Text(data, "UTF-8")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return Text(data.decode("cp1252", errors="replace").encode(), "Windows-1252")
    return Text(data, "UTF-8")


def _utf16(data: bytes) -> str | None:
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16-le" if data.startswith(BOM_UTF16_LE) else "utf-16-be"
    block = data[:_BLOCK]
    for zeros, name in ((block[1::2], "utf-16-le"), (block[::2], "utf-16-be")):
        if len(block) > 1 and 2 * zeros.count(0) > len(zeros):
            return name
    return None
