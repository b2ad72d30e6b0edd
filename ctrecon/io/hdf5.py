"""HDF5 files, MATLAB 7.3 among them, without following them out of themselves.

External links, external storage and virtual datasets name other files; they are refused, not followed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import missing
from ctrecon.io.limits import MAX_BYTES, check_claim, check_number_type, claimed_bytes
from ctrecon.scan import Array

_MOST_LINKS = 8


class Hdf5File:
    """Datasets by path. Axes are as stored: MATLAB 7.3 comes transposed, ``MatFile73`` turns it back.

    A context manager. Raises InputError for a file that is not HDF5 or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r", locking=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: is not a whole HDF5 file ({error}); copy or write it again") from None

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self._file if self._is_numbers(name))

    def _is_numbers(self, name: str) -> bool:
        with suppress(InputError):
            found = self.find(name)
            return isinstance(found, h5py.Dataset) and found.dtype.kind in "fiu"
        return False

    def __contains__(self, name: object) -> bool:
        # A link out of the file is there, and an error when it is read: not a missing variable.
        try:
            return isinstance(name, str) and self.find(name) is not None
        except InputError:
            return True

    def find(self, name: str) -> Any:
        """The group or dataset, or None. Raises InputError where a link leaves the file."""
        return self._walk(name.strip("/").split("/"), _MOST_LINKS)

    def _walk(self, parts: list[str], links: int) -> Any:
        here: Any = self._file
        for k, part in enumerate(parts):
            if not isinstance(here, h5py.Group) or not part or part in (".", ".."):
                return None
            try:
                link = here.get(part, getlink=True)
            except (KeyError, RuntimeError, ValueError):
                return None
            if isinstance(link, h5py.ExternalLink):
                raise InputError(
                    f"{self.path}: {'/'.join(parts)} is a link into another file ({link.filename!r}), which is not "
                    "followed; copy the data into one file"
                )
            if isinstance(link, h5py.SoftLink):
                if links == 0:
                    raise InputError(f"{self.path}: {'/'.join(parts)} is a circle of links; store the data itself")
                target = link.path if link.path.startswith("/") else f"{here.name}/{link.path}"
                return self._walk([p for p in target.split("/") if p] + parts[k + 1 :], links - 1)
            try:
                here = here[part]
            except (KeyError, RuntimeError, OSError, ValueError) as error:
                raise InputError(f"{self.path}: {'/'.join(parts)} is damaged ({error}); copy it again") from None
        return here

    def dataset(self, name: str) -> h5py.Dataset:
        """A dataset of real numbers that lies in this file. Raises InputError otherwise; nothing is read yet."""
        found = self.find(name)
        if not isinstance(found, h5py.Dataset):
            raise missing(self, name)
        if found.external:
            raise InputError(
                f"{self.path}: {name} keeps its values in another file ({found.external[0][0]!r}), which is not "
                "opened; copy the data into one file"
            )
        if found.is_virtual:
            raise InputError(f"{self.path}: {name} is put together from other files; copy the data into one file")
        check_number_type(self.path, name, found.dtype)
        if found.shape is None:
            raise InputError(f"{self.path}: {name} is empty; write the values")
        # The whole dataset and one chunk are what HDF5 may have to unpack for any part of it.
        stored = int(found.id.get_storage_size())
        if found.chunks is not None:
            chunk = claimed_bytes(self.path, name, found.chunks, found.dtype)
            check_claim(self.path, f"one chunk of {name}", chunk, stored)
        claimed = claimed_bytes(self.path, name, found.shape, found.dtype)
        if claimed > 0 and stored == 0:
            raise InputError(f"{self.path}: {name} claims shape {found.shape} but stores no values; write them")
        if (found.chunks is None and stored < claimed) or stored > self.path.stat().st_size:
            raise InputError(f"{self.path}: {name} claims shape {found.shape}, more than the file holds; copy it again")
        # A stack may be larger than memory, for one row of it is read; a bomb it must not be.
        check_claim(self.path, name, min(claimed, MAX_BYTES) if found.ndim == 3 else claimed, stored)
        return found

    def read(self, name: str) -> Array:
        found = self.dataset(name)
        claimed = claimed_bytes(self.path, name, found.shape, found.dtype)
        check_claim(self.path, name, claimed, found.id.get_storage_size())
        return self._values(found, name, ())

    def read_row(self, name: str, axis: int, row: int) -> Array:
        """One index of one axis of a 3-D dataset, without the rest."""
        found = self.dataset(name)
        shape = tuple(n for k, n in enumerate(found.shape) if k != axis)
        check_claim(self.path, name, claimed_bytes(self.path, name, shape, found.dtype), found.id.get_storage_size())
        return self._values(found, name, tuple(row if k == axis else slice(None) for k in range(found.ndim)))

    def _values(self, found: h5py.Dataset, name: str, part: tuple[Any, ...]) -> Array:
        try:
            values = np.asarray(found[part])
        except (OSError, RuntimeError, ValueError, MemoryError) as error:
            raise InputError(f"{self.path}: {name} cannot be read ({error}); copy the file again") from None
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def attribute(self, name: str, key: str) -> str:
        """A text attribute, '' where there is none."""
        found = self.find(name)
        try:
            value = None if found is None else found.attrs.get(key)
        except (OSError, RuntimeError, TypeError, KeyError):
            return ""
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
