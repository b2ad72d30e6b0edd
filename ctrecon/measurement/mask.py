"""Which rays were measured: a *mask* ``[views, detectors]``, True where a ray is usable.

This is the one convention, in files and in Python. A ray whose mask is False is missing: it has weight zero in every
energy and certificate, and its value is only a guess from its neighbours (``filling.py``), for pictures and for
filtered back projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrecon.errors import InputError
from ctrecon.measurement.given import as_array

Mask = npt.NDArray[np.bool_]

MOST_MISSING = 0.5
"""More rays than this share without a finite value are no gaps but another kind of file; a mask says otherwise."""

_MOST_NAMED = 6


def as_mask(source: str, values: Any, shape: tuple[int, ...]) -> Mask:
    """A mask as someone gives it: truth values, or numbers that are all 0 or 1.

    Args:
        source: What it belongs to, for messages.
        values: ``[views, detectors]``, or ``[views, rows, detectors]`` of a scan in space.
        shape: Of the sinogram.

    Returns:
        Of that shape, True where a ray is usable.

    Raises:
        InputError: For another shape, other values, or where no ray is usable.
    """
    found = as_array(source, "mask", values)
    if found.shape != shape:
        raise InputError(f"{source}: the mask has shape {found.shape}, the sinogram {shape}; they must agree")
    if found.dtype.kind not in "bui" and found.dtype.kind != "f":
        raise InputError(f"{source}: the mask must hold truth values or 0 and 1, got {found.dtype}")
    if found.dtype.kind != "b" and not bool(np.isin(found, (0, 1)).all()):
        raise InputError(f"{source}: the mask must hold 0 (missing) and 1 (usable) alone; make it truth values")
    mask: Mask = np.ascontiguousarray(found.astype(np.bool_))
    if not mask.any():
        raise InputError(f"{source}: the mask leaves no ray usable; True (1) stands for a usable ray: is it inverted?")
    return mask


def mask_of_lines(source: str, shape: tuple[int, ...], columns: Sequence[int], views: Sequence[int]) -> Mask:
    """The mask that lacks whole ``columns`` (detector cells) and ``views``, both numbered from 0.

    Raises:
        InputError: For a number that is not one of them, or where nothing is left.
    """
    mask = np.ones(shape, dtype=np.bool_)
    for name, numbers, axis in (("bad_columns", columns, -1), ("bad_views", views, 0)):
        for number in numbers:
            if not 0 <= number < shape[axis]:
                raise InputError(f"{source}: {name} must be numbers from 0 to {shape[axis] - 1}, got {number}")
        mask[(..., list(numbers)) if axis else list(numbers)] = False
    return as_mask(source, mask, shape)


def together(first: Mask | None, second: Mask | None) -> Mask | None:
    """Usable in both; None stands for a mask that lacks nothing."""
    return second if first is None else first if second is None else first & second


def unmasked(values: Any) -> tuple[Any, Mask | None]:
    """``values`` without a mask of NumPy's (whose True means masked), and the same as a mask of ours."""
    if not np.ma.isMaskedArray(values):
        return values, None
    return values.data, ~np.ma.getmaskarray(values)


def in_words(mask: Mask) -> str:
    """What is missing: ``column 31, views 4 and 9 and 12 single rays``."""
    cells = tuple(range(1, mask.ndim))
    lost_views, lost_cells = ~mask.any(axis=cells), ~mask.any(axis=0)
    single = int(np.count_nonzero(~mask[~lost_views][:, ~lost_cells]))
    columns = [str(at) for at in np.flatnonzero(lost_cells)]
    if mask.ndim > 2:
        columns = ["(" + ", ".join(map(str, at)) + ")" for at in np.argwhere(lost_cells).tolist()]
    views = [str(at) for at in np.flatnonzero(lost_views)]
    said = [_numbers(name, lost) for name, lost in (("column", columns), ("view", views)) if lost]
    if single:
        said.append(f"{single} single ray{'s' * (single > 1)}")
    return _list(said)


def missing_note(mask: Mask) -> str:
    """The sentence of notes: how many rays count, and which do not."""
    lost = mask.size - int(np.count_nonzero(mask))
    return f"{lost} of {mask.size} rays are missing and have no weight: {in_words(mask)}"


def _numbers(name: str, numbers: list[str]) -> str:
    shown = numbers[:_MOST_NAMED]
    if len(numbers) > _MOST_NAMED:
        return f"{len(numbers)} {name}s ({', '.join(shown)}, ...)"
    return f"{name}{'s' * (len(numbers) > 1)} {_list(shown)}"


def _list(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "none"
