"""An exact Sudoku search: it makes puzzles, checks them, and counts solutions. ``ctrecon sudoku`` never solves by it.

The command counts by it how many solutions a puzzle has, which no descent can tell.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Grids = NDArray[np.int8]  # [81] or [count, 81], 0 is empty


def _all_units() -> NDArray[np.int64]:
    cells = np.arange(81).reshape(9, 9)
    boxes = cells.reshape(3, 3, 3, 3).swapaxes(1, 2).reshape(9, 9)
    return np.concatenate([cells, cells.T, boxes]).astype(np.int64)


_UNITS = _all_units()
NO_LIMIT = 1 << 62
# A second at most. The hardest puzzles known take some thousand; where nothing fits and little is given it may be more.
COUNT_STEPS = 2_000_000


@numba.njit(cache=True)
def _branch(
    work: Grids, rows: NDArray[np.int64], columns: NDArray[np.int64], boxes: NDArray[np.int64], free: NDArray[np.int64]
) -> tuple[int, int]:
    """Where to go on: the cell and the digits to try there, as bits; none where nothing fits; cell -1 when full."""
    fewest, at = 10, -1
    for cell in range(81):
        free[cell] = 0
        if work[cell] == 0:
            r, c = cell // 9, cell % 9
            free[cell] = 511 & ~(rows[r] | columns[c] | boxes[r // 3 * 3 + c // 3])
            size, rest = 0, free[cell]
            while rest:
                rest &= rest - 1
                size += 1
            if size < fewest:
                fewest, at = size, cell
                if size == 0:
                    return at, 0
    if fewest == 1 or at < 0:
        return at, 0 if at < 0 else free[at]
    for unit in range(27):
        once, twice, placed = 0, 0, 0
        for k in range(9):
            cell = _UNITS[unit, k]
            twice |= once & free[cell]
            once |= free[cell]
            if work[cell]:
                placed |= 1 << (work[cell] - 1)
        if once | placed != 511:
            return at, 0
        alone = once & ~twice
        if alone:
            for k in range(9):
                cell = _UNITS[unit, k]
                if free[cell] & alone:
                    return cell, free[cell] & alone
    return at, free[at]


@numba.njit(cache=True)
def search(grid: Grids, most: int, order: NDArray[np.int64], found: Grids, steps: int = NO_LIMIT) -> int:
    """How many solutions ``grid`` ``[81]`` has, up to ``most``; ``found`` becomes the last one.

    -1 where ``steps`` (digits placed) did not suffice to tell.

    Depth first: a digit with one place or a cell with one digit first, else the cell with the fewest, by ``order``.
    """
    rows, columns, boxes = np.zeros(9, np.int64), np.zeros(9, np.int64), np.zeros(9, np.int64)
    for cell in range(81):
        if grid[cell]:
            bit = 1 << (grid[cell] - 1)
            r, c = cell // 9, cell % 9
            b = r // 3 * 3 + c // 3
            if (rows[r] | columns[c] | boxes[b]) & bit:
                return 0
            rows[r] |= bit
            columns[c] |= bit
            boxes[b] |= bit
    work = grid.copy()
    cells, left, free = np.zeros(82, np.int64), np.zeros(82, np.int64), np.zeros(81, np.int64)
    depth, count, down, taken = 0, 0, True, 0
    while depth >= 0:
        if down:
            taken += 1
            if taken > steps:
                return -1
            at, choice = _branch(work, rows, columns, boxes, free)
            if at < 0:
                count += 1
                found[:] = work
                if count >= most:
                    return count
                depth, down = depth - 1, False
                continue
            cells[depth], left[depth] = at, choice
        at = cells[depth]
        r, c = at // 9, at % 9
        b = r // 3 * 3 + c // 3
        if work[at]:
            bit = 1 << (work[at] - 1)
            rows[r] ^= bit
            columns[c] ^= bit
            boxes[b] ^= bit
            work[at] = 0
        if left[depth] == 0:
            depth, down = depth - 1, False
            continue
        for k in range(9):
            digit = order[k]
            if left[depth] >> digit & 1:
                left[depth] ^= 1 << digit
                work[at] = digit + 1
                rows[r] |= 1 << digit
                columns[c] |= 1 << digit
                boxes[b] |= 1 << digit
                break
        depth, down = depth + 1, True
    return count


@numba.njit(cache=True)
def _solve_all(grids: Grids, found: Grids, steps: int) -> NDArray[np.int64]:
    counts = np.zeros(len(grids), np.int64)
    order = np.arange(9)
    for i in range(len(grids)):
        counts[i] = search(grids[i], 2, order, found[i], steps)
    return counts


def solve_exactly(grids: Grids) -> tuple[Grids, NDArray[np.int64]]:
    """A solution of each puzzle ``[count, 81]``, and how many it has: 0, 1, or 2 for "several"."""
    found = np.zeros_like(grids)
    counts = _solve_all(np.ascontiguousarray(grids), found, NO_LIMIT)
    return found, counts


def count_solutions(grids: Grids, steps: int = COUNT_STEPS) -> NDArray[np.int64]:
    """How many solutions each puzzle ``[count, 81]`` has: 0, 1, 2 for "several", -1 where ``steps`` do not tell."""
    counts: NDArray[np.int64] = _solve_all(np.ascontiguousarray(grids), np.zeros_like(grids), steps)
    return counts
