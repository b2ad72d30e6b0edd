"""HDF5 files, MATLAB 7.3 among them, without following them out of themselves.

External links, external storage and virtual datasets name other files; they are refused, not followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import Plane, missing, plane_of
from ctrecon.io.ask import Ahead
from ctrecon.support.arrays import Array
from ctrecon.support.json_text import MAX_DEPTH
from ctrecon.support.later import Later
from ctrecon.support.limits import MAX_BYTES, check_claim, check_number_type, claimed_bytes, reason

if TYPE_CHECKING:
    import h5py
else:
    h5py = Later("h5py")

_MOST_LINKS = 8
# So many names of a file are looked at for its arrays; those of a large experiment are a few hundred.
_MOST_NAMES = 2000
_LONGEST_TEXT = 10_000


@contextmanager
def _whole(path: Path, name: str) -> Iterator[None]:
    """Whatever HDF5 says of a damaged file as one InputError."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, NotImplementedError) as error:
        raise InputError(f"{path}: {name} is damaged or cannot be read ({reason(error)}); copy it again") from None


class Hdf5File:
    """Datasets by path. Axes are as stored: MATLAB 7.3 comes transposed, ``MatFile73`` turns it back.

    A context manager. Raises InputError for a file that is not HDF5 or is damaged.
    """

    def __init__(self, path: Path, ahead: Ahead | None = None) -> None:
        self.path = path
        self._ahead = Ahead() if ahead is None else ahead
        try:
            self._file = h5py.File(path, "r", locking=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: is not a whole HDF5 file ({reason(error)}); copy or write it again") from None

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def names(self) -> tuple[str, ...]:
        """The arrays of numbers at the top; where there are none, those with two axes and more, wherever they are.

        Raises InputError where there are none of these either, and a link leads to another file.
        """
        top = tuple(name for name in self._top() if self._is_numbers(name))
        return top or self._deeper()

    def _deeper(self) -> tuple[str, ...]:
        found: list[str] = []
        ahead, seen, away = self._top(), 0, ""
        while ahead and seen < _MOST_NAMES:
            name, seen = ahead.pop(0), seen + 1
            try:
                one = self.find(name)
            except InputError as leaves:
                away = away or str(leaves)
                continue
            with suppress(InputError), _whole(self.path, name):
                if isinstance(one, h5py.Group) and name.count("/") < MAX_DEPTH:
                    ahead += [f"{name}/{part}" for part in one]
                elif isinstance(one, h5py.Dataset) and one.dtype.kind in "fiuc" and len(one.shape or ()) > 1:
                    found.append(name)
        if away and not found:
            raise InputError(away)
        return tuple(found)

    def _top(self) -> list[str]:
        with _whole(self.path, "its table of contents"):
            return list(self._file)

    def groups(self) -> tuple[str, ...]:
        """The groups at the top of the file."""
        return tuple(name for name in self._top() if self._is_group(name))

    def members(self, group: str) -> tuple[str, ...]:
        """Names of the datasets and groups in a group; none where there is no such group."""
        found = self.find(group)
        with _whole(self.path, group):
            return tuple(found) if isinstance(found, h5py.Group) else ()

    def text(self, name: str) -> str:
        """A dataset of one text, '' where there is none."""
        found = self.find(name)
        if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "OS" or found.external:
            return ""
        with _whole(self.path, name):
            value = found.asstr()[()] if h5py.check_string_dtype(found.dtype) else ""
        value = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
        return value[:_LONGEST_TEXT] if isinstance(value, str) else ""

    def _is_group(self, name: str) -> bool:
        with suppress(InputError):
            return isinstance(self.find(name), h5py.Group)
        return False

    def _is_numbers(self, name: str) -> bool:
        with suppress(InputError), _whole(self.path, name):
            found = self.find(name)
            kinds = "bfiuc" if name == "mask" else "fiuc"
            return isinstance(found, h5py.Dataset) and found.dtype.kind in kinds
        return False

    def __contains__(self, name: object) -> bool:
        # A link out of the file is there, and an error when it is read: not a missing variable.
        try:
            return isinstance(name, str) and self.find(name) is not None
        except InputError:
            return True

    def find(self, name: str) -> Any:
        """The group or dataset, or None. Raises InputError where a link leaves the file."""
        with _whole(self.path, name):
            return self._walk(name.strip("/").split("/"), _MOST_LINKS)

    def _walk(self, parts: list[str], links: int) -> Any:
        here: Any = self._file
        if len(parts) > MAX_DEPTH:
            raise InputError(
                f"{self.path}: what is read there lies {len(parts)} groups deep; nothing real is nested more than "
                f"{MAX_DEPTH} deep, write it further up"
            )
        for k, part in enumerate(parts):
            if not isinstance(here, h5py.Group) or not part or part in (".", ".."):
                return None
            # The high-level "in" and "get" follow links while they look; the link table does not.
            links_here, key = here.id.links, part.encode()
            if not links_here.exists(key):
                return None
            kind = links_here.get_info(key).type
            if kind == h5py.h5l.TYPE_EXTERNAL:
                raise InputError(
                    f"{self.path}: {'/'.join(parts)} is a link into another file "
                    f"({links_here.get_val(key)[0].decode('utf-8', 'replace')!r}), which is not followed; "
                    f"copy the data into one file, for instance by `h5copy -f ext -i {self.path.name} -o one.h5 "
                    f"-s {parts[0]} -d {parts[0]}`"
                )
            if kind == h5py.h5l.TYPE_SOFT:
                if links == 0:
                    raise InputError(f"{self.path}: {'/'.join(parts)} is a circle of links; store the data itself")
                link = links_here.get_val(key).decode("utf-8", "replace")
                target = link if link.startswith("/") else f"{here.name}/{link}"
                return self._walk([p for p in target.split("/") if p] + parts[k + 1 :], links - 1)
            if kind != h5py.h5l.TYPE_HARD:
                return None
            here = here[part]
        return here

    def dataset(self, name: str) -> h5py.Dataset:
        """A dataset of real numbers that lies in this file. Raises InputError otherwise; nothing is read yet."""
        with _whole(self.path, name):
            return self._checked(name)

    def _checked(self, name: str) -> h5py.Dataset:
        found = self.find(name)
        if not isinstance(found, h5py.Dataset):
            raise missing(self, name)
        if found.external:
            raise InputError(
                f"{self.path}: {name} keeps its values in another file ({found.external[0][0]!r}), which is not "
                "opened; copy the data into one file"
            )
        if found.is_virtual:
            raise InputError(
                f"{self.path}: {name} is put together from other files, which are not opened; copy its values into one "
                "file (by h5py: new[name] = old[name][()])"
            )
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
        shape = tuple(self._ahead.rows if k == axis else n for k, n in enumerate(found.shape))
        check_claim(self.path, name, claimed_bytes(self.path, name, shape, found.dtype), found.id.get_storage_size())

        def read(rows: slice) -> Array:
            values = self._values(found, name, tuple(rows if k == axis else slice(None) for k in range(found.ndim)))
            return np.moveaxis(values, axis, 1)

        return self._ahead.row((self.path, name, axis), row, found.shape[axis], read)

    def read_plane(self, name: str, row: int | None) -> Plane:
        """Of ``[views, rows, columns]`` one row; an array of other dimensions whole."""
        found = self.dataset(name)
        if row is None or found.ndim != 3 or not 0 <= row < found.shape[1]:
            return plane_of(self.path, name, self.read(name), row)
        return Plane(self.read_row(name, 1, row), found.shape[1])

    def _values(self, found: h5py.Dataset, name: str, part: tuple[Any, ...]) -> Array:
        with _whole(self.path, name):
            values = np.asarray(found[part])
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _attribute(self, name: str, key: str) -> Any:
        with _whole(self.path, name):
            found = self.find(name)
            value = None if found is None else found.attrs.get(key)
            if isinstance(value, np.ndarray):
                value = value.reshape(-1)[0] if value.size == 1 else None
            return value

    def attribute(self, name: str, key: str) -> str:
        """A text attribute, '' where there is none."""
        value = self._attribute(name, key)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""

    def whole_attribute(self, name: str, key: str) -> int | None:
        """A whole number, None where there is none."""
        value = self._attribute(name, key)
        return int(value) if isinstance(value, np.integer) else None

    def real_attribute(self, name: str, key: str) -> float | None:
        """A finite number, None where there is none."""
        value = self._attribute(name, key)
        number = float(value) if isinstance(value, np.integer | np.floating | int | float) else np.nan
        return number if np.isfinite(number) else None
