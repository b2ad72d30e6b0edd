"""Elekta's ``.his`` (Heimann, Perkin-Elmer): a header of 68 bytes, and frames of 16 bits, brightest at 0.

A value ``v`` stands for the intensity ``65536 - v`` where nothing is measured as 65,536; 65,535 is no measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.shot import Shot
from ctrecon.support.arrays import Array
from ctrecon.support.plain_file import plain_size

OPEN = 65536.0
"""The intensity without an object."""
_HEADER, _MAGIC, _SHORT = 68, b"\0pD\0", 4
_PANEL_MM = 409.6


def read_his(path: Path) -> list[Shot]:
    """Its frames, nearly always one. Raises InputError for another format and for a file that was cut off."""
    size = plain_size(path)
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
    if len(head) < _HEADER or not head.startswith(_MAGIC):
        raise InputError(f"{path}: is no .his file of version 100 (its first bytes are {head[:4]!r}); copy it again")
    words = np.frombuffer(head, "<u2", 17)
    extra, (left, top, right, bottom), frames, kind = int(words[5]), map(int, words[6:10]), int(words[10]), head[32]
    rows, columns = right - left + 1, bottom - top + 1
    if kind != _SHORT or rows < 1 or columns < 1 or frames < 1:
        raise InputError(f"{path}: its header says {frames} frames of {rows} x {columns} values of type {kind}; only "
                         "16 bits are read")  # fmt: skip
    start, needed = _HEADER + extra, 2 * rows * columns
    if size < start + frames * needed:
        raise InputError(f"{path}: has {size} bytes where {frames} frames of {rows} x {columns} need "
                         f"{start + frames * needed}; copy it again")  # fmt: skip

    def at(frame: int) -> Callable[[], Array]:
        def pixels() -> Array:
            with path.open("rb") as stream:
                stream.seek(start + frame * needed)
                stored = np.frombuffer(stream.read(needed), "<u2").reshape(rows, columns)
            values: Array = OPEN - np.maximum(stored, 1).astype(np.float64)
            values[stored == 65535] = np.nan
            return values

        return pixels

    return [
        Shot(path=path, rows=rows, columns=columns, column_mm=_PANEL_MM / columns, row_mm=_PANEL_MM / rows, numbers={},
             pixels=at(frame))
        for frame in range(frames)
    ]  # fmt: skip
