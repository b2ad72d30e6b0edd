"""The images of a batch side by side, as the kernels take them.

A projector looks up where a ray passes once and needs the answer for every image of a batch. So a batch is stored with
its images innermost, ``[..., LANES]``, and one vector instruction serves them all (``lane_instructions.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.support.arrays import Array
from ctrecon.support.threads import split

WIDE = 16
NARROW = 4
# Zero pixels before and after each line of an image: a ray at the border needs no question.
PAD = 2


def batches(count: int) -> Iterator[tuple[slice, int]]:
    """Cut a batch into pieces and say how many lanes each takes: 1, ``NARROW`` or ``WIDE``; the last may be padded."""
    at = 0
    while at < count:
        left = count - at
        # Two narrow passes cost about as much as a wide one half empty.
        lanes = 1 if left == 1 else NARROW if left <= 2 * NARROW else WIDE
        yield slice(at, min(at + lanes, count)), lanes
        at += lanes


def to_lanes(batch: Array, lanes: int, *, before: int = 0, after: int = 0) -> Array:
    """``[batch, rows, columns] -> [rows, before + columns + after, lanes]``, filled up with zeros."""
    count, rows, columns = batch.shape
    out = np.zeros((rows, before + columns + after, lanes), dtype=batch.dtype)
    inner = np.moveaxis(out[:, before : before + columns, :count], -1, 0)

    def copy(a: int, b: int) -> None:
        inner[:, a:b] = batch[:, a:b]

    split(rows, copy)
    return out


def from_lanes(stacked: Array, out: Array) -> None:
    """Write ``stacked`` ``[rows, columns, lanes]`` into ``out`` ``[batch, rows, columns]``; spare lanes are left."""
    inner = np.moveaxis(stacked[..., : out.shape[0]], -1, 0)

    def copy(a: int, b: int) -> None:
        out[:, a:b] = inner[:, a:b]

    split(out.shape[1], copy)


def tag(lanes: int) -> tuple[int, ...]:
    """The tuple that tells a kernel how many lanes it works on."""
    return (0,) * lanes
