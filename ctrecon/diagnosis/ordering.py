"""Whether lines of an array stand in the order that makes them change least from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ctrecon.support.arrays import Float64Array, IntArray

# An order is held possible where lines change, squared, by less than this share of what they do as they stand.
_SMOOTHER = 0.6
# So many turns of parts for a line, at most, each worth such a share of the way.
_TURNS, _LEAST_GAIN = 2, 1e-6


def roughness(lines: Float64Array, *, closed: bool) -> float:
    """How much lines change from one to the next.

    Args:
        lines: ``[lines, values]``.
        closed: Whether the first follows the last, as views of a turn do; else both ends lie beside nothing but zeros.

    Returns:
        The sum of squared differences.
    """
    around = np.concatenate([lines, lines[:1]]) if closed else np.pad(lines, ((1, 1), (0, 0)))
    return float((np.diff(around, axis=0) ** 2).sum())


def smoother(lines: Float64Array, orders: Mapping[str, IntArray], *, closed: bool) -> Iterator[tuple[str, IntArray]]:
    """The orders in which lines change much less than as they stand, the smoothest first.

    Args:
        lines: ``[lines, values]``.
        orders: By name; place ``k`` takes line ``order[k]``.
        closed: As of ``roughness``.

    Yields:
        Name and order.
    """
    most = _SMOOTHER * roughness(lines, closed=closed)
    found = {name: roughness(lines[order], closed=closed) for name, order in orders.items()}
    for name in sorted(found, key=lambda name: found[name]):
        if found[name] < most:
            yield name, orders[name]


def interleaved(count: int, stride: int) -> IntArray:
    """Every ``stride``-th of ``count``, from the first, then from the second, and so on."""
    return np.concatenate([np.arange(first, count, stride) for first in range(stride)])


def bit_reversed(count: int) -> IntArray:
    """Halves of halves: the numbers below ``count`` in the order of their bits read backwards."""
    bits = max(1, (count - 1).bit_length())
    numbers = np.arange(2**bits)
    backwards = sum(((numbers >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    return np.asarray(backwards)[np.asarray(backwards) < count]


def shortest_tour(lines: Float64Array) -> IntArray:
    """An order in which lines change little all the way round: the nearest next, then turns of parts while they help.

    Args:
        lines: ``[lines, values]``.

    Returns:
        The order, from line 0; which way it runs is not known. (2-opt: G. A. Croes, Oper. Res. 6, 1958.)
    """
    squares = (lines**2).sum(axis=1)
    away = np.maximum(squares[:, None] + squares[None] - 2 * lines @ lines.T, 0)
    count = len(lines)
    left = np.ones(count, dtype=bool)
    tour = np.zeros(count, dtype=np.intp)
    for place in range(count):
        if place:
            tour[place] = np.argmin(np.where(left, away[tour[place - 1]], np.inf))
        left[tour[place]] = False
    for _ in range(_TURNS * count):
        after = np.roll(tour, -1)
        steps = away[tour, after]
        # What it costs to turn the part after place i up to place j.
        change = away[np.ix_(tour, tour)] + away[np.ix_(after, after)] - steps[:, None] - steps[None]
        change[np.tril_indices(count)] = 0
        i, j = np.unravel_index(int(np.argmin(change)), change.shape)
        if change[i, j] >= -_LEAST_GAIN * steps.sum():
            break
        tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
    return tour
