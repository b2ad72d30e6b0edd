"""The compression of Varian's ``.hnd`` and ``.xim``: differences of differences in one, two or four bytes.

The first row and one pixel are plain; of every other pixel ``d = p[i] - p[i-1] - p[i-w] + p[i-w-1]`` is stored, with
``w`` pixels in a row, and a table of two bits a pixel says in how many bytes. So ``p[i] - p[i-w]`` is a running sum of
the differences, and the picture a running sum of that down its columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

_SIZES = np.array([1, 2, 4, 0], dtype=np.int64)
_TYPES = {1: "<i1", 2: "<i2", 4: "<i4"}
_SPARE = 3
"""Bytes that may be missing at the end, where the table has more entries than there are pixels."""


def unpacked(path: Path, table: bytes, first: bytes, packed: bytes, rows: int, columns: int) -> Array:
    """The picture ``[rows, columns]`` as int32.

    Args:
        path: For messages.
        table: Two bits for each difference, the lowest first.
        first: The plain pixels, four bytes each.
        packed: The differences.
        rows: Of the picture.
        columns: Likewise.

    Raises:
        InputError: Where these are too short, or the table has a code that is unknown.
    """
    count = (rows - 1) * columns - 1
    four = np.frombuffer(table, np.uint8)
    codes = ((four[:, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3).reshape(-1)[:count]
    sizes = _SIZES[codes]
    if codes.size < count or len(first) < 4 * (columns + 1) or not sizes.all():
        raise InputError(f"{path}: its table of differences is damaged; copy it again")
    ends = np.cumsum(sizes)
    if ends.size and ends[-1] > len(packed) + _SPARE:
        raise InputError(f"{path}: holds {len(packed)} bytes of differences where {ends[-1]} are needed; copy it again")
    raw = np.concatenate([np.frombuffer(packed, np.uint8), np.zeros(8, np.uint8)])
    differences = np.zeros(count + 1, dtype=np.int64)
    starts = ends - sizes
    for size, kind in _TYPES.items():
        at = np.flatnonzero(sizes == size)
        differences[at + 1] = raw[starts[at, None] + np.arange(size)].view(kind)[:, 0]
    start = np.frombuffer(first, "<i4", columns + 1).astype(np.int64)
    differences[0] = start[columns] - start[0]
    picture = np.empty((rows, columns), dtype=np.int64)
    picture[0] = start[:columns]
    picture[1:] = start[:columns] + np.cumsum(np.cumsum(differences).reshape(rows - 1, columns), axis=0)
    return picture.astype(np.int32)
