"""The entries of Joseph's matrix, ray by ray: which pixels each ray meets, and with which weights.

A ray crosses an image line between two pixels, and the lines on which it touches the image are neighbours; so each ray
is a run of crossings, and all runs stand behind one another in flat arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ctrecon.geometry.grid import Grid
from ctrecon.operators.footprint import Footprint
from ctrecon.support.arrays import Array, Float64Array

Int32Array = npt.NDArray[np.int32]


class Entries(NamedTuple):
    """Of some rows of the matrix: how many each has, and their columns and values, row by row along the ray."""

    counts: npt.NDArray[np.int64]
    columns: Int32Array
    values: Array


def joseph_entries(table: Footprint, grid: Grid, dtype: npt.DTypeLike) -> Entries:
    """Joseph's two weights on each line of the image that each ray of a flat ``table`` crosses.

    Args:
        table: Of some rays, ``[rays]``.
        grid: Of the image.
        dtype: Of the weights, which are in mm.

    Returns:
        The entries that are not 0.
    """
    rows, columns = grid.shape
    width = np.where(table.by_row, columns, rows)
    enter, leave = _lines_touched(table.start, table.slope, width, np.where(table.by_row, rows, columns))
    met = leave - enter
    ends = np.cumsum(met)
    count = int(ends[-1])
    # Numbers of pixels: to the next along the line, and from line to line.
    across, along, pixels = _each(table.by_row, met, (1, columns), (columns, 1), (columns, rows))
    line = np.arange(count, dtype=np.int32)
    line -= np.repeat((ends - met - enter).astype(np.int32), met)
    # One more than the crossing: what counts is then positive, and truncating is taking the floor.
    crossing = np.repeat(table.slope, met)
    crossing *= line
    crossing += np.repeat(table.start, met)
    crossing += 1.0
    k = crossing.astype(np.int32)
    crossing -= k
    # The first weight is never 0, the second one is where a ray meets a pixel's middle.
    before, behind = k < 1, (k >= pixels) | (crossing == 0)
    gone = np.concatenate([2 * np.flatnonzero(before), 2 * np.flatnonzero(behind) + 1])
    length = np.repeat(table.length_mm, met)
    weight, column = np.empty((count, 2), dtype), np.empty((count, 2), np.int32)
    np.multiply(crossing, length, out=weight[:, 1], casting="same_kind")
    np.subtract(1.0, crossing, out=crossing)
    np.multiply(crossing, length, out=weight[:, 0], casting="same_kind")
    k *= across
    line *= along
    np.add(k, line, out=column[:, 1])
    np.subtract(column[:, 1], across, out=column[:, 0])
    kept = np.ones(2 * count, np.bool_)
    kept[gone] = False
    lost = np.bincount(np.searchsorted(ends, gone >> 1, side="right"), minlength=met.size)
    return Entries(2 * met.astype(np.int64) - lost, column.reshape(-1)[kept], weight.reshape(-1)[kept])


def _lines_touched(
    start: Float64Array, slope: Float64Array, width: npt.NDArray[np.int64], lines: npt.NDArray[np.int64]
) -> tuple[Int32Array, Int32Array]:
    """The first line and the one behind the last on which ``start + slope * line`` lies in [-1, width)."""
    up = slope >= 0
    enter = _first_line(start, slope, np.where(up, 0.0, width + 1.0), lines)
    leave = _first_line(start, slope, np.where(up, width + 1.0, 0.0), lines)
    return enter, np.maximum(enter, leave)


def _first_line(
    start: Float64Array, slope: Float64Array, limit: Float64Array, lines: npt.NDArray[np.int64]
) -> Int32Array:
    """The first line on which ``start + slope * line + 1`` has reached ``limit``, or fallen below it; else ``lines``.

    Computed in the very steps that the crossing is computed in, which never turn back along a ray: what is decided here
    is where an entry stands in memory, so that it must hold to the last bit.
    """

    def reached(line: Float64Array, of: Any = slice(None)) -> npt.NDArray[np.bool_]:
        crossing = start[of] + slope[of] * line + 1.0
        return np.asarray(np.where(slope[of] >= 0, crossing >= limit[of], crossing < limit[of]))

    with np.errstate(over="ignore"):  # of a slope next to nothing: every line, or none
        guess = np.clip(np.ceil((limit - 1.0 - start) / np.where(slope == 0, 1.0, slope)), 0.0, lines)
    right = ((guess == 0) | ~reached(guess - 1)) & ((guess == lines) | reached(guess))
    wrong = np.flatnonzero(~right)
    if wrong.size:
        # A quotient is rounded, and that of a ray along a line of the image says nothing.
        low, high = np.zeros(wrong.size), lines[wrong].astype(np.float64)
        while (low < high).any():
            middle = np.floor((low + high) / 2)
            there = reached(middle, wrong)
            open_ = low < high
            high = np.where(open_ & there, middle, high)
            low = np.where(open_ & ~there, middle + 1, low)
        guess[wrong] = low
    return guess.astype(np.int32)


def _each(by_row: npt.NDArray[np.bool_], met: Int32Array, *choices: tuple[int, int]) -> tuple[Int32Array, ...]:
    """For each crossing the first or the second of each choice; one number alone where all rays march alike."""
    if by_row.all() or not by_row.any():
        return tuple(np.asarray(choice[0 if by_row[0] else 1], np.int32) for choice in choices)
    return tuple(np.repeat(np.where(by_row, *choice).astype(np.int32), met) for choice in choices)
