"""HDF5 in the Data Exchange layout: raw counts, white and dark frames, and the angles.

F. De Carlo et al., Scientific data exchange: a schema for HDF5-based storage of raw and analyzed data, J. Synchrotron
Radiat. 21, 2014. ``exchange/data`` is ``[views, rows, columns]``, ``data_white`` and ``data_dark`` are frames,
``theta`` is in degrees. The layout says neither where the rotation axis projects nor how large a cell must be.
"""

from __future__ import annotations

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.measured import Measured, from_counts
from ctrecon.measurement.counts import photon_transfer
from ctrecon.measurement.given import LARGEST_VALUE
from ctrecon.support.arrays import Array

_DATA, _WHITE, _DARK, _THETA = (f"exchange/{name}" for name in ("data", "data_white", "data_dark", "theta"))


def is_data_exchange(file: Hdf5File) -> bool:
    return _DATA in file


def read_data_exchange(file: Hdf5File, row: int | None) -> Measured:
    """One detector row, the middle one by default (the lower of two).

    Raises InputError where white field or angles are missing or do not fit, or there is no such row.
    """
    shape = file.dataset(_DATA).shape
    if len(shape) != 3:
        raise InputError(f"{file.path}: {_DATA} has shape {shape}; [views, rows, columns] is needed")
    rows = shape[_row_axis(file, _DATA)]
    notes = []
    if row is None:
        row = (rows - 1) // 2
        if rows > 1:
            notes.append(f"detector row {row} of 0 to {rows - 1}, the middle one (--row chooses another)")
    elif not 0 <= row < rows:
        raise InputError(f"{file.path}: has detector rows 0 to {rows - 1}, not {row}; choose one with --row")
    counts = _row(file, _DATA, row)
    if _WHITE not in file:
        raise InputError(f"{file.path}: there is no {_WHITE}; raw counts need a white field beside them")
    white = _row(file, _WHITE, row)
    if _DARK in file:
        dark = _row(file, _DARK, row)
    else:
        dark = np.zeros((1, counts.shape[1]))
        notes.append("no dark field: taken as zero")
    for name, frames in ((_WHITE, white), (_DARK, dark)):
        if frames.shape[1] != counts.shape[1]:
            raise InputError(f"{file.path}: {name} has {frames.shape[1]} columns, {_DATA} {counts.shape[1]}")
    _check_finite(file, _WHITE, white)
    _check_finite(file, _DARK, dark)
    angles = _angles(file, counts.shape[0])
    gain, electronic_sigma = photon_transfer(white, dark)
    if len(white) >= 4:
        notes.append(
            f"noise of the camera from {len(white)} white and {len(dark)} dark frames: variance {gain:.3g} per count, "
            f"electronic sigma {electronic_sigma:.3g} counts"
        )
    return from_counts(
        file.path,
        counts,
        white.mean(axis=0),
        dark.mean(axis=0),
        electronic_sigma=electronic_sigma,
        gain=gain,
        notes=tuple(notes),
        angles_deg=angles,
        center="auto",
    )


def _row_axis(file: Hdf5File, name: str) -> int:
    """Which axis counts the detector rows: the attribute ``axes`` may say (``theta:y:x``), else the second."""
    axes = file.attribute(name, "axes").lower().split(":")
    if sorted(axis[:5] for axis in axes) == ["theta", "x", "y"] and axes.index("y") < axes.index("x"):
        return axes.index("y")
    return 1


def _row(file: Hdf5File, name: str, row: int) -> Array:
    """One detector row of a stack of frames: ``[frames, columns]`` in float64."""
    found = file.dataset(name)
    axis = _row_axis(file, name)
    if found.ndim == 2 and name != _DATA:
        # A single frame, already averaged.
        values = file.read(name)[None]
        axis = 1
        values = values[:, row] if row < values.shape[1] else values[:, :0]
    elif found.ndim == 3 and row < found.shape[axis]:
        values = file.read_row(name, axis, row)
    else:
        values = np.zeros((0, 0))
    if values.size == 0:
        raise InputError(f"{file.path}: {name} of shape {found.shape} has no detector row {row}; choose one with --row")
    return np.asarray(values, dtype=np.float64)


def _check_finite(file: Hdf5File, name: str, frames: Array) -> None:
    bad = ~(np.abs(frames) <= LARGEST_VALUE)
    if bad.any():
        first = np.argwhere(bad)[0]
        raise InputError(
            f"{file.path}: {name} holds {int(bad.sum())} values that are not finite, the first at frame {first[0]}, "
            f"column {first[1]}; replace them"
        )


def _angles(file: Hdf5File, views: int) -> Array | None:
    """In degrees; None where the file has none."""
    if _THETA not in file:
        return None
    theta = np.asarray(file.read(_THETA), dtype=np.float64).reshape(-1)
    if theta.size != views:
        raise InputError(
            f"{file.path}: angles that do not match: {_THETA} has {theta.size} angles, {_DATA} {views} views; "
            "give them by --geometry"
        )
    if file.attribute(_THETA, "units").lower().startswith("rad"):
        theta = np.rad2deg(theta)
    return theta
