"""MATLAB files of both kinds behind one interface: variables and struct fields by path, axes as in MATLAB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import Plane, missing, plane_of
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.mat5 import csc_from_parts, load_mat5
from ctrecon.support.arrays import Array
from ctrecon.support.later import Later
from ctrecon.support.limits import check_number_type

if TYPE_CHECKING:
    import h5py
else:
    h5py = Later("h5py")

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class MatFile5:
    """A MATLAB 5 to 7 file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._variables = load_mat5(path)

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, value in self._variables.items() if isinstance(value, np.ndarray))

    def structs(self) -> tuple[str, ...]:
        return tuple(name for name, value in self._variables.items() if isinstance(value, dict))

    def _find(self, name: str) -> Any:
        first, *rest = name.split("/")
        here = self._variables.get(first)
        for part in rest:
            here = here.get(part) if isinstance(here, dict) else None
        return here

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def read(self, name: str) -> Array:
        found = self._find(name)
        if found is None:
            raise missing(self, name)
        if not isinstance(found, np.ndarray):
            kind = "text" if isinstance(found, str) else "a struct" if isinstance(found, dict) else "a sparse matrix"
            raise InputError(f"{self.path}: {name} is {kind}; a full array of numbers is needed")
        check_number_type(self.path, name, found.dtype)
        return found

    def text(self, name: str) -> str:
        found = self._find(name)
        return found if isinstance(found, str) else ""

    def read_plane(self, name: str, row: int | None) -> Plane:
        return plane_of(self.path, name, self.read(name), row)

    def is_sparse(self, name: str) -> bool:
        return bool(sparse.issparse(self._find(name)))

    def sparse(self, name: str) -> Any:
        """A sparse variable as scipy CSC."""
        return self._find(name)


class MatFile73:
    """A MATLAB 7.3 file: HDF5 with every axis order reversed, structs as groups and sparse matrices in three parts."""

    def __init__(self, file: Hdf5File) -> None:
        self.path = file.path
        self._file = file

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self._file.names() if self._file.attribute(name, "MATLAB_class") != "char")

    def structs(self) -> tuple[str, ...]:
        found = [name for name in self._file.groups() if not name.startswith("#")]
        return tuple(name for name in found if not self.is_sparse(name))

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def read(self, name: str) -> Array:
        if isinstance(self._file.find(name), h5py.Group):
            raise InputError(f"{self.path}: {name} is a struct or sparse; a full array of numbers is needed")
        if self._file.attribute(name, "MATLAB_class") == "char":
            raise InputError(f"{self.path}: {name} holds text; store plain numbers")
        values = self._file.read(name)
        return np.ascontiguousarray(values.T)

    def read_plane(self, name: str, row: int | None) -> Plane:
        return plane_of(self.path, name, self.read(name), row)

    def text(self, name: str) -> str:
        if name not in self._file or self._file.attribute(name, "MATLAB_class") not in ("char", ""):
            return ""
        codes = self._file.read(name).reshape(-1)
        if codes.dtype.kind not in "iu" or codes.size > 4096:
            return ""
        return "".join(chr(int(code)) for code in codes if 0 < code < 0xD800)

    def is_sparse(self, name: str) -> bool:
        return isinstance(self._file.find(name), h5py.Group) and self._rows(name) is not None

    def _rows(self, name: str) -> int | None:
        return self._file.whole_attribute(name, "MATLAB_sparse")

    def sparse(self, name: str) -> Any:
        """A sparse variable as scipy CSC. Raises InputError where its parts do not fit together."""
        rows = self._rows(name)
        pointers = self._file.read(f"{name}/jc").reshape(-1)
        if f"{name}/data" in self._file:
            values = self._file.read(f"{name}/data").reshape(-1)
            indices = self._file.read(f"{name}/ir").reshape(-1)
        else:
            values, indices = np.zeros(0), np.zeros(0, dtype=np.int64)
        matrix = None if rows is None else csc_from_parts(values, indices, pointers, rows)
        if matrix is None:
            raise InputError(f"{self.path}: the sparse matrix {name} has indices outside its shape; save it again")
        return matrix


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
