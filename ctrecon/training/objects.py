"""Objects in HU from ``.npz`` files, one object a file: ``hu`` ``[slices, rows, columns]``, integers or floats."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.dicom.images.images import attenuation
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float32Array
from ctrecon.support.limits import MAX_BYTES

# Half of water, in 1/mm: neither air nor a table.
_DENSE = 1e-2
_EDGE = 0.2


@dataclass(frozen=True)
class HeldObject:
    """``slices`` in 1/mm, each ``[rows, columns]``; ``truncated`` where the object goes on beyond the image."""

    name: str
    slices: list[Float32Array]
    truncated: bool


def object_split(name: str) -> str:
    """``validation`` or ``train``, from the object's name alone; ``001`` and ``001b`` are one patient's."""
    patient = re.sub(r"(?<=\d)[a-z]$", "", name)
    bucket = hashlib.sha256(f"ct-object 3: {patient}".encode()).digest()[0] % 100
    return "validation" if bucket < 20 else "train"


def read_objects(folder: Path, split: str | None = None) -> list[HeldObject]:
    """The objects of one split, or all, in the order of their names.

    Args:
        folder: Of ``.npz`` files, each with slices ``hu``.
        split: ``train`` or ``validation``; None for all.

    Returns:
        Each object with its slices in 1/mm.

    Raises:
        InputError: For a folder without any, and for a file that is damaged or holds no ``hu`` of that shape.
    """
    paths = [path for path in sorted(folder.glob("*.npz")) if split in (None, object_split(path.stem))]
    if not paths:
        raise InputError(f"{folder} holds no objects (.npz){f' of the {split} split' if split else ''}")
    return [_read(path) for path in paths]


def _read(path: Path) -> HeldObject:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if "hu" not in file:
                raise InputError(f"{path} holds no array 'hu' [slices, rows, columns]")
            hu = file["hu"]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as why:
        raise InputError(f"{path} cannot be read as .npz ({why}); copy it again") from None
    if hu.ndim != 3 or 0 in hu.shape or hu.dtype.kind not in "iuf" or hu.size > MAX_BYTES:
        raise InputError(f"{path}: hu is {hu.dtype} {list(hu.shape)}, expected numbers [slices, rows, columns]")
    if not np.isfinite(hu).all():
        raise InputError(f"{path}: hu holds values that are not finite")
    return held_object(path.stem, [attenuation(one.astype(np.float32)) for one in hu])


def held_object(name: str, slices: list[Float32Array]) -> HeldObject:
    """``slices`` in 1/mm and whether a good part of the circle that touches their borders lies within the object."""
    return HeldObject(name, slices, any(map(_goes_on, slices)))


def _goes_on(image: Float32Array) -> bool:
    """Whether much of the circle just inside the image's borders is not air."""
    rows, columns = image.shape
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    radius = 0.97 * min(rows, columns) / 2
    y = np.rint((rows - 1) / 2 + radius * np.sin(angles)).astype(int)
    x = np.rint((columns - 1) / 2 + radius * np.cos(angles)).astype(int)
    return bool(np.mean(image[y, x] > _DENSE) > _EDGE)
