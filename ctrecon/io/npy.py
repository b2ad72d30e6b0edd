"""numpy's own formats, read without pickle and without trusting a header."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import Plane, missing, plane_of
from ctrecon.support.arrays import Array
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import MAX_BYTES, check_claim, check_number_type, claimed_bytes, reason
from ctrecon.support.plain_file import plain_size

_MOST_MEMBERS = 256
_LONGEST_HEADER = 16384


def _header(head: IO[bytes], path: Path, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy_format.read_magic(head)
        if version == (1, 0):
            return npy_format.read_array_header_1_0(head)
        if version == (2, 0):
            return npy_format.read_array_header_2_0(head)
    except Exception as error:  # the header is parsed as Python text: it can fail in any way
        raise InputError(f"{path}: {what} has no valid npy header ({reason(error)}); write it again") from None
    raise InputError(f"{path}: {what} has npy format version {version}; write it again with numpy.save")


def _read(stream: IO[bytes], path: Path, what: str, size: int, *, text: bool = False) -> Array:
    """One array of ``size`` bytes, header included."""
    # numpy reads as many bytes as a header claims to have: it gets no more than this to read.
    head = io.BytesIO(stream.read(_LONGEST_HEADER))
    shape, fortran, dtype = _header(head, path, what)
    if not (text and dtype.kind == "U"):
        check_number_type(path, what, dtype)
    claimed = claimed_bytes(path, what, shape, dtype)
    check_claim(path, what, claimed, stored=claimed)
    present = size - head.tell()
    if claimed != present:
        problem = "was cut off" if claimed > present else "holds more than one array or is damaged"
        raise InputError(
            f"{path}: {what} claims shape {shape} ({claimed} bytes) but {present} bytes follow, so it {problem}; "
            "write it again"
        )
    stream.seek(head.tell())
    data = stream.read(claimed)
    if len(data) != claimed:
        raise InputError(f"{path}: {what} was cut off after {len(data)} of {claimed} bytes; copy it again")
    values = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return values.astype(dtype.newbyteorder("="))


def read_npy(path: Path) -> Array:
    """The array in a ``.npy`` file. Raises InputError for anything but one whole array of real numbers."""
    size = plain_size(path)
    with path.open("rb") as stream:
        return _read(stream, path, "the array", size)


def map_npy(path: Path) -> Array:
    """The array where it lies on disk: what is not used is not read.

    Args:
        path: A ``.npy`` file.

    Returns:
        Read-only, of any shape but an empty one.

    Raises:
        InputError: For what ``read_npy`` refuses, but for size.
    """
    size = plain_size(path)
    with path.open("rb") as stream:
        head = io.BytesIO(stream.read(_LONGEST_HEADER))
    what = "the array"
    shape, fortran, dtype = _header(head, path, what)
    check_number_type(path, what, dtype)
    claimed = claimed_bytes(path, what, shape, dtype)
    if claimed != size - head.tell() or claimed == 0 or not shape:
        return read_npy(path)  # which says what is wrong
    stored = np.memmap(path, dtype=dtype, mode="r", offset=head.tell(), shape=shape, order="F" if fortran else "C")
    return stored.view(np.ndarray)


class NpyFile:
    """A ``.npy`` file as a file with one array, named like the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values = map_npy(path)

    def names(self) -> tuple[str, ...]:
        return (self.path.name,)

    def __contains__(self, name: object) -> bool:
        return name == self.path.name

    def read(self, name: str) -> Array:
        if name != self.path.name:
            raise missing(self, name)
        check_claim(self.path, "the array", self._values.nbytes, self._values.nbytes)
        return np.array(self._values)

    def read_plane(self, name: str, row: int | None) -> Plane:
        if name != self.path.name or row is None or self._values.ndim != 3:
            return Plane(self.read(name))
        return plane_of(self.path, name, self._values, row)


class NpzFile:
    """A ``.npz`` file: a zip archive of ``.npy`` members. Raises InputError where it is none or looks like a bomb."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            plain_size(path)
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise InputError(f"{path}: is not a whole npz file ({reason(error)}); write it again") from None
        if len(members) > _MOST_MEMBERS:
            raise InputError(f"{path}: holds {len(members)} members, more than {_MOST_MEMBERS}; store the scan alone")
        check_claim(path, "the archive", sum(member.file_size for member in members), path.stat().st_size)
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def read(self, name: str) -> Array:
        return self._load(name, text=False)

    def read_plane(self, name: str, row: int | None) -> Plane:
        return plane_of(self.path, name, self.read(name), row)

    def json(self, name: str) -> Any:
        """A member that holds one text, read as JSON."""
        values = self._load(name, text=True)
        try:
            return parse_json(str(values.reshape(())))
        except ValueError as error:
            raise InputError(f"{self.path}: {name} is not JSON text ({reason(error)})") from None

    def _load(self, name: str, *, text: bool) -> Array:
        if name not in self._members:
            raise missing(self, name)
        member = self._members[name]
        check_claim(self.path, name, member.file_size, member.compress_size)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as stream:
                # zipfile stops at the declared size, which was checked, and compares the checksum at the end.
                data = stream.read(min(member.file_size, MAX_BYTES) + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise InputError(f"{self.path}: {name} cannot be unpacked ({reason(error)}); write it again") from None
        return _read(io.BytesIO(data), self.path, name, len(data), text=text)
