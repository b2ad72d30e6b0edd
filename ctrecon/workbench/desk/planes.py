"""Planes of an image, a picture, a volume or a series, one at a time, small enough to be sent to a page.

Sizes are checked before values are read; arrays of numpy are used where they lie on disk, volumes slice by slice.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from ctrecon.dicom.images.images import Volume, read_volume
from ctrecon.errors import InputError
from ctrecon.io.npy import map_npy
from ctrecon.io.pictures import read_picture
from ctrecon.outputs.stack.formats import load_format, stack_suffix
from ctrecon.outputs.stack.lookup import stack_of
from ctrecon.outputs.stack.manifest import MOST_BYTES, NAME, Manifest, read_manifest
from ctrecon.support.arrays import Array, Float32Array

MOST_SIDE = 1024
"""Of a plane that is sent: larger ones are reduced to means over blocks of pixels."""
MOST_VALUES = 1 << 26
"""Of a plane as it is stored."""
MOST_SERIES_BYTES = 1 << 30
"""Of the files of a DICOM series, which is read whole."""


@dataclass(frozen=True, kw_only=True)
class Planes:
    """``shape``: planes, rows, columns. ``channels``: 3 of a colour picture, else 1. ``plane`` reads one, from 0.

    ``about``: the manifest of a stack, the volume of a series (without its values); None of others.
    """

    shape: tuple[int, int, int]
    plane: Callable[[int], Array]
    channels: int = 1
    about: Manifest | Volume | None = None
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def factor(self) -> int:
        """How many pixels a side become one in what is sent."""
        return -(-max(self.shape[1:]) // MOST_SIDE)

    def sent(self, k: int) -> Float32Array:
        """Plane ``k`` as it is sent.

        Args:
            k: From 0.

        Returns:
            ``[rows, columns]``, of colours ``[rows, columns, 3]``, no side above ``MOST_SIDE``.

        Raises:
            InputError: There is no such plane, or it holds values that are not finite.
        """
        if not 0 <= k < self.shape[0]:
            raise InputError(f"there is no plane {k}, only 0 to {self.shape[0] - 1}")
        return reduced(self.plane(k), self.factor)


def reduced(plane: Array, factor: int) -> Float32Array:
    """Means over blocks of ``factor`` x ``factor`` pixels; blocks at the end that are not whole, of what there is."""
    values = np.asarray(plane, dtype=np.float64)
    if factor > 1:
        for axis in (0, 1):
            starts = np.arange(0, values.shape[axis], factor)
            counted = np.diff(np.append(starts, values.shape[axis])).reshape([-1 if a == axis else 1 for a in
                                                                              range(values.ndim)])  # fmt: skip
            values = np.add.reduceat(values, starts, axis=axis) / counted
    found = values.astype(np.float32)
    if not bool(np.isfinite(found).all()):
        raise InputError("it holds values that are not finite, so no picture is made of it")
    return found


def _checked(shape: tuple[int, ...], what: str) -> None:
    """Raises InputError for a plane that is too large to be read for a look."""
    if math.prod(shape) > MOST_VALUES:
        raise InputError(f"{what}: a plane of {' x '.join(map(str, shape))} values is more than the {MOST_VALUES} that "
                         "are read for a look; ctrecon report reduces it")  # fmt: skip


def open_array(path: Path) -> Planes:
    """``[rows, columns]``, of a volume ``[slices, rows, columns]``. Raises InputError for other shapes."""
    values = map_npy(path)
    if values.ndim not in (2, 3):
        raise InputError(f"{path.name}: has shape {values.shape}; an image has two dimensions, a volume three")
    depth = 1 if values.ndim == 2 else values.shape[0]
    _checked(values.shape[-2:], path.name)
    return Planes(
        shape=(depth, *values.shape[-2:]), plane=lambda k: np.array(values if values.ndim == 2 else values[k])
    )


def open_picture(path: Path) -> Planes:
    """A picture, or the values ``[rows, columns]`` or ``[rows, columns, 3]`` of an enlarged one. Raises InputError."""
    if path.suffix == ".npy":
        values = map_npy(path)
    else:
        _check_size(path)
        values = read_picture(path).levels
    if values.ndim != 2 and values.shape[2:] != (3,):
        raise InputError(f"{path.name}: has shape {values.shape}; a picture has two dimensions, and three colours")
    _checked(values.shape, path.name)
    rows, columns = values.shape[:2]
    return Planes(
        shape=(1, rows, columns), channels=1 if values.ndim == 2 else 3, plane=lambda k: np.array(values)
    )


def _check_size(path: Path) -> None:
    """By the header, before a value is unpacked. Raises InputError."""
    try:
        with PillowImage.open(path) as image:
            size = image.size
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        raise InputError(f"{path.name}: cannot be read as a picture; write it again") from None
    _checked((*size, 3), path.name)


def manifest_of(path: Path) -> Manifest:
    """Of a volume, read from its evidence. Raises InputError."""
    found = stack_of(path)
    if found is None:
        raise InputError(f"{path.name}: is no volume with its evidence")
    file = found[1] / NAME
    if file.is_symlink() or file.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name}: its manifest is a link, or larger than {MOST_BYTES} bytes")
    return read_manifest(path.name, file.read_bytes())


def open_volume(path: Path) -> Planes:
    """A stack or volume with its manifest, kept open. Raises InputError."""
    manifest = manifest_of(path)
    _checked(manifest.shape[1:], path.name)
    held = ExitStack()
    plane = held.enter_context(load_format(stack_suffix(path) or "").opened(path, manifest))
    return Planes(shape=manifest.shape, plane=plane, about=manifest, held=held)


def open_series(path: Path) -> Planes:
    """The one CT series in a folder, in HU. Raises InputError."""
    size = sum(one.stat().st_size for one in path.iterdir() if one.is_file())
    if size > MOST_SERIES_BYTES:
        raise InputError(f"{path.name}: has {size} bytes, more than the {MOST_SERIES_BYTES} that are read for a look")
    volume = read_volume(path)
    depth, rows, columns = volume.hu.shape
    _checked((rows, columns), path.name)
    return Planes(shape=(depth, rows, columns), plane=lambda k: volume.hu[k], about=volume)


OPENERS: dict[str, Callable[[Path], Planes]] = {
    "image": open_array, "picture": open_picture, "volume": open_volume, "series": open_series,
}  # fmt: skip


class Shelf:
    """What was opened last, by place and state on disk: ``most`` things are kept open, the oldest is closed."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._open: OrderedDict[tuple[Path, object], Planes] = OrderedDict()
        self._lock = threading.Lock()

    def sent(self, kind: str, path: Path, state: object, k: int | None) -> tuple[Planes, Float32Array]:
        """What is there, and one plane of it as it is sent.

        Args:
            kind: One of ``OPENERS``.
            path: The place.
            state: Changes when the file does.
            k: From 0; None for the middle one.

        Returns:
            Both, read under a lock: files are not made for several readers.

        Raises:
            InputError: As the kind's opener, and ``Planes.sent``.
        """
        with self._lock:
            planes = self._open.pop((path, state), None) or OPENERS[kind](path)
            self._open[path, state] = planes
            while len(self._open) > self._most:
                self._open.popitem(last=False)[1].held.close()
            return planes, planes.sent(planes.shape[0] // 2 if k is None else k)

    def close(self) -> None:
        """Close all of it."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].held.close()
