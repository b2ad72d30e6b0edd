"""Sudoku as a convex feasibility problem (paper, section 5.4), solved by dissipating its energy.

The unknown ``u`` ``[batch, 9 digits, 9 rows, 9 columns]`` says how much of each digit stands in each cell. Five convex
sets hold the solution: exactly one of each digit in every row, column and box, one digit in every cell (simplices),
and the givens. Their distance energy is zero at the solution, but for hard puzzles also at mixtures of digits; there it
is up to the direction where the descent ends, and a grid counts as solved by its own check only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctrecon.applications.sudoku.convolutional import SudokuConvolutional
from ctrecon.applications.sudoku.guesses import Guesses
from ctrecon.applications.sudoku.rules import SudokuRules
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import Direction
from ctrecon.descent.dissipation import Cone
from ctrecon.descent.step import Armijo, StepSearch
from ctrecon.descent.stopping import Reason
from ctrecon.energies.base import Point, Ray
from ctrecon.energies.convex_sets import ConvexSet, Fixed, Simplex
from ctrecon.energies.feasibility import Feasibility
from ctrecon.errors import InputError, SettingError
from ctrecon.networks.pretrained import load_network
from ctrecon.support.progress import Progress, Report

Grids = NDArray[np.int8]  # [count, 9, 9], 0 is empty

DIGIT, ROW, COLUMN = 1, 2, 3
_FIELDS = (9, 3, 3, 3, 3)  # [digit, band, row in it, stack, column in it]

# The layer (22); both constants relative to L = 1. The second is the paper's: it lets the direction go where it wants
# until the gradient is a ten-thousandth of the way to the solution.
CONE = Cone(zeta1=0.01, zeta2=1e4)


def check_givens(puzzle: Grids) -> None:
    """Whether a puzzle's givens keep the rules among themselves.

    Args:
        puzzle: Digits ``[9, 9]``, 0 where nothing is given.

    Raises:
        InputError: Where two of them contradict each other; it names both cells.
    """
    for name, unit in _units():
        seen: dict[int, tuple[int, int]] = {}
        for row, column in unit:
            digit = int(puzzle[row, column])
            if digit and digit in seen:
                r, c = seen[digit]
                raise InputError(
                    f"two {digit}s in one {name}: row {r + 1}, column {c + 1} and row {row + 1}, column {column + 1}; "
                    "no solution has both, correct one of them"
                )
            if digit:
                seen[digit] = (row, column)


def _units() -> list[tuple[str, list[tuple[int, int]]]]:
    rows = [("row", [(r, c) for c in range(9)]) for r in range(9)]
    columns = [("column", [(r, c) for r in range(9)]) for c in range(9)]
    boxes = [
        ("box", [(3 * band + r, 3 * stack + c) for r in range(3) for c in range(3)])
        for band in range(3)
        for stack in range(3)
    ]
    return rows + columns + boxes


def is_solved(grids: Grids, puzzles: Grids) -> NDArray[np.bool_]:
    """Whether each grid keeps all rules and its puzzle's givens: the only judge of what is solved.

    Args:
        grids: Filled grids ``[count, 9, 9]``, digits 1 to 9.
        puzzles: Their givens ``[count, 9, 9]``, 0 where nothing is given.

    Returns:
        One truth value a puzzle, ``[count]``.
    """
    lines = [grids, grids.swapaxes(1, 2), grids.reshape(-1, 3, 3, 3, 3).swapaxes(2, 3).reshape(-1, 9, 9)]
    wanted = np.arange(1, 10)
    kept = [(np.sort(one, axis=2) == wanted).all(axis=(1, 2)) for one in lines]
    result: NDArray[np.bool_] = np.logical_and.reduce([*kept, ((puzzles == 0) | (puzzles == grids)).all(axis=(1, 2))])
    return result


def sets(puzzles: Grids) -> tuple[ConvexSet, ...]:
    """The five sets of section 5.4 for the givens ``[batch, 9, 9]``."""
    rows, columns, cells = Simplex(COLUMN), Simplex(ROW), Simplex(DIGIT)
    boxes = Simplex((3, 5), view=_FIELDS)
    onehot = _onehot(puzzles)
    given = torch.from_numpy(puzzles > 0)[:, None].expand_as(onehot)
    return rows, columns, cells, boxes, Fixed(given, onehot)


def energy_of(puzzles: Grids) -> Feasibility:
    """``E(u) = 1/10 sum_i dist(u, C_i)^2`` over the five sets."""
    return Feasibility(sets(puzzles))


def _onehot(grids: Grids) -> Tensor:
    """``[batch, 9, 9, 9]`` in float32: one where the digit stands, zero elsewhere and in empty cells."""
    return torch.from_numpy((grids[:, None] == np.arange(1, 10)[:, None, None]).astype(np.float32))


def start_of(puzzles: Grids) -> Tensor:
    """The givens, and a ninth of every digit in every other cell: ``[batch, 9, 9, 9]``."""
    onehot = _onehot(puzzles)
    return torch.where(onehot.sum(1, keepdim=True) > 0, onehot, torch.full_like(onehot, 1 / 9))


def rounded(u: Tensor) -> Grids:
    """The most likely digit of every cell: ``[batch, 9, 9]``."""
    grids: Grids = (u.argmax(DIGIT) + 1).to(torch.int8).cpu().numpy()
    return grids


def inputs_of(point: Point, puzzles: Grids) -> Tensor:
    """What a network sees: u, its logarithm, the negative gradient times five, and where the givens are.

    ``[batch, 4, 9, 9, 9]``. Five times the negative gradient is the sum of the ways to the five sets.
    """
    u = point.u
    given = torch.from_numpy(puzzles > 0)[:, None].expand_as(u).to(u)
    return torch.stack([u, u.clamp_min(1e-4).log() / 4, -5 * point.gradient, given], dim=1)


class NetworkDirection:
    """``v - u``, where ``v`` is what the network holds to be the solution, given the point and the givens."""

    def __init__(self, network: nn.Module, puzzles: Grids) -> None:
        self._network, self._puzzles = network, puzzles

    def __call__(self, point: Point) -> Tensor:
        v: Tensor = self._network(inputs_of(point, self._puzzles))
        return v - point.u


# Iterations from one start; the puzzles that descend together, and that are worked on before the next ones.
ATTEMPT, BATCH, CHUNK = 6, 64, 1024


class Solved:
    """Stops where the rounded grid keeps the rules and the givens."""

    reason = Reason.SOLVED

    def __init__(self, puzzles: Grids) -> None:
        self._puzzles = puzzles

    def met(self, point: Point, energies: Sequence[Tensor] = ()) -> Tensor:
        return torch.from_numpy(is_solved(rounded(point.u), self._puzzles))

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        return tau


@dataclass(frozen=True, kw_only=True)
class Solutions:
    """What became of puzzles: per puzzle its rounded grid, whether it is solved, E, and what it took.

    ``energies`` are those of the lowest state reached, and the grids that state rounded; at a solved grid E is zero.
    """

    grids: Grids
    solved: NDArray[np.bool_]
    energies: NDArray[np.float64]
    iterations: NDArray[np.int64]
    attempts: NDArray[np.int64]


def solve(
    puzzles: Grids, direction: Callable[[Grids], Direction], *, step: StepSearch | None = None,
    most_iterations: int = 100, attempt: int | None = ATTEMPT, progress: Report | None = None,
) -> Solutions:
    """Solve puzzles by descents of the feasibility energy.

    An attempt is a descent from one start. The first start holds the givens; where it ends unsolved, the next ones
    assume digits, too (``guesses.py``). An assumption binds nothing (the givens do), so a wrong one costs iterations
    only.

    Args:
        puzzles: Givens ``[count, 9, 9]``, 0 where nothing is given.
        direction: Makes the direction of descent for some of the puzzles.
        step: The search along it; by default Armijo's.
        most_iterations: For each puzzle, all attempts together.
        attempt: Iterations of an attempt; None spends all on the first one.
        progress: Hears now and then how many are done, and how many of them are solved.

    Returns:
        For each puzzle its grid, whether it is solved, iterations and energy.

    Raises:
        SettingError: For numbers of iterations below 1.
        InputError: For givens that contradict each other.
    """
    if most_iterations < 1 or (attempt is not None and attempt < 1):
        raise SettingError(f"iterations must be >= 1, got {most_iterations} in all and {attempt} per attempt")
    for number, puzzle in enumerate(puzzles, start=1):
        try:
            check_givens(puzzle)
        except InputError as why:
            raise InputError(f"puzzle {number}: {why}") if len(puzzles) > 1 else why from None
    step = Armijo() if step is None else step
    parts: list[Solutions] = []
    for some in np.split(puzzles, range(CHUNK, len(puzzles), CHUNK)):
        parts.append(_solve_some(some, direction, step, most_iterations, attempt or most_iterations))
        if progress is not None:
            solved, done = sum(int(part.solved.sum()) for part in parts), sum(len(part.solved) for part in parts)
            values = {"solved": float(solved)}
            progress(Progress(stage="sudoku", unit="puzzle", done=done, total=len(puzzles), values=values))
    return Solutions(
        **{key.name: np.concatenate([getattr(part, key.name) for part in parts]) for key in fields(Solutions)}
    )


def _solve_some(
    puzzles: Grids, direction: Callable[[Grids], Direction], step: StepSearch, most_iterations: int, attempt: int
) -> Solutions:
    count = len(puzzles)
    grids, energies, solved = puzzles.copy(), np.full(count, np.inf), np.zeros(count, np.bool_)
    iterations, attempts = np.zeros(count, np.int64), np.zeros(count, np.int64)
    guesses, left, used = [Guesses(puzzle) for puzzle in puzzles], np.arange(count), 0
    while len(left) and used < most_iterations:
        budget = min(attempt, most_iterations - used)
        for some in np.split(left, range(BATCH, len(left), BATCH)):
            assumed = np.stack([guesses[i].next() for i in some])
            u, energy, spent = _descend(puzzles[some], assumed, direction, step, budget)
            grid = rounded(u)
            found = is_solved(grid, puzzles[some])
            energy = np.where(found, 0.0, energy)
            better = found | (energy < energies[some])
            grids[some[better]], energies[some[better]] = grid[better], energy[better]
            solved[some] = found
            iterations[some] += np.where(found, spent, budget)
            attempts[some] += 1
            for k in np.flatnonzero(~found):
                guesses[some[k]].failed(assumed[k], u[k])
        used += budget
        left = np.array([i for i in left if not solved[i] and guesses[i]], dtype=np.int64)
    return Solutions(grids=grids, solved=solved, energies=energies, iterations=iterations, attempts=attempts)


def _descend(
    puzzles: Grids, assumed: Grids, direction: Callable[[Grids], Direction], step: StepSearch, budget: int
) -> tuple[Tensor, NDArray[np.float64], NDArray[np.int64]]:
    """The states reached, their energies, and the iterations taken; solved puzzles leave the batch on the way.

    Start and direction take what is ``assumed`` for given; energy, stop and check know the givens of ``puzzles`` alone.
    """
    u, energies, spent = start_of(assumed), np.zeros(len(puzzles)), np.zeros(len(puzzles), np.int64)
    going, done = np.arange(len(puzzles)), 0
    while len(going):
        some = puzzles[going]
        iterates = descend(
            energy_of(some), direction(assumed[going]), u[going], dissipation=CONE, step=step, stop=(Solved(some),),
            most_iterations=budget - done,
        )
        for iterate in iterates:
            ended = np.array([reason is not None for reason in iterate.reasons])
            spent[going[~ended]] = done + iterate.k + 1
            if 3 * ended.sum() >= len(going):
                break
        u[going], energies[going] = iterate.u, iterate.point.value.numpy()
        going, done = going[~ended], done + iterate.k
    return u, energies, spent


def load_sudoku_network(name_or_path: str | Path) -> tuple[SudokuRules | SudokuConvolutional, dict[str, Any]]:
    """A network for Sudoku.

    Args:
        name_or_path: ``sudoku-default``, or a file of ``save_network``.

    Returns:
        The network, ready to use, and its model card.

    Raises:
        WeightsError: For a file that is missing, damaged or of another network.
    """
    return load_network(name_or_path, (SudokuRules, SudokuConvolutional))
