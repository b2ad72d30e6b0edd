"""The way of a scan, projection by projection: does it turn and travel evenly, and where is something missing?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float64Array

Steps = npt.NDArray[np.int64]
# A gap is read as one where it is shorter than this share of a turn, and all gaps of a scan than that share of it.
_LONGEST_GAP, _MOST_MISSING = 0.25, 0.25
_MOST_NAMED = 3
# How far a step may be off what it should be: in angle, and along the axis in rows.
_UNEVEN, _UNEVEN_ROWS = 0.5, 0.5
# The orders in which focal spots fly come again after one, two or four projections, but for so much of their way.
_PERIODS, _UNSTEADY = (1, 2, 4), 0.2


def steps_of(
    folder: Path, files: Sequence[str], angle_rad: Float64Array, z_mm: Float64Array, *, per_turn: int, helical: bool,
    row_mm: float,
) -> tuple[Steps, tuple[str, ...]]:
    """The number of each projection, counted in steps of ``per_turn``, and a note where some are missing.

    Args:
        folder: For messages, with the names of the ``files`` in order.
        files: One name per projection.
        angle_rad: Unwrapped, ``[projections]``.
        z_mm: Of the focal centre, ``[projections]``.
        per_turn: Projections in a turn.
        helical: Whether the table moves while it turns; else circles are looked at one by one.
        row_mm: What a row sees at the axis.

    Returns:
        ``[projections]`` numbers that grow by one from one to the next, by more over a gap and from circle to circle by
        one; and the notes.

    Raises:
        InputError: Where angles or heights move in a way that no missing file explains.
    """
    count, step = len(files), 2 * math.pi / per_turn
    if count < 2:
        return np.zeros(count, dtype=np.int64), ()
    turned, moved = np.diff(angle_rad), np.diff(z_mm)
    within = np.ones(count - 1, dtype=bool) if helical else np.abs(moved) < 0.5 * row_mm
    if not helical and count > 2 and not within.any():
        raise InputError(f"{folder}: {tags.KIND} is AXIAL, but {tags.Z} changes with every projection; export it again")
    sense = np.sign(np.median(turned[within])) if within.any() else 1.0
    jump = sense * turned / step
    whole = np.where(within, np.maximum(np.rint(jump), 1), 1).astype(np.int64)
    bad = within & (np.abs(jump - whole) > _UNEVEN)
    bad |= within & ((jump < 1 - _UNEVEN) | (whole > max(2, _LONGEST_GAP * per_turn)))
    if bad.any():
        raise InputError(_uneven(folder, files, jump, bad, per_turn))
    if helical:
        _check_travel(folder, files, moved, whole, row_mm)
    gaps = np.flatnonzero(whole > 1)
    lost = int((whole - 1).sum())
    if lost > _MOST_MISSING * (lost + count):
        raise InputError(
            f"{folder}: {lost} projections are missing in {gaps.size} places, the first between {files[gaps[0]]} and "
            f"{files[gaps[0] + 1]}, if {tags.PER_TURN} is {per_turn} and {tags.ANGLE} right; copy the scan again, whole"
        )
    numbers = np.concatenate([[0], np.cumsum(whole)])
    if not gaps.size:
        return numbers, ()
    said = ", ".join(f"{whole[k] - 1} between {files[k]} and {files[k + 1]}" for k in gaps[:_MOST_NAMED])
    more = f" and in {gaps.size - _MOST_NAMED} more places" if gaps.size > _MOST_NAMED else ""
    lacking = f"{lost} projections are missing ({said}{more})"
    return numbers, (f"{lacking}: their rays are a gap, about which nothing is known",)


def _uneven(folder: Path, files: Sequence[str], jump: Float64Array, bad: npt.NDArray[np.bool_], per_turn: int) -> str:
    k = int(np.argmax(bad))
    what = f"{round(jump[k]) - 1} projections are missing" if jump[k] > 1.5 else (
        "two projections stand at one angle" if jump[k] > -0.5 else "the angle moves back, or half a turn is missing,"
    )
    return (
        f"{folder}: {what} between {files[k]} and {files[k + 1]}: {tags.ANGLE} moves by {jump[k]:.3g} steps of "
        f"{per_turn} in a turn ({int(bad.sum())} such places); copy the scan again, whole"
    )


def _check_travel(folder: Path, files: Sequence[str], moved: Float64Array, whole: Steps, row_mm: float) -> None:
    """A table has a mass: from one projection to the next it goes as far as before."""
    typical = float(np.median(moved / whole))
    off = np.abs(moved - typical * whole)
    bad = off > max(_UNEVEN_ROWS * row_mm, abs(typical)) * whole
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(
            f"{folder}: {tags.Z} moves by {moved[k]:.4g} mm between {files[k]} and {files[k + 1]}, by {typical:.4g} mm "
            f"elsewhere ({int(bad.sum())} such places); copy the scan again, whole"
        )


def check_flight(folder: Path, files: Sequence[str], numbers: Steps, shifts: dict[tags.Tag, Float64Array]) -> None:
    """Whether the focal spot flies in an order that comes again. Raises InputError with the first that does not."""
    for tag, values in shifts.items():
        way = float(np.abs(values).max())
        if way == 0:
            continue
        misfits = [_out_of_order(values, numbers, period) > _UNSTEADY * way for period in _PERIODS]
        best = min(misfits, key=lambda bad: int(bad.sum()))
        if best.any():
            k = int(np.argmax(best))
            raise InputError(
                f"{folder}: {tag} is {values[k]:g} in {files[k]}, out of the order of the others "
                f"({int(best.sum())} such files); export the scan again"
            )


def like(numbers: Steps, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """For each wanted number the projection that has it; where none does, the nearest at the same place of the flight.

    Args:
        numbers: Of the projections that are there, growing.
        wanted: Any numbers.

    Returns:
        Indices into ``numbers``, as many as ``wanted``.
    """
    found = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
    for k in np.flatnonzero(numbers[found] != wanted):
        away = np.abs(numbers - wanted[k])
        elsewhere = (numbers - wanted[k]) % max(_PERIODS) != 0
        found[k] = int(np.argmin(away + np.where(elsewhere, away.max() + 1, 0)))
    return found


def _out_of_order(values: Float64Array, numbers: Steps, period: int) -> Float64Array:
    """How far each value is from what is usual at its place in the period."""
    usual = np.array([np.median(values[numbers % period == k]) if (numbers % period == k).any() else 0.0
                      for k in range(period)])  # fmt: skip
    away: Float64Array = np.abs(values - usual[numbers % period])
    return away
