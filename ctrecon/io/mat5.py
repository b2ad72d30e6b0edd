"""MATLAB 5 files (``save -v5`` to ``-v7``): unpacked and checked before scipy sees them.

scipy allocates what a header claims. So each element is unpacked within limits, its tree of headers is held against
the bytes that are there, and scipy gets the result from memory. The format: MAT-File Format, The MathWorks.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from ctrecon.errors import InputError
from ctrecon.io.limits import MAX_BYTES, check_claim

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _SPARSE, _LAST_NUMERIC = 1, 2, 4, 5, 15
_DEEPEST = 16


class _DamagedError(Exception):
    pass


def load_mat5(path: Path) -> dict[str, Any]:
    """Top-level variables as ``scipy.io.loadmat`` gives them. Raises InputError for what is no sound MATLAB 5 file."""
    raw = path.read_bytes()
    try:
        order = _byte_order(raw)
        plain = _unpacked(path, raw, order)
        at = _HEADER
        while at + 8 <= len(plain):
            at = _check_element(plain, at, len(plain), order, 0)
        if at < len(plain):
            raise _DamagedError(f"{len(plain) - at} bytes are left over at its end")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            variables = scipy.io.loadmat(io.BytesIO(plain), chars_as_strings=True, struct_as_record=True)
    except InputError:
        raise
    except _DamagedError as error:
        raise InputError(f"{path}: is not a whole MATLAB file: {error}; copy it or save it again") from None
    except Exception as error:  # a damaged file can make the parser raise anything
        raise InputError(
            f"{path}: cannot be read as a MATLAB file ({type(error).__name__}: {error}); save it again with -v7"
        ) from None
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _byte_order(raw: bytes) -> str:
    if len(raw) < _HEADER:
        raise _DamagedError(f"it has {len(raw)} bytes, fewer than its header")
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:128])
    if order is None:
        raise _DamagedError("its header has no byte order mark, as in MATLAB 5 to 7.3 files")
    return order


def _tag(data: bytes | memoryview, at: int, end: int, order: str) -> tuple[int, int, int, int]:
    """Type and size of the element at ``at``, where its payload begins, and where the next element does."""
    if at + 8 > end:
        raise _DamagedError(f"an element at byte {at} is cut off")
    first, size = struct.unpack_from(order + "II", data, at)
    if first >> 16:
        # The short form: four bytes of payload beside type and size.
        if first >> 16 > 4:
            raise _DamagedError(f"a short element at byte {at} claims {first >> 16} bytes")
        return first & 0xFFFF, first >> 16, at + 4, at + 8
    padded = size if first == _COMPRESSED else (size + 7) // 8 * 8
    if at + 8 + size > end:
        raise _DamagedError(f"an element at byte {at} claims {size} bytes, {end - at - 8} are there")
    return first, size, at + 8, min(at + 8 + padded, end)


def _unpacked(path: Path, raw: bytes, order: str) -> bytes:
    """The same file with no compressed element."""
    parts, at, total = [raw[:_HEADER]], _HEADER, 0
    while at < len(raw):
        kind, size, begin, after = _tag(raw, at, len(raw), order)
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            try:
                head = unpack.decompress(raw[begin : begin + size], 8)
                if len(head) < 8:
                    raise _DamagedError("a compressed variable is cut off")
                _, claimed = struct.unpack(order + "II", head)
                total += claimed
                check_claim(path, "a variable", claimed, size)
                check_claim(path, "the file", total, len(raw))
                part = head + unpack.decompress(unpack.unconsumed_tail, claimed + 8)
            except zlib.error as error:
                raise _DamagedError(f"a compressed variable is damaged ({error})") from None
            if len(part) < 8 + claimed:
                raise _DamagedError("a compressed variable is cut off")
            parts.append(part[: 8 + claimed] + bytes(-claimed % 8))
        else:
            total += size
            check_claim(path, "the file", total, len(raw))
            parts.append(raw[at:after])
        at = after
    return b"".join(parts)


def _check_element(data: bytes, at: int, end: int, order: str, depth: int) -> int:
    """Hold a matrix's claims, and those of its parts, against the bytes that are there; where the next one begins."""
    kind, size, begin, after = _tag(data, at, end, order)
    if kind != _MATRIX or size == 0:
        if kind == _COMPRESSED:
            raise _DamagedError("a compressed element stands within another")
        return after
    if depth > _DEEPEST:
        raise _DamagedError(f"structs are nested more than {_DEEPEST} deep")
    stop = begin + size
    _, flag_size, flags_at, inner = _tag(data, begin, stop, order)
    if flag_size < 4:
        raise _DamagedError("a matrix has no flags")
    kind = struct.unpack_from(order + "I", data, flags_at)[0] & 0xFF
    if kind > _LAST_NUMERIC:
        return after
    _, dims_size, dims_at, inner = _tag(data, inner, stop, order)
    dims = struct.unpack_from(f"{order}{dims_size // 4}i", data, dims_at)
    if any(n < 0 for n in dims):
        raise _DamagedError(f"a matrix claims the shape {dims}")
    elements = math.prod(dims)
    _, _, _, inner = _tag(data, inner, stop, order)
    room = stop - inner
    if kind == _SPARSE:
        elements = (dims[-1] if dims else 0) + 1
    elif kind in (_CELL, _STRUCT):
        if kind == _STRUCT:
            _, _, _, inner = _tag(data, inner, stop, order)
            _, _, _, inner = _tag(data, inner, stop, order)
        elements *= 8 if kind == _CELL else 1
    elif kind != _CHAR and kind < 6:
        return after
    if elements > max(room, 0) or elements > MAX_BYTES:
        raise _DamagedError(f"a matrix claims shape {dims}, but {room} bytes follow")
    if kind in (_CELL, _STRUCT):
        while inner + 8 <= stop:
            inner = _check_element(data, inner, stop, order, depth + 1)
    return after


def numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiuc" and values.dtype.names is None
