"""Sudoku puzzles to learn from: a split that keeps test puzzles out, puzzles of files, and new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.applications.sudoku.files import read_puzzles
from ctrecon.applications.sudoku.solver import Grids, search, solve_exactly
from ctrecon.errors import InputError


def minimal_puzzle(solution: Grids, rng: np.random.Generator, *, keep: int = 0) -> Grids:
    """Givens of ``solution`` ``[81]`` removed in random order while it stays the only one, down to ``keep`` givens.

    Where no given can go any more the puzzle is minimal; such puzzles have about 24 givens and are often hard.
    """
    puzzle, found, order = solution.copy(), np.zeros(81, np.int8), np.arange(9)
    for cell in rng.permutation(81):
        if np.count_nonzero(puzzle) <= keep:
            break
        digit = puzzle[cell]
        puzzle[cell] = 0
        if search(puzzle, 2, order, found) > 1:
            puzzle[cell] = digit
    return puzzle


def random_symmetry(rng: np.random.Generator, *grids: Grids) -> list[Grids]:
    """The same random symmetry of Sudoku applied to each of ``grids`` ``[81]``."""
    digits = np.concatenate([[0], rng.permutation(9) + 1]).astype(np.int8)
    rows, columns = (
        np.concatenate([3 * band + rng.permutation(3) for band in rng.permutation(3)]) for _ in range(2)
    )
    turn = bool(rng.integers(2))
    moved = [digits[grid.reshape(9, 9)][rows][:, columns] for grid in grids]
    return [np.ascontiguousarray(one.T if turn else one).reshape(81) for one in moved]


def split_of(puzzle: Grids) -> str:
    """``test`` (a tenth), ``validation`` (a fortieth) or ``train``, by a hash of the puzzle ``[81]`` alone."""
    number = int.from_bytes(hashlib.sha256(puzzle.astype(np.int8).tobytes()).digest()[:4], "big") % 40
    return "test" if number < 4 else "validation" if number < 5 else "train"


@dataclass(frozen=True)
class PuzzleSet:
    """Puzzles with their solutions: ``[count, 81]`` each."""

    puzzles: Grids
    solutions: Grids

    def __post_init__(self) -> None:
        if self.puzzles.shape != self.solutions.shape:
            raise ValueError(f"{self.puzzles.shape} puzzles, {self.solutions.shape} solutions")

    def __len__(self) -> int:
        return len(self.puzzles)

    def only(self, split: str) -> PuzzleSet:
        """Those of one split."""
        keep = np.array([split_of(puzzle) == split for puzzle in self.puzzles], dtype=bool)
        return PuzzleSet(self.puzzles[keep], self.solutions[keep])


def with_solutions(puzzles: Grids) -> PuzzleSet:
    """The puzzles that have exactly one solution, with it."""
    solutions, counts = solve_exactly(puzzles)
    return PuzzleSet(puzzles[counts == 1], solutions[counts == 1])


def read_split(path: Path, split: str) -> PuzzleSet:
    """The puzzles of one split of a file. Raises InputError for a file without any that has exactly one solution."""
    chosen = with_solutions(read_puzzles(path).puzzles.reshape(-1, 81)).only(split)
    if not len(chosen):
        raise InputError(f"{path.name} has no puzzle with exactly one solution in its {split} split; give more of them")
    return chosen


class PuzzleSource:
    """Draws training puzzles: as given, with some of their solution's digits added, or newly made and minimal.

    ``hard`` are puzzles with few givens (17), ``easy`` any others. Everything is moved by a random symmetry.
    """

    def __init__(
        self, easy: PuzzleSet | None, hard: PuzzleSet | None, shares: Sequence[float] = (0.1, 0.55, 0.35)
    ) -> None:
        self._easy, self._hard = easy, hard
        self._shares = np.array(shares) * [easy is not None, hard is not None, True]
        self._shares = self._shares / self._shares.sum()

    def draw(self, rng: np.random.Generator) -> tuple[Grids, Grids]:
        """A puzzle and its solution, ``[81]`` each."""
        which = int(rng.choice(3, p=self._shares))
        if which == 0 and self._easy is not None:
            return self._one_of(self._easy, rng)
        if which == 1 and self._hard is not None:
            puzzle, solution = self._one_of(self._hard, rng)
            more = int(rng.integers(0, 13)) if rng.uniform() < 0.3 else 0
            added = rng.choice(np.flatnonzero(puzzle == 0), size=more, replace=False)
            puzzle = puzzle.copy()
            puzzle[added] = solution[added]
            return puzzle, solution
        source = self._hard if self._hard is not None and (self._easy is None or rng.uniform() < 0.5) else self._easy
        solution = new_solution(rng) if source is None else self._one_of(source, rng)[1]
        keep = int(rng.integers(24, 32)) if rng.uniform() < 0.25 else 0
        return minimal_puzzle(solution, rng, keep=keep), solution

    @staticmethod
    def _one_of(source: PuzzleSet, rng: np.random.Generator) -> tuple[Grids, Grids]:
        i = int(rng.integers(len(source)))
        puzzle, solution = random_symmetry(rng, source.puzzles[i], source.solutions[i])
        return puzzle, solution


def new_solution(rng: np.random.Generator) -> Grids:
    """A full grid: the three boxes of the diagonal filled at random, the rest by search in random order of digits."""
    grid, found = np.zeros((9, 9), np.int8), np.zeros(81, np.int8)
    for k in range(0, 9, 3):
        grid[k : k + 3, k : k + 3] = rng.permutation(9).reshape(3, 3) + 1
    search(grid.reshape(81), 1, rng.permutation(9), found)
    return found
