"""Sudoku: the sets hold the rules, the network respects their symmetries, and nothing wrong is ever called solved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sudoku_puzzles import EASY, SMALL, SOLUTION, grids, made, onehot

from ctrecon.applications.sudoku.convolutional import SudokuConvolutional, SudokuConvolutionalShape
from ctrecon.applications.sudoku.files import parse_puzzle, read_puzzles
from ctrecon.applications.sudoku.guesses import Guesses
from ctrecon.applications.sudoku.puzzles import (
    split_of,
)
from ctrecon.applications.sudoku.rules import SudokuRules
from ctrecon.applications.sudoku.solve import (
    CONE,
    Grids,
    NetworkDirection,
    check_givens,
    energy_of,
    is_solved,
    load_sudoku_network,
    rounded,
    sets,
    solve,
    start_of,
)
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Armijo
from ctrecon.energies.base import Point
from ctrecon.energies.feasibility import Feasibility


def test_every_set_holds_the_solution_and_its_start_is_no_solution() -> None:
    puzzles, solutions = made(4)
    for one in sets(puzzles):
        assert Feasibility([one]).at(onehot(solutions)).value.max() == 0
    assert energy_of(puzzles).at(start_of(puzzles)).value.min() > 0.1


def test_each_set_is_its_own_rule() -> None:
    solution = grids(SOLUTION)
    order = np.arange(9)
    # Every column reads 1 to 9, so the same digit fills a row.
    only_rows = np.tile(order[:, None] + 1, (1, 9))[None]
    shifted = np.stack([np.roll(order, 3 * (r % 3) + r // 3) + 1 for r in range(9)])[None]
    latin = np.stack([np.roll(order, r) + 1 for r in range(9)])[None]

    def broken(grid: np.ndarray, puzzle: Grids) -> list[bool]:
        u = onehot(grid.astype(np.int8))
        return [bool(Feasibility([one]).at(u).value > 1e-3) for one in sets(puzzle)]

    empty = np.zeros((1, 9, 9), np.int8)
    # rows, columns, cells, boxes, givens
    assert broken(solution, empty) == [False] * 5
    assert broken(shifted, empty) == [False] * 5
    assert broken(latin, empty) == [False, False, False, True, False]
    assert broken(only_rows, empty) == [True, False, False, True, False]
    assert broken(only_rows.swapaxes(1, 2), empty) == [False, True, False, True, False]
    other = solution.copy()
    other[0, 0, 0] = 9
    assert broken(solution, other)[4]
    two = onehot(solution)
    two[0, :, 0, 0] = 0.0
    assert Feasibility([sets(empty)[2]]).at(two).value > 1e-3


def test_the_check_agrees_with_the_rules_read_aloud() -> None:
    rng = np.random.default_rng(0)
    puzzle, solution = grids(EASY)[0], grids(SOLUTION)[0]
    tried, verdicts = [], []
    for k in range(200):
        grid = solution.copy()
        if k % 4:
            (a, b), (c, d) = rng.integers(0, 9, (2, 2))
            grid[a, b], grid[c, d] = grid[c, d], grid[a, b]
        if k % 4 == 2:
            grid = (grid % 9 + 1).astype(np.int8)  # a good grid with other givens
        units = [grid[r] for r in range(9)] + [grid[:, c] for c in range(9)]
        units += [grid[r : r + 3, c : c + 3].ravel() for r in (0, 3, 6) for c in (0, 3, 6)]
        good = all(sorted(unit) == list(range(1, 10)) for unit in units)
        verdicts.append(good and all(grid[r, c] == puzzle[r, c] for r, c in np.argwhere(puzzle)))
        tried.append(grid)
    assert is_solved(np.stack(tried), np.stack([puzzle] * 200)).tolist() == verdicts
    assert 40 < sum(verdicts) < 100


def moved(u: torch.Tensor, how: np.random.Generator) -> torch.Tensor:
    """A random symmetry of Sudoku on ``[batch, channel, 9, 9, 9]``."""
    lines = [np.concatenate([3 * b + how.permutation(3) for b in how.permutation(3)]) for _ in range(2)]
    u = u[:, :, how.permutation(9)][:, :, :, lines[0]][..., lines[1]]
    return u.mT if how.integers(2) else u


@pytest.mark.parametrize("seed", range(4))
def test_the_network_treats_symmetric_puzzles_alike(seed: int) -> None:
    network = SudokuRules(SMALL).double()
    x = torch.rand(2, 4, 9, 9, 9, dtype=torch.float64)
    there = moved(network(x)[:, None], np.random.default_rng(seed))
    asked_there = network(moved(x, np.random.default_rng(seed)))[:, None]
    assert torch.allclose(there, asked_there, atol=1e-12)
    # The paper's convolutions do not, nor does this one when two bands share a line.
    other = SudokuConvolutional(SudokuConvolutionalShape(depth=3, width=8)).double()
    assert not torch.allclose(
        moved(other(x)[:, None], np.random.default_rng(seed)),
        other(moved(x, np.random.default_rng(seed)))[:, None], atol=1e-4,
    )
    rows = [3, 1, 2, 0, 4, 5, 6, 7, 8]
    assert not torch.allclose(network(x)[:, :, rows], network(x[:, :, :, rows]), atol=1e-4)


class Liar:
    """Sure of a wrong grid: another puzzle's solution."""

    def __init__(self, wrong: Grids) -> None:
        self._wrong = onehot(wrong)

    def __call__(self, point: Point) -> torch.Tensor:
        return self._wrong.expand_as(point.u) - point.u


def noise(point: Point) -> torch.Tensor:
    return 0.3 * torch.randn_like(point.u)


def uphill(point: Point) -> torch.Tensor:
    return 100 * point.gradient


def nonsense(point: Point) -> torch.Tensor:
    return torch.full_like(point.u, torch.nan)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("direction", [Liar(grids(SOLUTION)), noise, uphill, nonsense, NegativeGradient()])
def test_whatever_the_direction_the_energy_falls_and_nothing_wrong_is_called_solved(direction: Liar) -> None:
    puzzles, solutions = made(6, seed=3)
    iterates = list(
        descend(energy_of(puzzles), direction, start_of(puzzles), dissipation=CONE, step=Armijo(), most_iterations=25)
    )
    values = torch.stack([iterate.point.value for iterate in iterates])
    assert bool((values.diff(dim=0) <= 0).all())
    assert bool((values[-1] < values[0]).all())
    found = solve(puzzles, lambda some: direction, most_iterations=20)
    # The puzzles have one solution each, so nothing else may count.
    assert np.array_equal(found.solved, (found.grids == solutions).all(axis=(1, 2)))
    assert bool((found.energies[~found.solved] > 0).all())


def test_assumptions_are_tried_by_their_chances_and_none_is_left_out() -> None:
    # A puzzle of four open cells, each with the digits that its rows, columns and boxes leave.
    open_cells = [(0, 2), (1, 2), (2, 2), (0, 3)]
    puzzle = parse_puzzle(SOLUTION).copy()
    for cell in open_cells:
        puzzle[cell] = 0
    guesses, tried = Guesses(puzzle), []
    chances = torch.rand(9, 9, 9, generator=torch.Generator().manual_seed(1)).softmax(0)
    while guesses:
        tried.append(guesses.next())
        guesses.failed(tried[-1], chances)
    assert np.array_equal(tried[0], puzzle)
    assert any(np.array_equal(grid, parse_puzzle(SOLUTION)) for grid in tried)
    assert len({grid.tobytes() for grid in tried}) == len(tried)
    for grid in tried:  # an assumption never contradicts the givens or another one
        check_givens(grid)


def test_a_right_direction_solves_at_once_and_a_wrong_guess_binds_nothing() -> None:
    puzzles, solutions = made(5, seed=1)
    known = {puzzle.tobytes(): solution for puzzle, solution in zip(puzzles, solutions, strict=True)}

    def oracle(some: Grids) -> Liar:
        return Liar(np.stack([known[puzzle.tobytes()] for puzzle in some]))

    found = solve(puzzles, oracle)
    assert found.solved.all()
    assert (found.iterations == 1).all()
    assert (found.energies == 0).all()
    # A start that holds every cell of a wrong grid still ends at the solution.
    start = onehot(np.broadcast_to(grids(SOLUTION), puzzles.shape).copy())
    last = list(descend(energy_of(puzzles), oracle(puzzles), start, dissipation=CONE, step=Armijo()))[-1]
    assert is_solved(rounded(last.u), puzzles).all()


def test_the_shipped_network_solves_puzzles_it_never_saw(data_dir: Path) -> None:
    network, _ = load_sudoku_network("sudoku-default")
    for name, least in (("sudoku_18000.csv", 40), ("sudoku_17_clues_20000.txt", 38)):
        read = read_puzzles(data_dir / "sudoku" / name)
        chosen = [i for i, puzzle in enumerate(read.puzzles[:900]) if split_of(puzzle) == "test"][:40]
        found = solve(read.puzzles[chosen], lambda some: NetworkDirection(network, some))
        assert len(chosen) == 40
        assert found.solved.sum() >= least
