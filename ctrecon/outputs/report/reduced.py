"""A volume as small as a page can hold: means over blocks of voxels, slice by slice, in 16 bits."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ctrecon.support.arrays import Array

MOST_VOXELS = 1 << 21
"""In a page; 2 bytes each, 5.6 MB as text."""


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """``values``: float32 ``[slices, rows, columns]``, each the mean of ``factors`` voxels of a volume ``full``."""

    values: Array
    factors: tuple[int, int, int]
    full: tuple[int, int, int]

    def packed(self, low: float, high: float) -> str:
        """As a page takes it.

        Args:
            low: What is 0, in the values' unit.
            high: What is 65535; values beyond the two are as at the end, for display alone.

        Returns:
            Base64 of little-endian uint16, slice by slice and row by row.
        """
        share = (self.values.astype(np.float64) - low) / max(high - low, 1e-300)
        return base64.b64encode(np.rint(65535 * share.clip(0, 1)).astype("<u2").tobytes()).decode("ascii")


def factors_for(shape: tuple[int, int, int], most: int = MOST_VOXELS) -> tuple[int, int, int]:
    """By how much each axis is reduced, so that at most ``most`` voxels are left: the longest first."""
    factors = [1, 1, 1]

    def sides() -> list[int]:
        return [-(-side // factor) for side, factor in zip(shape, factors, strict=True)]

    while math.prod(sides()) > most:
        factors[int(np.argmax(sides()))] += 1
    return factors[0], factors[1], factors[2]


def reduce_volume(slices: Iterable[Array], shape: tuple[int, int, int], most: int = MOST_VOXELS) -> Reduced:
    """The mean of each block, from slices that come one by one: no more than one of them is held.

    Args:
        slices: ``[rows, columns]`` each, from the first.
        shape: Slices, rows, columns.
        most: Voxels that may be left.

    Returns:
        What is left. Blocks at the end that are not whole are means of what there is.
    """
    dz, dy, dx = factors_for(shape, most)
    depth, rows, columns = (-(-side // factor) for side, factor in zip(shape, (dz, dy, dx), strict=True))
    sums = np.zeros((depth, rows, columns))
    y, x = np.arange(0, shape[1], dy), np.arange(0, shape[2], dx)
    for k, one in enumerate(slices):
        sums[k // dz] += np.add.reduceat(np.add.reduceat(np.asarray(one, dtype=np.float64), y, axis=0), x, axis=1)
    counted = [np.diff(np.append(np.arange(0, side, factor), side)) for side, factor in
               zip(shape, (dz, dy, dx), strict=True)]  # fmt: skip
    sums /= counted[0][:, None, None] * counted[1][:, None] * counted[2]
    return Reduced(values=sums.astype(np.float32), factors=(dz, dy, dx), full=shape)
