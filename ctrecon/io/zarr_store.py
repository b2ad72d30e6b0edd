"""A zarr store in a folder, ``NAME.zarr``: an array, or a group of named ones, read by the library ``zarr``.

The geometry stands in the attribute ``geometry`` of the group or array, the same object as in a sidecar, or in
``NAME.json`` beside the folder; the arrays are named as in an ``.npz`` file, or by the sidecar's ``arrays``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import Plane, missing, plane_of
from ctrecon.io.zarr_metadata import attributes_of, described, is_array
from ctrecon.support.arrays import Array
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import reason

_MOST_ARRAYS = 256


class ZarrStore:
    """Named arrays of a store. Raises InputError where it is none of numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if is_array(path):
            self._folders = {"sinogram": path}
        else:
            inner = sorted(p for p in path.iterdir() if p.is_dir() and not p.is_symlink() and is_array(p))
            if len(inner) > _MOST_ARRAYS:
                raise InputError(f"{path}: holds {len(inner)} arrays, more than {_MOST_ARRAYS}; store the scan alone")
            self._folders = {p.name: p for p in inner}
        self._attributes = attributes_of(path)

    def names(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def __contains__(self, name: object) -> bool:
        return name in self._folders or name in self._attributes

    def read(self, name: str) -> Array:
        """An array, or numbers among the attributes."""
        if name not in self._folders:
            if name in self._attributes:
                return _numbers(self.path, name, self._attributes[name])
            raise missing(self, name)
        about = described(self._folders[name])
        # Half a second of libraries.
        import zarr

        try:
            values = np.asarray(zarr.open_array(str(about.folder), mode="r")[...])
        except Exception as error:  # the library and its codecs fail in any way on damaged chunks
            raise InputError(f"{about.folder}: cannot be unpacked ({reason(error)}); copy it again") from None
        if values.shape != about.shape or values.dtype != about.dtype:
            raise InputError(f"{about.folder}: unpacks to {values.shape}, not to {about.shape}; copy it again")
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def read_plane(self, name: str, row: int | None) -> Plane:
        """See ``ArrayFile``."""
        return plane_of(self.path, name, self.read(name), row)

    def json(self, name: str) -> Any:
        """An attribute: an object, or its text."""
        value = self._attributes[name]
        try:
            return parse_json(value) if isinstance(value, str) else value
        except ValueError as error:
            raise InputError(f"{self.path}: {name} is not JSON text ({reason(error)})") from None


def _numbers(path: Path, name: str, value: Any) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: its attribute {name} must be numbers, got {str(value)[:40]!r}") from None
