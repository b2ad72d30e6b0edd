"""The header of a MetaImage, looked at before ITK reads the file: some numbers in it end the process there.

The format is lines ``Key = value`` up to ``ElementDataFile = LOCAL``, after which the values follow
(https://itk.org/Wiki/MetaIO/Documentation).
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.support.limits import check_claim

_MOST_LINE_BYTES, _MOST_DIMENSIONS, _MOST_CHANNELS = 500, 4, 4
_BYTES = {
    "char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "long": 4, "ulong": 4, "long_long": 8,
    "ulong_long": 8, "float": 4, "double": 8,
}  # fmt: skip
_LISTS = frozenset(("offset", "position", "origin", "centerofrotation", "elementspacing", "elementsize"))
_MATRICES = frozenset(("transformmatrix", "rotation", "orientation"))
_END, _INTEGER = "elementdatafile", re.compile(r"-?[0-9]{1,12}")


def check_meta_image(path: Path, start: bytes) -> None:
    """Whether the sizes that a header states are sizes, and fit each other and the file.

    Args:
        path: The file.
        start: Its beginning, in which the header has to end.

    Raises:
        InputError: Where they do not, in one line that names what is wrong.
    """
    fields, header_bytes = _fields(path, start)
    dimensions = _whole(path, fields, "ndims", 1, _MOST_DIMENSIONS)
    words = fields.get("dimsize", "").split()
    sizes = [int(word) for word in words if _INTEGER.fullmatch(word)]
    if not len(sizes) == len(words) == dimensions or not all(1 <= size < 1 << 31 for size in sizes):
        raise _wrong(path, "dimsize", fields.get("dimsize", ""), f"has to be {dimensions} whole numbers")
    for key in (_LISTS | _MATRICES) & fields.keys():
        numbers = [_number(path, key, word) for word in fields[key].split()]
        wanted = dimensions**2 if key in _MATRICES else dimensions
        if len(numbers) != wanted or not all(map(math.isfinite, numbers)):
            raise _wrong(path, key, fields[key], f"has to be {wanted} numbers")
    kind = fields.get("elementtype", "").lower().removeprefix("met_").removesuffix("_array")
    if kind not in _BYTES:
        raise _wrong(path, "elementtype", fields.get("elementtype", ""), "is no kind of number that is read")
    channels = _whole(path, fields, "elementnumberofchannels", 1, _MOST_CHANNELS, 1)
    stored = path.stat().st_size - header_bytes
    _whole(path, fields, "headersize", -1, stored, 0)
    _whole(path, fields, "compresseddatasize", 0, stored, 0)
    claimed = math.prod(sizes) * _BYTES[kind] * channels
    check_claim(path, "its header", claimed, stored)
    if fields.get("compresseddata", "false").lower() in ("false", "f", "0", "no", "n") and claimed > stored:
        raise InputError(f"{path}: no whole volume: {stored} bytes of {claimed} are there; copy it again")


def _fields(path: Path, start: bytes) -> tuple[dict[str, str], int]:
    """The lines of the header by their keys, in lower case, and how many bytes they are."""
    fields: dict[str, str] = {}
    at = 0
    while _END not in fields:
        end = start.find(b"\n", at)
        line = start[at : end if end >= 0 else len(start)]
        if end < 0 or len(line) > _MOST_LINE_BYTES or not re.fullmatch(rb"[\t\x20-\x7e]*\r?", line):
            raise InputError(f"{path}: holds no volume, its header is damaged at byte {at}; write it anew")
        at = end + 1
        if line.strip():
            key, equals, value = line.decode("ascii").partition("=")
            name = key.strip().lower()
            if not equals or name in fields:
                raise InputError(f"{path}: line {line[:60]!r} of its header is damaged, or comes twice; write it anew")
            fields[name] = value.strip()
    return fields, at


def _whole(path: Path, fields: dict[str, str], key: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number of the header."""
    text = fields.get(key, "" if default is None else str(default))
    if not (_INTEGER.fullmatch(text) and low <= int(text) <= high):
        raise _wrong(path, key, text, f"has to be a whole number from {low} to {high}")
    return int(text)


def _number(path: Path, key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _wrong(path, key, text, "is no number") from None


def _wrong(path: Path, key: str, value: str, why: str) -> InputError:
    return InputError(f"{path}: {key} of its header is {value[:60]!r}, which {why}; is it damaged? Write it anew")
