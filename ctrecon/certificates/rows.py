"""What a stored matrix sees of an image: rows that are one and the same, pixels in no row, fewer numbers than rows."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from ctrecon.support.arrays import Array, BoolArray

MOST_RANK = 32
"""The largest rank that is looked for: by so many random sums of columns and one more."""
# Of the largest singular value: below it lies what float64 leaves of 0, and what noise drowns.
_NONE = 1e-9
_TOGETHER = 1 << 15


def different_rows(entries: Array, rows: int, counts: BoolArray) -> int:
    """Rows that count and are not multiples of each other, nor 0: by two random sums of each.

    Args:
        entries: ``[entries, 3]`` of the matrix: row, column and value of each.
        rows: How many there are.
        counts: As many, in the order of the rows: which count.

    Returns:
        Their number.
    """
    rng = np.random.default_rng(0)
    row, column = entries[:, 0].astype(np.int64), entries[:, 1].astype(np.int64)
    length = np.sqrt(np.bincount(row, entries[:, 2] ** 2, minlength=rows))
    keys = []
    for _ in range(2):
        x = rng.standard_normal(int(column.max(initial=0)) + 1)
        with np.errstate(all="ignore"):
            keys.append(np.bincount(row, entries[:, 2] * x[column], minlength=rows) / length)
    there = (length > 0) & counts.ravel()
    both = np.stack(keys, axis=1)[there]
    both = both * np.where(both[:, :1] < 0, -1.0, 1.0)
    return len(np.unique(np.rint(both * 1e9), axis=0))


def unseen_columns(entries: Array, columns: int, counts: BoolArray) -> float:
    """The share of pixels that no row which counts has an entry of.

    Args:
        entries: As for ``different_rows``.
        columns: The image's pixels.
        counts: As for ``different_rows``.

    Returns:
        From 0 to 1.
    """
    there = counts.ravel()[entries[:, 0].astype(np.int64)] & (entries[:, 2] != 0)
    return 1 - len(np.unique(entries[there, 1])) / columns


def rank(entries: Array, shape: tuple[int, int], counts: BoolArray) -> int | None:
    """How many numbers of an image the rows that count are made of.

    From as many random sums of columns, each row scaled to length one (N. Halko, P. G. Martinsson, J. A. Tropp, SIAM
    Review 53, 2011, section 4).

    Args:
        entries: As for ``different_rows``.
        shape: Rows and columns.
        counts: As for ``different_rows``.

    Returns:
        The rank; None where it is above ``MOST_RANK``.
    """
    matrix = scipy.sparse.csr_matrix((entries[:, 2], entries[:, :2].astype(np.int64).T), shape=shape)
    weighed = np.random.default_rng(0).standard_normal((shape[1], MOST_RANK + 1))
    # The singular values of all rows are those of their triangular factor, to which some rows at a time are added.
    triangle, some = np.zeros((0, MOST_RANK + 1)), counts.ravel()
    for first in range(0, shape[0], _TOGETHER):
        part = matrix[first : first + _TOGETHER][some[first : first + _TOGETHER]]
        with np.errstate(all="ignore"):
            sums = part @ weighed / np.sqrt(np.asarray(part.multiply(part).sum(axis=1)).reshape(-1, 1))
        known = sums[np.isfinite(sums).all(axis=1)]
        triangle = np.linalg.qr(np.vstack([triangle, known])).R
    values = np.linalg.svd(triangle, compute_uv=False) if triangle.size else np.zeros(1)
    found = int(np.count_nonzero(values > _NONE * max(values[0], 1e-300)))
    return None if found > MOST_RANK else found
