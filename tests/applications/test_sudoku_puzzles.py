"""Puzzles are read as people write them, made by the rules and split without overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sudoku_puzzles import EASY, HARD, IMPOSSIBLE, SOLUTION, grids, made

from ctrecon.applications.sudoku.files import draw_grid, parse_puzzle, read_puzzles, write_puzzle
from ctrecon.applications.sudoku.puzzles import (
    PuzzleSource,
    random_symmetry,
    read_split,
    split_of,
)
from ctrecon.applications.sudoku.solve import (
    check_givens,
    is_solved,
    solve,
)
from ctrecon.applications.sudoku.solver import count_solutions, solve_exactly
from ctrecon.descent.directions import NegativeGradient
from ctrecon.errors import InputError, SettingError


def test_contradictory_givens_are_named() -> None:
    cases = {
        "row 2, column 1 and row 2, column 9": "000000000" + "600000006" + "0" * 63,
        "row 1, column 3 and row 9, column 3": "007000000" + "0" * 63 + "007000000",
        "row 4, column 4 and row 6, column 5": "0" * 27 + "000100000" + "000000000" + "000010000" + "0" * 27,
    }
    for cells, text in cases.items():
        with pytest.raises(InputError, match=cells):
            check_givens(parse_puzzle(text))
    with pytest.raises(InputError, match=r"puzzle 2: two 6s in one row"):
        solve(grids(EASY, "66" + "0" * 79), lambda some: NegativeGradient())
    check_givens(parse_puzzle(EASY))
    with pytest.raises(SettingError, match="0 in all"):
        solve(grids(EASY), lambda some: NegativeGradient(), most_iterations=0)


def test_puzzles_are_read_as_people_write_them(tmp_path: Path) -> None:
    wanted = parse_puzzle(EASY)
    lines = [EASY[i : i + 9] for i in range(0, 81, 9)]
    for text in (
        EASY.replace("0", "."), EASY.replace("0", " "), "\n".join(lines), "\r\n".join(lines), "\n".join(lines) + "\n\n",
        "\n".join(" ".join(line.replace("0", ".")) for line in lines),
        "\n".join(line.replace("0", " ").rstrip() for line in lines), draw_grid(wanted),
    ):
        assert np.array_equal(parse_puzzle(text), wanted), text
    assert write_puzzle(wanted) == EASY
    with pytest.raises(InputError, match="this one 80"):
        parse_puzzle(EASY[:-1])
    with pytest.raises(InputError, match=r"row 1, column 2 holds 'x'"):
        parse_puzzle("5x" + EASY[2:])
    with pytest.raises(InputError, match=r"row 1, column 1 holds '٣'"):
        parse_puzzle("٣" + EASY[1:])  # a digit, but none of ours
    path = tmp_path / "p.csv"
    path.write_text(f"quizzes,solutions\n{EASY},{SOLUTION}\n")
    read = read_puzzles(path)
    assert read.solutions is not None
    assert write_puzzle(read.solutions[0]) == SOLUTION
    path = tmp_path / "p.txt"
    path.write_text("# two\n" + draw_grid(wanted) + "\n\n" + draw_grid(wanted) + "\n")
    assert len(read_puzzles(path).puzzles) == 2
    path.write_text(f"{EASY}\n{HARD.replace('0', '.')}\n")
    assert len(read_puzzles(path).puzzles) == 2
    path.write_text(f"; of two\n[Puzzle]\n{EASY}  # easy\n// {HARD}\n{HARD}; hard\n")
    assert np.array_equal(read_puzzles(path).puzzles, np.stack([wanted, parse_puzzle(HARD)]))
    csv_path = tmp_path / "commented.csv"
    csv_path.write_text(f"# made by hand\npuzzle,solution\n{EASY},{SOLUTION} # right\n")
    assert read_puzzles(csv_path).solutions is not None
    path.write_text(f"{EASY}\n{HARD}1\n")
    with pytest.raises(InputError, match=r"p\.txt, puzzle 2"):
        read_puzzles(path)
    for bad in (b"", b"\xff\xfe\x00", b"1\n2\n"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"p\.txt"):
            read_puzzles(path)


def test_the_exact_solver_and_the_makers_of_puzzles_keep_the_rules() -> None:
    puzzles, solutions = made(8)
    found, counts = solve_exactly(puzzles.reshape(-1, 81))
    assert (counts == 1).all()
    assert np.array_equal(found.reshape(-1, 9, 9), solutions)
    assert is_solved(solutions, puzzles).all()
    # Minimal: without any one of its givens a puzzle has several solutions.
    for puzzle in puzzles[:3].reshape(-1, 81):
        less = np.stack([np.where(np.arange(81) == cell, 0, puzzle) for cell in np.flatnonzero(puzzle)])
        assert (solve_exactly(less.astype(np.int8))[1] == 2).all()
    odd = grids(IMPOSSIBLE, "11" + "0" * 79, "0" * 81).reshape(-1, 81)
    assert solve_exactly(odd)[1].tolist() == [0, 0, 2]
    assert count_solutions(odd).tolist() == [0, 0, 2]
    # A count that is cut short says so; it is never taken for a count.
    assert count_solutions(grids(EASY, "0" * 81).reshape(-1, 81), steps=5).tolist() == [-1, -1]
    rng = np.random.default_rng(5)
    puzzle, solution = random_symmetry(rng, puzzles[0].reshape(81), solutions[0].reshape(81))
    assert is_solved(solution.reshape(1, 9, 9), puzzle.reshape(1, 9, 9)).all()
    assert not np.array_equal(solution, solutions[0].reshape(81))


def test_splits_are_disjoint_and_depend_on_the_puzzle_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 10, (4000, 81)).astype(np.int8)
    names = np.array([split_of(one) for one in many])
    assert [split_of(one.astype(np.int64)) for one in many[:50]] == names[:50].tolist()
    assert 320 < np.count_nonzero(names == "test") < 480
    assert 50 < np.count_nonzero(names == "validation") < 160
    path = tmp_path / "p.txt"
    puzzles, _ = made(40)
    path.write_text("\n".join(write_puzzle(puzzle) for puzzle in puzzles))
    parts = {name: {one.tobytes() for one in read_split(path, name).puzzles} for name in ("train", "test")}
    assert parts["train"]
    assert parts["test"]
    assert not parts["train"] & parts["test"]
    train = read_split(path, "train")
    pool_source = PuzzleSource(None, train, (0, 1, 0))
    assert all(is_solved(s.reshape(1, 9, 9), p.reshape(1, 9, 9)) for p, s in (pool_source.draw(rng) for _ in range(20)))
