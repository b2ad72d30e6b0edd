"""Table 2 of the paper: how many cells and puzzles each method gets right, here by number of givens.

Gradient descent takes the constant step 1 / L = 1, which makes it the method of averaged projections. A network's one
pass is the rounding of its answer at the start; it may break rules and givens, and counts as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ctrecon.applications.sudoku.files import PuzzleFile
from ctrecon.applications.sudoku.puzzles import split_of
from ctrecon.applications.sudoku.solve import (
    ATTEMPT,
    BATCH,
    Grids,
    NetworkDirection,
    energy_of,
    inputs_of,
    is_solved,
    rounded,
    solve,
    start_of,
)
from ctrecon.applications.sudoku.solver import solve_exactly
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import ConstantStep
from ctrecon.errors import InputError
from ctrecon.support.statistics import Estimate, Share, estimate, shares

GRADIENT_ITERATIONS, ENERGY_ITERATIONS = 750, 100

Method = Callable[[Grids], Grids]


@dataclass(frozen=True, kw_only=True)
class PuzzleRow:
    """One method on the puzzles with so many givens. Accuracies are shares of all cells, and of those not given.

    ``interval``: of ``accuracy``, by a bootstrap over puzzles; ``share``: of those solved, by Wilson's score; ``gain``:
    of the difference in accuracy to the first method, puzzle by puzzle.
    """

    givens: str
    puzzles: int
    method: str
    accuracy: float
    accuracy_open: float
    solved: int
    interval: Estimate
    share: Share
    gain: Estimate

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"interval": self.interval.to_dict(), "gain": self.gain.to_dict()}


def methods_of(network: nn.Module, baseline: nn.Module) -> dict[str, Method]:
    """The columns of the table; ``baseline`` is asked once, ``network`` once and in the descent."""
    step = ConstantStep(1.0)

    def gradient(puzzles: Grids) -> Grids:
        found = solve(
            puzzles, lambda some: NegativeGradient(), step=step, most_iterations=GRADIENT_ITERATIONS, attempt=None
        )
        return found.grids

    def dissipated(puzzles: Grids, attempt: int | None) -> Grids:
        found = solve(
            puzzles, lambda some: NetworkDirection(network, some), most_iterations=ENERGY_ITERATIONS, attempt=attempt
        )
        return found.grids

    return {
        f"gradient descent, {GRADIENT_ITERATIONS} iterations": gradient,
        "baseline network, one pass": lambda puzzles: one_pass(baseline, puzzles),
        "dissipating network, one pass": lambda puzzles: one_pass(network, puzzles),
        f"energy dissipation, {ENERGY_ITERATIONS} iterations, one start": lambda puzzles: dissipated(puzzles, None),
        f"energy dissipation, {ENERGY_ITERATIONS} iterations": lambda puzzles: dissipated(puzzles, ATTEMPT),
    }


def one_pass(network: nn.Module, puzzles: Grids) -> Grids:
    """The network's answer at the start, rounded: ``[count, 9, 9]``."""
    answers = []
    for some in np.split(puzzles, range(BATCH, len(puzzles), BATCH)):
        with torch.no_grad():
            point = energy_of(some).at(start_of(some))
            answers.append(rounded(network(inputs_of(point, some))))
    return np.concatenate(answers)


def unseen(read: PuzzleFile, *, split: str | None, count: int) -> tuple[Grids, Grids]:
    """Up to ``count`` puzzles for every number of givens, with their solutions, of one ``split`` (or of all).

    Raises InputError where nothing is left, or where a puzzle has not exactly one solution.
    """
    puzzles, solutions = read.puzzles, read.solutions
    keep, seen = [], dict.fromkeys(range(82), 0)
    for i, puzzle in enumerate(puzzles):
        givens = int(np.count_nonzero(puzzle))
        if seen[givens] < count and (split is None or split_of(puzzle) == split):
            keep.append(i)
            seen[givens] += 1
    if not keep:
        raise InputError(f"no puzzle of the {split} split is in the file; give --all for files never trained on")
    puzzles = puzzles[keep]
    exact, counts = solve_exactly(puzzles.reshape(-1, 81))
    if (counts != 1).any():
        wrong = int(np.flatnonzero(counts != 1)[0])
        many = "no solution" if counts[wrong] == 0 else "several solutions"
        raise InputError(f"puzzle {keep[wrong] + 1} has {many}; leave it out, its cells cannot be right or wrong")
    exact = exact.reshape(-1, 9, 9)
    if solutions is not None and not np.array_equal(solutions[keep], exact):
        wrong = int(np.flatnonzero((solutions[keep] != exact).any(axis=(1, 2)))[0])
        raise InputError(f"the file's solution of puzzle {keep[wrong] + 1} is wrong; correct it or drop the column")
    return puzzles, exact


def table(puzzles: Grids, solutions: Grids, methods: dict[str, Method]) -> Iterator[PuzzleRow]:
    """Every method on all puzzles, then by their number of givens."""
    givens = np.count_nonzero(puzzles, axis=(1, 2))
    groups: Sequence[tuple[str, np.ndarray]] = [("all", np.ones(len(puzzles), np.bool_))]
    if len(np.unique(givens)) > 1:
        groups = [*groups, *((str(number), givens == number) for number in np.unique(givens))]
    first: np.ndarray | None = None
    for name, method in methods.items():
        grids = method(puzzles)
        right, is_open, solved = grids == solutions, puzzles == 0, is_solved(grids, puzzles)
        cells = right.mean(axis=(1, 2))
        first = cells if first is None else first
        for group, chosen in groups:
            each = range(int(chosen.sum()))
            yield PuzzleRow(
                givens=group, puzzles=int(chosen.sum()), method=name, accuracy=float(right[chosen].mean()),
                accuracy_open=float(right[chosen][is_open[chosen]].mean()), solved=int(solved[chosen].sum()),
                interval=estimate(cells[chosen].tolist(), each), share=shares(solved[chosen].tolist()),
                gain=estimate((cells - first)[chosen].tolist(), each),
            )
