"""Puzzles of Sudoku for its tests: known ones and new ones."""

from __future__ import annotations

import numpy as np
import torch
from click.testing import CliRunner, Result

from ctrecon.applications.sudoku.files import parse_puzzle
from ctrecon.applications.sudoku.puzzles import (
    minimal_puzzle,
    new_solution,
)
from ctrecon.applications.sudoku.rules import SudokuRulesShape
from ctrecon.applications.sudoku.solve import (
    Grids,
)
from ctrecon.cli.main import cli

EASY = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
HARD = "000000061050700000200009000000800300401000000600000000000060080030040000020000700"
# No two givens contradict each other, but nothing fits into the last cell of the first row.
IMPOSSIBLE = "123456780" + "0" * 27 + "000000009" + "0" * 36
SMALL = SudokuRulesShape(width=12, messages=8, taught=3, asked=4)


def grids(*texts: str) -> Grids:
    return np.stack([parse_puzzle(text) for text in texts])


def onehot(solutions: Grids) -> torch.Tensor:
    return torch.from_numpy((solutions[:, None] == np.arange(1, 10)[:, None, None]).astype(np.float32))


def made(count: int, seed: int = 0) -> tuple[Grids, Grids]:
    rng = np.random.default_rng(seed)
    solutions = [new_solution(rng) for _ in range(count)]
    puzzles = [minimal_puzzle(solution, rng) for solution in solutions]
    return np.stack(puzzles).reshape(-1, 9, 9), np.stack(solutions).reshape(-1, 9, 9)


def ask(*words: str) -> Result:
    """What the command answers."""
    return CliRunner().invoke(cli, ["sudoku", *words], catch_exceptions=False)
