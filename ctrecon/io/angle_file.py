"""The angles of views from a text file beside the projections: one number in a line, or one in each of its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.npy import read_npy
from ctrecon.support.arrays import Float64Array
from ctrecon.support.plain_file import whole_file

NAMES = ("angles.txt", "theta.txt", "angles.csv", "theta.csv", "angles.dat", "angles.npy", "theta.npy")
_LARGEST = 16 * 2**20


def angles_beside(folder: Path, views: int) -> tuple[Float64Array, str] | None:
    """Angles in degrees and a note, or None where there is no such file.

    Args:
        folder: Where the projections are.
        views: How many there must be.

    Raises:
        InputError: For a file that is no list of numbers, or of another length; or which does not tell its unit.
    """
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        return None
    values = _numbers(path)
    if values.size != views:
        raise InputError(f"{path}: has {values.size} angles for {views} views; write one for each")
    span = float(np.ptp(values))
    if span <= 2.2 * np.pi and views > 8 and span > 0.5:
        # Half a turn is 3.14 or 180: what lies between could be either, and a scan over so few degrees is rare.
        return np.rad2deg(values), f"angles from {path.name}, which cover {span:.4g}: taken to be radians"
    return values, f"angles from {path.name}, in degrees"


def _numbers(path: Path) -> Float64Array:
    text = whole_file(path, _LARGEST)
    try:
        if path.suffix == ".npy":
            values = read_npy(path)
        else:
            words = text.decode("ascii").replace(",", " ").replace(";", " ").split()
            values = np.array([float(word) for word in words])
        numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    except ValueError:
        raise InputError(f"{path}: is no list of numbers; write one angle in a line, in degrees") from None
    if not bool(np.isfinite(numbers).all()):
        raise InputError(f"{path}: holds angles that are not finite; write them again")
    return numbers
