"""TIFF files as frames, one or many to a file, by ``tifffile``; sizes are checked before any is read."""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.ask import Ahead
from ctrecon.support.arrays import Array
from ctrecon.support.later import Later
from ctrecon.support.limits import check_claim, check_number_type, reason
from ctrecon.support.plain_file import plain_size

if TYPE_CHECKING:
    import tifffile
else:
    tifffile = Later("tifffile")

# Its remarks on damaged files quote them.
logging.getLogger("tifffile").propagate = False
logging.getLogger("tifffile").addHandler(logging.NullHandler())

SUFFIXES = (".tif", ".tiff")
MOST_FRAMES = 100_000
_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError,
    MemoryError, NotImplementedError, AssertionError, struct.error, zlib.error, Warning,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Pages of files, in order: ``places`` are (file, page); all are ``rows`` x ``columns`` of one type."""

    places: tuple[tuple[Path, int], ...]
    rows: int
    columns: int
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.places)

    def row(self, row: int, ahead: Ahead | None = None) -> Array:
        """``[frames, columns]`` in float64. Raises InputError for damaged files."""
        values = (Ahead() if ahead is None else ahead).row(self.places, row, self.rows, self._rows)
        return np.asarray(values, dtype=np.float64)

    def _rows(self, rows: slice) -> Array:
        """``[frames, rows, columns]`` as they are stored."""
        found = np.empty((len(self.places), rows.stop - rows.start, self.columns), self.dtype)
        for k, values in enumerate(self):
            found[k] = values[rows]
        return found

    def __iter__(self) -> Iterator[Array]:
        """Frame by frame, ``[rows, columns]``. Raises InputError for damaged files."""
        for path, values in _pages(self.places):
            if values.shape != (self.rows, self.columns):
                raise InputError(f"{path}: holds a picture of {values.shape} where the others are {self.rows} x "
                                 f"{self.columns}; keep what is no projection elsewhere")  # fmt: skip
            yield values

    def whole(self) -> Array:
        """The only frame, ``[rows, columns]`` in float64. Raises InputError for a damaged file."""
        (_, values), *_ = _pages(self.places[:1])
        return np.asarray(values, dtype=np.float64)


def frames_of(files: Sequence[Path]) -> Frames:
    """The pages of ``files``. Raises InputError where there are none, or they differ in size or type."""
    places: list[tuple[Path, int]] = []
    first: tuple[tuple[int, ...], np.dtype[Any]] | None = None
    for path in files:
        with opened(path) as file:
            for page, one in enumerate(file.pages):
                shape, dtype = tuple(one.shape), np.dtype(one.dtype)
                check_number_type(path, "its picture", dtype)
                claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
                check_claim(path, "its picture", claimed, path.stat().st_size)
                first = first or (shape, dtype)
                if len(shape) != 2 or 0 in shape:
                    raise InputError(f"{path}: holds a picture of shape {shape}; grey ones are projections")
                if (shape, dtype) != first:
                    raise InputError(f"{path}: holds a picture of {shape} {dtype} where the first has {first[0]} "
                                     f"{first[1]}; keep what is no projection elsewhere")  # fmt: skip
                places.append((path, page))
                if len(places) > MOST_FRAMES:
                    raise InputError(f"{path.parent}: holds more than {MOST_FRAMES} pictures; give one scan")
    if first is None:
        where = f"{files[0]}: holds" if files else "there are"
        raise InputError(f"{where} no pictures; give a folder of TIFF files")
    return Frames(places=tuple(places), rows=first[0][0], columns=first[0][1], dtype=first[1])


def in_order(paths: Iterable[Path]) -> list[Path]:
    """By name, numbers by their value: ``p2`` before ``p10``."""
    return sorted(paths, key=lambda path: [(int(part) if part.isdecimal() else -1, part)
                                           for part in re.findall(r"\d+|\D+", path.name.lower())])  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    plain_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with tifffile.TiffFile(path) as file:
                yield file
    except InputError:
        raise
    except (*_DAMAGE, tifffile.TiffFileError) as error:  # older ones have it from Exception alone
        raise InputError(f"{path}: is no TIFF file that can be read ({reason(error)}); copy it again") from None


def _pages(places: Iterable[tuple[Path, int]]) -> Iterator[tuple[Path, Array]]:
    done: Path | None = None
    for path, _ in places:
        if done != path:
            with opened(path) as file:
                for one in file.pages:
                    yield path, one.asarray()
            done = path
