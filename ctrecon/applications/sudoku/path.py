"""Training states on the descent path of Sudoku puzzles (paper, section 4.2), as ``training/path.py`` does for scans.

The loss is the cross-entropy to the solution after every round of the network. The states then take the solver's own
step; those that are solved, too old, or out of luck are replaced by new puzzles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.applications.sudoku.convolutional import SudokuConvolutional
from ctrecon.applications.sudoku.puzzles import PuzzleSource
from ctrecon.applications.sudoku.rules import SudokuRules
from ctrecon.applications.sudoku.solve import CONE, energy_of, inputs_of, is_solved, rounded, start_of
from ctrecon.applications.sudoku.solver import Grids
from ctrecon.descent.dissipation import dissipate
from ctrecon.descent.step import Armijo
from ctrecon.errors import SettingError


@dataclass
class State:
    """One unfinished puzzle: givens and solution ``[9, 9]``, ``u`` ``[9, 9, 9]``."""

    puzzle: Grids
    solution: Grids
    u: Tensor
    age: int = 0


class SudokuPool:
    """States of puzzles; ``share`` 1, as there is no other pool.

    A part of the states starts with ``guessed`` cells, mostly right ones: the solver starts so when it tries again.
    """

    share = 1.0

    def __init__(
        self, source: PuzzleSource, *, size: int = 256, most_steps: int = 5, renew: float = 0.15, guessed: float = 0.25
    ) -> None:
        self._source, self._most_steps, self._renew, self._guessed = source, most_steps, renew, guessed
        self._states: list[State | None] = [None] * size

    def _new(self, rng: np.random.Generator) -> State:
        puzzle, solution = (grid.reshape(9, 9) for grid in self._source.draw(rng))
        u = start_of(puzzle[None])[0]
        if rng.uniform() < self._guessed:
            row, column = (int(k) for k in rng.choice(np.argwhere(puzzle == 0)))
            digit = int(solution[row, column]) - 1 if rng.uniform() < 0.8 else int(rng.integers(9))
            u[:, row, column] = 0
            u[digit, row, column] = 1
        return State(puzzle, solution, u)

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """Mean cross-entropy of the open cells, over all rounds. Raises SettingError for a network of no rounds."""
        if not isinstance(network, SudokuRules | SudokuConvolutional):
            raise SettingError(f"{type(network).__name__} does not answer in rounds; use SudokuRules")
        chosen = rng.choice(len(self._states), size=batch, replace=False)
        states = []
        for i in chosen:
            state = self._states[i] = self._states[i] or self._new(rng)
            states.append(state)
        puzzles, solutions = np.stack([s.puzzle for s in states]), np.stack([s.solution for s in states])
        energy = energy_of(puzzles)
        point = energy.at(torch.stack([s.u for s in states]))
        answers = network.logits(inputs_of(point, puzzles))
        target, open_cells = torch.from_numpy(solutions.astype(np.int64) - 1), torch.from_numpy(puzzles == 0)
        losses = [functional.cross_entropy(answer, target, reduction="none")[open_cells].mean() for answer in answers]
        with torch.no_grad():
            z, g = answers[-1].softmax(1) - point.u, -point.gradient
            ray = point.along(dissipate(CONE, z, g))
            u = ray.move(Armijo()(ray, torch.ones(batch, 1, dtype=torch.float64))).u
        self._keep(chosen, states, u, is_solved(rounded(u), puzzles), rng)
        return torch.stack(losses).mean()

    def _keep(
        self, chosen: np.ndarray, states: list[State], u: Tensor, solved: np.ndarray, rng: np.random.Generator
    ) -> None:
        for row, (i, state) in enumerate(zip(chosen, states, strict=True)):
            done = bool(solved[row]) or state.age + 1 >= self._most_steps or rng.uniform() < self._renew
            self._states[i] = None if done else State(state.puzzle, state.solution, u[row].clone(), state.age + 1)
