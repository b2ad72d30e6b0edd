"""Varian's ``.xim`` (TrueBeam, ProBeam): a packed or plain picture, a histogram, and named properties at the end."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.shot import Shot
from ctrecon.io.varian_pixels import unpacked
from ctrecon.support.arrays import Array
from ctrecon.support.limits import check_claim
from ctrecon.support.plain_file import plain_size

_MAGIC = b"VMS.XI"
_HEADER, _MOST_PROPERTIES, _LONGEST_NAME = 32, 1000, 256
_MM = 10.0
"""Lengths in the properties are in cm."""


def read_xim(path: Path) -> Shot | None:
    """Its header and properties; None of a file without a picture, as scanners write between acquisitions.

    Raises InputError for what is damaged or another format.
    """
    size = plain_size(path)
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
        if not head.startswith(_MAGIC) or len(head) < _HEADER:
            raise InputError(f"{path}: is no .xim file (it does not begin with {_MAGIC.decode()}); copy it again")
        _, columns, rows, _, depth, is_packed = struct.unpack_from("<6i", head, 8)
        if rows < 0 or columns < 0 or depth not in (1, 2, 4):
            raise InputError(f"{path}: its header says {rows} x {columns} pixels of {depth} bytes; copy it again")
        check_claim(path, "its picture", rows * columns * 8, 64 * size)
        if is_packed:
            _skip(stream, path, size)  # the table
            _skip(stream, path, size)  # the differences
            stream.seek(4, 1)
        else:
            _skip(stream, path, size)
        (bins,) = _int(stream, path)
        _within(path, stream.tell() + 4 * bins, size, bins)
        stream.seek(4 * bins, 1)
        numbers = _properties(stream, path, size)
    if rows * columns == 0:
        return None
    for name in ("PixelWidth", "PixelHeight"):
        if not (math.isfinite(numbers.get(name, 0.0)) and numbers.get(name, 0.0) > 0):
            raise InputError(f"{path}: its property {name} must be a number > 0, got {numbers.get(name)}")

    def pixels() -> Array:
        with path.open("rb") as stream:
            stream.seek(_HEADER)
            if is_packed:
                table = _skip(stream, path, size)
                body = _skip(stream, path, size)
                start = 4 * (columns + 1)
                return unpacked(path, table, body[:start], body[start:], rows, columns)
            body = _skip(stream, path, size)
        if len(body) != rows * columns * depth:
            raise InputError(f"{path}: holds {len(body)} bytes for {rows} x {columns} pixels of {depth}; copy it again")
        return np.frombuffer(body, f"<{'i' if depth == 4 else 'u'}{depth}").reshape(rows, columns)

    return Shot(path=path, rows=rows, columns=columns, column_mm=numbers["PixelWidth"] * _MM,
                row_mm=numbers["PixelHeight"] * _MM, numbers=numbers, pixels=pixels)  # fmt: skip


def _int(stream: BinaryIO, path: Path) -> tuple[int]:
    raw: bytes = stream.read(4)
    if len(raw) < 4:
        raise InputError(f"{path}: was cut off; copy it again")
    return struct.unpack("<i", raw)


def _within(path: Path, end: int, size: int, count: int) -> None:
    if count < 0 or end > size:
        raise InputError(f"{path}: claims more than its {size} bytes hold, so it was cut off; copy it again")


def _skip(stream: BinaryIO, path: Path, size: int) -> bytes:
    """A part that begins with its own length in bytes."""
    (length,) = _int(stream, path)
    _within(path, stream.tell() + length, size, length)
    raw: bytes = stream.read(length)
    return raw


def _properties(stream: BinaryIO, path: Path, size: int) -> dict[str, float]:
    """Those that are one number."""
    (count,) = _int(stream, path)
    if not 0 <= count <= _MOST_PROPERTIES:
        raise InputError(f"{path}: claims {count} properties; copy it again")
    numbers: dict[str, float] = {}
    for _ in range(count):
        (length,) = _int(stream, path)
        if not 0 <= length <= _LONGEST_NAME:
            raise InputError(f"{path}: has a property whose name claims {length} letters; copy it again")
        name: str = stream.read(length).decode("latin-1").rstrip("\0")
        (kind,) = _int(stream, path)
        if kind == 0:
            numbers[name] = float(_int(stream, path)[0])
        elif kind == 1:
            raw: bytes = stream.read(8)
            if len(raw) < 8:
                raise InputError(f"{path}: was cut off; copy it again")
            numbers[name] = float(struct.unpack("<d", raw)[0])
        elif kind in (2, 4, 5):
            _skip(stream, path, size)
        else:
            raise InputError(f"{path}: its property {name[:40]!r} is of an unknown type {kind}; copy it again")
    return numbers
