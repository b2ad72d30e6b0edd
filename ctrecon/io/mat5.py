"""MATLAB 5 files (``save -v5`` to ``-v7``), every claim of a header held against the bytes that are there.

Read here and not by ``scipy.io.loadmat``, which a damaged file can bring to a crash of the whole process or to the
allocation of whatever a header claims. The format: MAT-File Format, The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.support.limits import MAX_BYTES, check_claim
from ctrecon.support.plain_file import whole_file

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _SPARSE = 1, 2, 4, 5
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_DEEPEST = 16
# How numbers are stored, and what class of array they stand for: they may be stored smaller than they are.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


class _DamagedError(Exception):
    pass


def load_mat5(path: Path) -> dict[str, Any]:
    """Top-level variables by name: arrays ``[rows, columns, ...]``, text as ``str``, structs as dictionaries.

    Sparse matrices come as scipy CSC. Cells, objects and arrays of structs come as None: they are not read.
    Raises InputError for what is no sound MATLAB 5 file.
    """
    raw = whole_file(path)
    variables: dict[str, Any] = {}
    try:
        order = _byte_order(raw)
        at, total = _HEADER, 0
        while at < len(raw):
            kind, size, begin, after = _tag(raw, at, len(raw), order)
            data, first = (_unpacked(path, raw[begin : begin + size], order), 0) if kind == _COMPRESSED else (raw, at)
            kind, size, begin, _ = _tag(data, first, len(data), order)
            total += size
            check_claim(path, "the file", total, len(raw))
            if kind == _MATRIX and size > 0:
                name, value = _Matrix.open(data, begin, begin + size, order, 0).read()
                if name:
                    variables[name] = value
            at = after
    except _DamagedError as error:
        raise InputError(f"{path}: is not a whole MATLAB file: {error}; copy it or save it again") from None
    return variables


def _byte_order(raw: bytes) -> str:
    if len(raw) < _HEADER:
        raise _DamagedError(f"it has {len(raw)} bytes, fewer than its header")
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:128])
    if order is None:
        raise _DamagedError("its header has no byte order mark, as in MATLAB 5 to 7.3 files")
    return order


def _tag(data: bytes, at: int, end: int, order: str) -> tuple[int, int, int, int]:
    """Type and size of the element at ``at``, where its payload begins, and where the next element does."""
    if at + 8 > end:
        raise _DamagedError(f"an element at byte {at} is cut off")
    first, size = struct.unpack_from(order + "II", data, at)
    if first >> 16:
        # The short form: up to four bytes of payload beside type and size.
        if first >> 16 > 4:
            raise _DamagedError(f"a short element at byte {at} claims {first >> 16} bytes")
        return first & 0xFFFF, first >> 16, at + 4, at + 8
    if at + 8 + size > end:
        raise _DamagedError(f"an element at byte {at} claims {size} bytes, {end - at - 8} are there")
    padded = size if first == _COMPRESSED else (size + 7) // 8 * 8
    return first, size, at + 8, min(at + 8 + padded, end)


def _unpacked(path: Path, packed: bytes, order: str) -> bytes:
    """The element within a compressed one, unpacked no further than its own header claims."""
    unpack = zlib.decompressobj()
    try:
        head = unpack.decompress(packed, 8)
        if len(head) < 8:
            raise _DamagedError("a compressed variable is cut off")
        _, claimed = struct.unpack(order + "II", head)
        check_claim(path, "a variable", claimed, len(packed))
        whole = head + unpack.decompress(unpack.unconsumed_tail, claimed) if claimed else head
    except zlib.error as error:
        raise _DamagedError(f"a compressed variable is damaged ({error})") from None
    if len(whole) < 8 + claimed:
        raise _DamagedError("a compressed variable is cut off")
    return whole


@dataclass(kw_only=True)
class _Matrix:
    """A matrix element ``data[at:end]``, read from its front to its end."""

    data: bytes
    at: int
    end: int
    order: str
    depth: int

    @classmethod
    def open(cls, data: bytes, at: int, end: int, order: str, depth: int) -> _Matrix:
        if depth > _DEEPEST:
            raise _DamagedError(f"structs are nested more than {_DEEPEST} deep")
        return cls(data=data, at=at, end=end, order=order, depth=depth)

    def _element(self) -> tuple[int, int, int]:
        """Type, payload and size of the next element."""
        kind, size, begin, self.at = _tag(self.data, self.at, self.end, self.order)
        return kind, begin, size

    def _numbers(self) -> np.ndarray[Any, Any]:
        """The next element as it is stored; a view of the file's bytes."""
        kind, begin, size = self._element()
        stored = np.dtype(self.order + _STORED[kind]) if kind in _STORED else None
        if stored is None or size % stored.itemsize:
            raise _DamagedError(f"an element of type {kind} and {size} bytes is no list of numbers")
        return np.frombuffer(self.data, stored, size // stored.itemsize, begin)

    def read(self) -> tuple[str, Any]:
        """Name and value. Raises _DamagedError where the parts do not fit."""
        flags = self._numbers()
        if flags.size < 1 or flags.dtype.kind != "u":
            raise _DamagedError("a matrix has no flags")
        kind, complex_values, logical = int(flags[0]) & 0xFF, bool(int(flags[0]) & _COMPLEX), int(flags[0]) & _LOGICAL
        if kind not in (*_CLASSES, _STRUCT, _CHAR, _SPARSE):
            # Cells, objects, functions: the next variable stands after them, whatever is in them.
            return self._name_of_other(kind), None
        dims = tuple(int(n) for n in self._numbers())
        name = self._text()
        if len(dims) < 2 or any(n < 0 for n in dims):
            raise _DamagedError(f"a matrix claims the shape {dims}")
        if kind == _STRUCT:
            return name, self._struct(dims)
        if kind == _CHAR:
            return name, self._text()
        if kind == _SPARSE:
            return name, self._sparse(dims, complex_values)
        dtype = np.dtype(bool) if logical else np.dtype(_CLASSES[kind])
        values = self._full(dims, dtype)
        return name, values + 1j * self._full(dims, dtype) if complex_values else values

    def _name_of_other(self, kind: int) -> str:
        if kind != _CELL:
            return ""
        self._numbers()
        return self._text()

    def _full(self, dims: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """Numbers, stacked by columns, as an array in C order."""
        stored = self._numbers()
        if math.prod(dims) != stored.size:
            raise _DamagedError(f"a matrix claims the shape {dims}, but {stored.size} values follow")
        if stored.size * dtype.itemsize > MAX_BYTES:
            raise _DamagedError(f"a matrix of shape {dims} is larger than the limit of {MAX_BYTES} bytes")
        # A damaged type may hold what its class cannot: such a value is made up anyway.
        with np.errstate(invalid="ignore", over="ignore"):
            return np.ascontiguousarray(stored.reshape(dims, order="F").astype(dtype))

    def _text(self) -> str:
        kind, begin, size = self._element()
        if kind not in _TEXT:
            raise _DamagedError(f"a text has the unknown type {kind}")
        coding = _TEXT[kind]
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if self.order == "<" else "-be"
        return self.data[begin : begin + size].decode(coding, "replace")

    def _struct(self, dims: tuple[int, ...]) -> dict[str, Any] | None:
        length = self._numbers()
        names = self._text()
        if length.size != 1 or not 0 < int(length[0]) <= 256:
            raise _DamagedError("a struct does not say how long its field names are")
        if math.prod(dims) != 1:
            return None
        step = int(length[0])
        fields: dict[str, Any] = {}
        for k in range(len(names) // step):
            kind, begin, size = self._element()
            if kind != _MATRIX:
                raise _DamagedError(f"a field of a struct has type {kind}, not that of a matrix")
            inner = _Matrix.open(self.data, begin, begin + size, self.order, self.depth + 1)
            fields[names[k * step : (k + 1) * step].split("\0")[0]] = inner.read()[1] if size else np.zeros((0, 0))
        return fields

    def _sparse(self, dims: tuple[int, ...], complex_values: bool) -> Any:
        rows, pointers, values = self._numbers(), self._numbers(), self._numbers()
        if complex_values:
            raise _DamagedError("a sparse matrix is complex")
        matrix = csc_from_parts(values, rows, pointers, dims[0], columns=dims[1])
        if matrix is None:
            raise _DamagedError(f"a sparse matrix has indices outside its shape {dims}")
        return matrix


def csc_from_parts(values: Any, indices: Any, pointers: Any, rows: int, *, columns: int | None = None) -> Any:
    """CSC in float64, or None where indices leave its shape: scipy does not check them, and compiled code crashes."""
    if indices.dtype.kind not in "iu" or pointers.dtype.kind not in "iu" or values.dtype.kind not in "iuf":
        return None
    indices, pointers = indices.astype(np.int64), pointers.astype(np.int64)
    if columns is not None and pointers.size != columns + 1:
        return None
    if not 0 <= rows < 2**31 or pointers.size < 1 or pointers[0] != 0 or (np.diff(pointers) < 0).any():
        return None
    # MATLAB may leave spare room behind the last entry.
    stored = int(pointers[-1])
    if stored > min(values.size, indices.size):
        return None
    values, indices = values[:stored].astype(np.float64), indices[:stored]
    if stored and (int(indices.min()) < 0 or int(indices.max()) >= rows):
        return None
    kind = np.int32 if max(stored, pointers.size) < 2**31 else np.int64
    return sparse.csc_matrix((values, indices.astype(kind), pointers.astype(kind)), shape=(rows, pointers.size - 1))
