"""Where to start again: assumed digits, the most promising assumption first.

A puzzle whose first descent ends unsolved is descended once more with a digit assumed in a cell that was left
undecided. The assumption is shown to the direction as if it were a given, and the start holds it; the energy and the
check know the givens alone, so that a wrong assumption costs iterations and nothing else. What remains undecided then
is assumed in turn: a best-first search over sets of assumptions, by the product of the chances that the network gave
them. Every digit that a cell can hold is tried in the end.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Grids = NDArray[np.int8]  # [9, 9], 0 is empty


class Guesses:
    """The sets of assumptions of one puzzle ``[9, 9]`` that are still to be tried."""

    def __init__(self, puzzle: Grids) -> None:
        self._waiting: list[tuple[float, int, Grids]] = []
        self._count = 0
        self._push(0.0, puzzle.copy())
        self._cost = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def next(self) -> Grids:
        """The givens and the assumptions to start from: ``[9, 9]``. The first time the givens alone."""
        self._cost, _, grid = heapq.heappop(self._waiting)
        return grid

    def failed(self, grid: Grids, chances: Tensor) -> None:
        """``grid`` led to ``chances`` ``[9, 9, 9]`` (digits, rows, columns) and no solution: assume one digit more."""
        cell = _most_undecided(grid, chances)
        if cell is None:
            return
        row, column = cell
        digits = possible(grid, row, column)
        shares = np.maximum(chances[:, row, column].double().cpu().numpy()[digits - 1], 1e-3)
        for digit, share in zip(digits, shares / shares.sum(), strict=True):
            more = grid.copy()
            more[row, column] = digit
            self._push(self._cost - math.log(share), more)

    def _push(self, cost: float, grid: Grids) -> None:
        # The number keeps the order of equals, and grids from being compared.
        heapq.heappush(self._waiting, (cost, self._count, grid))
        self._count += 1


def possible(grid: Grids, row: int, column: int) -> NDArray[np.int8]:
    """The digits that no cell of the row, column or box holds."""
    r, c = 3 * (row // 3), 3 * (column // 3)
    seen = np.concatenate([grid[row], grid[:, column], grid[r : r + 3, c : c + 3].reshape(9)])
    return np.setdiff1d(np.arange(1, 10, dtype=np.int8), seen)


def _most_undecided(grid: Grids, chances: Tensor) -> tuple[int, int] | None:
    """The open cell whose second likeliest digit is likeliest; none where an open cell can hold no digit."""
    seconds = chances.topk(2, dim=0).values[1].double().cpu().numpy()
    best: tuple[float, tuple[int, int]] | None = None
    for row, column in np.argwhere(grid == 0):
        if not len(possible(grid, int(row), int(column))):
            return None
        if best is None or seconds[row, column] > best[0]:
            best = (float(seconds[row, column]), (int(row), int(column)))
    return None if best is None else best[1]
