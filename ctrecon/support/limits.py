"""What a file may claim before anything is allocated for it, and which arrays are numbers at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

MAX_BYTES = 2 * 2**30
"""The largest array that is read: a sinogram of 16,384 x 16,384 in float64."""

# A compressed array beyond this size that would grow by more than the factor is taken for a decompression bomb.
BOMB_BYTES = 64 * 2**20
BOMB_RATIO = 100


def reason(error: BaseException) -> str:
    """What a library says of a damaged file, short and printable: it may quote the file."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    printable = "".join(c if c.isprintable() else "?" for c in line)
    return printable if len(printable) <= 120 else printable[:117] + "..."


def check_claim(path: Path, what: str, claimed: int, stored: int) -> None:
    """Refuse ``claimed`` bytes of memory for ``what`` where they are too many, or ``stored`` cannot hold them.

    Raises InputError.
    """
    if claimed > MAX_BYTES:
        raise InputError(
            f"{path}: {what} claims {claimed} bytes, more than the limit of {MAX_BYTES}; cut or bin the data first"
        )
    if claimed > BOMB_BYTES and claimed > BOMB_RATIO * max(stored, 1):
        raise InputError(
            f"{path}: {what} would grow from {stored} to {claimed} bytes, which looks like a decompression bomb; "
            "store it uncompressed if it is real"
        )


def check_number_type(path: Path, what: str, dtype: np.dtype[Any]) -> None:
    """Raises InputError, with the remedy, unless ``dtype`` is of real numbers; a mask may hold truth values."""
    if dtype.kind == "b" and what.rpartition("/")[2] == "mask":
        return
    if dtype.names is not None:
        raise InputError(f"{path}: {what} is a structured array with fields {', '.join(dtype.names)}; store one field")
    remedies = {
        "O": "holds pickled Python objects, which are never loaded; store plain numbers",
        "c": "is complex; store its real part or its modulus",
        "S": "holds text; store plain numbers",
        "U": "holds text; store plain numbers",
        "b": "holds truth values; store plain numbers",
    }
    if dtype.kind not in "fiu":
        raise InputError(f"{path}: {what} {remedies.get(dtype.kind, f'has type {dtype}; store plain numbers')}")


def claimed_bytes(path: Path, what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of an array, in exact arithmetic. Raises InputError for negative lengths."""
    if any(length < 0 for length in shape):
        raise InputError(f"{path}: {what} claims the impossible shape {shape}; the file is damaged, write it again")
    return math.prod(shape) * dtype.itemsize


def as_rays(path: Path, what: str, values: Array, row: int | None = None, *, all_rows: bool = False) -> Array:
    """``[views, detectors]`` in native float32 or float64; of ``[views, rows, detectors]`` the given ``row``.

    With ``all_rows`` all of them. Raises InputError for other shapes and types.
    """
    check_number_type(path, what, values.dtype)
    if all_rows:
        if row is not None:
            raise InputError(f"{path}: its geometry measures a volume with all rows at once; drop --row")
        if values.ndim != 3:
            raise InputError(
                f"{path}: {what} has shape {values.shape}; its geometry measures in space, [views, rows, detectors]"
            )
    elif values.ndim == 3:
        if row is None:
            raise InputError(
                f"{path}: {what} has shape {values.shape}; choose one of its {values.shape[1]} detector rows with --row"
            )
        if not 0 <= row < values.shape[1]:
            raise InputError(f"{path}: {what} has detector rows 0 to {values.shape[1] - 1}, not {row}")
        values = values[:, row, :]
    elif row is not None:
        raise InputError(f"{path}: {what} has shape {values.shape}, without detector rows to choose from; drop --row")
    if values.ndim != 2 + all_rows:
        kind = "a single number" if values.ndim == 0 else f"an array of shape {values.shape}"
        raise InputError(f"{path}: {what} is {kind}; two dimensions are needed, [views, detectors]")
    if 0 in values.shape:
        raise InputError(f"{path}: {what} has shape {values.shape}; at least one view and one detector are needed")
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    return np.ascontiguousarray(values, dtype=np.float32 if single else np.float64)
