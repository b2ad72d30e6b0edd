"""A file that holds named arrays, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array


class ArrayFile(Protocol):
    """Named numeric arrays of one file; parts of structs and groups are named ``a/b``."""

    path: Path

    def names(self) -> tuple[str, ...]:
        """The arrays of numbers at the top of the file."""
        ...

    def __contains__(self, name: object) -> bool: ...

    def read(self, name: str) -> Array:
        """The array. Raises InputError where there is none, or it is not of real numbers, or too large."""
        ...

    def read_plane(self, name: str, row: int | None) -> Plane:
        """Of ``[views, rows, detectors]`` one row without the rest; other arrays, and without ``row``, whole."""
        ...


class Plane(NamedTuple):
    """What was read, and of how many detector rows it is one; 0 where there was nothing to choose."""

    values: Array
    rows: int = 0


def plane_of(path: Path, name: str, values: Array, row: int | None) -> Plane:
    """The same of an array that is at hand, or whose parts are read when they are asked for. Raises InputError."""
    if row is None or values.ndim != 3:
        return Plane(values)
    if not 0 <= row < values.shape[1]:
        raise InputError(f"{path}: {name} has detector rows 0 to {values.shape[1] - 1}, not {row}")
    return Plane(np.asarray(values[:, row]), values.shape[1])


@runtime_checkable
class Describing(ArrayFile, Protocol):
    """A file of arrays that can say how they were measured, as an ``.npz`` file and a zarr store can."""

    def json(self, name: str) -> Any:
        """A text or an object, as JSON knows it. Raises InputError for what is none."""
        ...


def number(file: ArrayFile, name: str) -> float:
    """A single number. Raises InputError where it is missing or not single."""
    values = file.read(name)
    if values.size != 1:
        raise InputError(f"{file.path}: {name} must be one number, got shape {values.shape}")
    return float(values.reshape(()))


def missing(file: ArrayFile, name: str) -> InputError:
    known = ", ".join(file.names()) or "no array of numbers"
    return InputError(f"{file.path}: there is no variable {name!r}; it holds {known}")
