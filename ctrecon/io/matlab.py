"""MATLAB files of both kinds behind one interface: variables and struct fields by path, axes as in MATLAB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import missing
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.limits import check_number_type
from ctrecon.io.mat5 import load_mat5, numeric
from ctrecon.scan import Array

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class MatFile5:
    """A MATLAB 5 to 7 file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._variables = load_mat5(path)

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, value in self._variables.items() if numeric(value))

    def structs(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, value in self._variables.items()
            if isinstance(value, np.ndarray) and value.dtype.names is not None and value.size == 1
        )

    def _find(self, name: str) -> Any:
        first, *rest = name.split("/")
        here = self._variables.get(first)
        for part in rest:
            if not (isinstance(here, np.ndarray) and here.dtype.names and part in here.dtype.names and here.size == 1):
                return None
            here = here.reshape(-1)[0][part]
        return here

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def read(self, name: str) -> Array:
        found = self._find(name)
        if sparse.issparse(found):
            raise InputError(f"{self.path}: {name} is a sparse matrix; a full array of numbers is needed")
        if not isinstance(found, np.ndarray):
            raise missing(self, name)
        check_number_type(self.path, name, found.dtype)
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def text(self, name: str) -> str:
        found = self._find(name)
        return str(found.reshape(-1)[0]) if isinstance(found, np.ndarray) and found.size == 1 else ""

    def is_sparse(self, name: str) -> bool:
        return bool(sparse.issparse(self._find(name)))

    def sparse(self, name: str) -> Any:
        """A sparse variable as scipy CSC. Raises InputError where it is damaged."""
        return _sound(self.path, name, sparse.csc_matrix(self._find(name)))


class MatFile73:
    """A MATLAB 7.3 file: HDF5 with every axis order reversed, structs as groups and sparse matrices in three parts."""

    def __init__(self, file: Hdf5File) -> None:
        self.path = file.path
        self._file = file

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self._file.names() if self._file.attribute(name, "MATLAB_class") != "char")

    def structs(self) -> tuple[str, ...]:
        found = [name for name in self._file._file if not name.startswith("#")]
        return tuple(name for name in found if self._is_group(name) and not self.is_sparse(name))

    def _is_group(self, name: str) -> bool:
        return isinstance(self._file.find(name), h5py.Group)

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def read(self, name: str) -> Array:
        if self._is_group(name):
            raise InputError(f"{self.path}: {name} is a struct or sparse; a full array of numbers is needed")
        if self._file.attribute(name, "MATLAB_class") == "char":
            raise InputError(f"{self.path}: {name} holds text; store plain numbers")
        values = self._file.read(name)
        return np.ascontiguousarray(values.T)

    def text(self, name: str) -> str:
        if name not in self._file or self._file.attribute(name, "MATLAB_class") not in ("char", ""):
            return ""
        codes = self._file.read(name).reshape(-1)
        if codes.dtype.kind not in "iu" or codes.size > 4096:
            return ""
        return "".join(chr(int(code)) for code in codes if 0 < code < 0xD800)

    def is_sparse(self, name: str) -> bool:
        found = self._file.find(name)
        return isinstance(found, h5py.Group) and "MATLAB_sparse" in found.attrs

    def sparse(self, name: str) -> Any:
        """A sparse variable as scipy CSC. Raises InputError where its parts do not fit together."""
        try:
            rows = int(np.asarray(self._file.find(name).attrs["MATLAB_sparse"]).reshape(())[()])
        except (TypeError, ValueError, KeyError, OSError) as error:
            raise InputError(f"{self.path}: {name} does not say its number of rows ({error}); save it again") from None
        pointers = self._file.read(f"{name}/jc").reshape(-1)
        if f"{name}/data" in self._file:
            values = self._file.read(f"{name}/data").reshape(-1).astype(np.float64)
            indices = self._file.read(f"{name}/ir").reshape(-1)
        else:
            values, indices = np.zeros(0), np.zeros(0, dtype=np.int64)
        return _sound(self.path, name, (values, indices, pointers, rows))


def _sound(path: Path, name: str, parts: Any) -> Any:
    """CSC from a matrix or from ``(values, row indices, column pointers, rows)``, its indices within bounds."""
    if sparse.issparse(parts):
        values, indices, pointers, rows = parts.data, parts.indices, parts.indptr, parts.shape[0]
    else:
        values, indices, pointers, rows = parts
    check_number_type(path, name, values.dtype)
    indices, pointers = indices.astype(np.int64), pointers.astype(np.int64)
    good = (
        0 <= rows <= 2**31
        and pointers.size >= 1
        and pointers[0] == 0
        and int(pointers[-1]) <= values.size
        and values.size == indices.size
        and bool((np.diff(pointers) >= 0).all())
    )
    if good:
        # MATLAB may leave spare room behind the last entry.
        values, indices = values[: pointers[-1]], indices[: pointers[-1]]
        good = indices.size == 0 or (int(indices.min()) >= 0 and int(indices.max()) < rows)
    if not good:
        raise InputError(f"{path}: the sparse matrix {name} has indices outside its shape; save it again")
    kind = np.int32 if max(values.size, rows, pointers.size) < 2**31 else np.int64
    return sparse.csc_matrix(
        (values.astype(np.float64), indices.astype(kind), pointers.astype(kind)), shape=(rows, pointers.size - 1)
    )


@contextmanager
def open_mat(path: Path) -> Iterator[MatFile5 | MatFile73]:
    """Either kind of MATLAB file, by its content. Raises InputError for anything else."""
    with path.open("rb") as stream:
        head = stream.read(1024)
    if HDF5_SIGNATURE in (head[:8], head[512:520]):
        with Hdf5File(path) as file:
            yield MatFile73(file)
    else:
        yield MatFile5(path)
