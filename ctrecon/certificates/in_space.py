"""The checker's ``A u`` of a volume by compiled code: the same rays, the same rule, the same bound on rounding.

The checker makes a matrix of all that the rays of a block cross, which takes most of the time of a certificate. Here
the crossings are its own (``verify.marches_in_space``), with the bounds on their errors, and only the sums along them
are taken in a loop; they round less often than the bound allows for. Of each block some rays are done by the checker's
matrix, too: where the two differ by more than rounding, nothing is certified.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ctrecon.certificates import verify
from ctrecon.certificates.together import Product
from ctrecon.errors import OperatorError
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split

# Crossings held at a time, and how many rays of each block, twice, the checker's own matrix does again.
CROSSINGS, AGAIN = 1 << 22, 8
TOGETHER = 64
# Voxels from the border: no ray that starts further away and climbs by a voxel a plane comes back to a volume.
BEYOND = 1e9


@numba.njit(nogil=True, cache=True)
def _planes_met(start: float, slope: float, most: float, first: int, last: int) -> tuple[int, int]:
    """The planes of ``first..last`` where a ray is between 0 and ``most``, and perhaps one more at each end."""
    if abs(slope) < 1e-12:
        return (first, last) if -1 < start < most + 1 else (0, 0)
    a, b = -start / slope, (most - start) / slope
    low, high = max(min(a, b) - 1, float(first)), min(max(a, b) + 2, float(last))
    return (int(low), int(high)) if low < high else (0, 0)


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"nnan", "ninf", "nsz"})
def _add_plane(
    plane: Array, m: float, starts: Array, slopes: Array, most: tuple[float, float], strides: tuple[int, int],
    sums: Array,
) -> None:
    """Adds to ``sums`` what each ray reads of a plane."""
    near, far = np.int32(strides[0]), np.int32(strides[1])
    for i in range(sums.size):
        a = min(max(starts[0, i] + slopes[0, i] * m, 0.0), most[0])
        b = min(max(starts[1, i] + slopes[1, i] * m, 0.0), most[1])
        j, k = np.int32(a), np.int32(b)
        p, q = a - j, b - k
        at = j * near + k * far
        low = (1 - p) * plane[at] + p * plane[at + near]
        high = (1 - p) * plane[at + far] + p * plane[at + near + far]
        sums[i] += (1 - q) * low + q * high


@numba.njit(nogil=True, cache=True)
def _sums(
    volume: Array, stride: int, strides: tuple[int, int], most: tuple[float, float], planes: int, starts: Array,
    slopes: Array, length: Array, out: Array, first: int, last: int,
) -> None:
    """``out[ray]`` of the rays ``first..last``; ``volume`` is padded and flat, ``most`` the ends of its two sides.

    Rays go side by side through a plane; before and after the planes that some of them meet all is 0.
    """
    for r in range(first, last, TOGETHER):
        end = min(r + TOGETHER, last)
        one, other, sums = starts[:, r:end], slopes[:, r:end], np.zeros(end - r)
        begin, stop = planes, 0
        for i in range(end - r):
            a, b = _planes_met(one[0, i], other[0, i], most[0], 0, planes)
            a, b = _planes_met(one[1, i], other[1, i], most[1], a, b)
            if a < b:
                begin, stop = min(begin, a), max(stop, b)
        for m in range(begin, stop):
            _add_plane(volume[(m + 1) * stride :], float(m), one, other, most, strides, sums)
        for i in range(end - r):
            out[r + i] = length[r + i] * sums[i]


def product_in_space(operator: dict[str, Any], volume: Array) -> Product:
    """What ``verify.apply`` gives for a volume, up to the rounding that its bound allows for.

    Args:
        operator: As a certificate states it, of a grid with slices.
        volume: ``[slices, rows, columns]``.

    Returns:
        ``A u``, flat, and a bound on the error of each value.

    Raises:
        OperatorError: Where the checker's matrix gives something else.
    """
    grid = operator["grid"]
    counts = (grid["columns"], grid["rows"], grid["slices"])
    strides = (1, counts[0] + 3, (counts[0] + 3) * (counts[1] + 3))
    padded = np.pad(volume, (1, 2)).ravel().astype(np.float64)
    largest = np.abs(padded).max()
    size = verify.views(operator["geometry"]) * operator["geometry"]["detector_rows"]
    size *= operator["geometry"]["detector_count"]
    values, errors = np.empty(size), np.empty(size)
    for march in verify.marches_in_space(operator["geometry"], grid, CROSSINGS):
        sums = _along(march, padded, counts, strides)
        off = (march.errors + verify.gamma(4 * counts[march.axis] + 2) * march.lengths) * largest
        _compare(march, grid, padded, sums, off)
        values[march.at], errors[march.at] = sums, off
    return values, errors


def _along(march: verify.March, padded: Array, counts: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """The sums along rays, on all threads."""
    (one, other), sums = march.sides, np.empty(len(march.at))
    most = (float(counts[one] + 1), float(counts[other] + 1))
    # Where a crossing is no number, or beyond all volumes, the checker reads the border, which is 0.
    known = (np.abs(march.starts) < BEYOND).all(0) & (np.abs(march.slopes) < BEYOND).all(0)
    starts, slopes = np.where(known, march.starts, 0.0), np.where(known, march.slopes, 0.0)

    def work(first: int, last: int) -> None:
        _sums(
            padded, strides[march.axis], (strides[one], strides[other]), most, counts[march.axis], starts, slopes,
            march.length, sums, first, last,
        )  # fmt: skip

    split(len(sums), work, grain=TOGETHER)
    return sums


def _compare(march: verify.March, grid: dict[str, Any], padded: Array, sums: Array, off: Array) -> None:
    """Some rays by the checker's own matrix. Raises OperatorError where they differ."""
    # Among all, and among those that meet something.
    both = np.arange(len(sums)), np.flatnonzero(sums)
    picked = [some[np.linspace(0, len(some) - 1, AGAIN).astype(int)] for some in both if len(some)]
    which = np.unique(np.concatenate(picked))
    some = march._replace(**{name: getattr(march, name)[..., which] for name in ("at", "starts", "slopes", "length")})
    theirs = verify.rows_in_space(some, grid) @ padded
    if bool((np.abs(theirs - sums[which]) > 2 * off[which]).any()):
        raise OperatorError("the checker and its compiled twin differ: a defect of ctrecon or numba; please report it")
