"""Sudoku: the sets hold the rules, the network respects their symmetries, and nothing wrong is ever called solved."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from ctrecon.applications.sudoku.convolutional import SudokuConvolutional, SudokuConvolutionalShape
from ctrecon.applications.sudoku.files import draw_grid, parse_puzzle, read_puzzles, write_puzzle
from ctrecon.applications.sudoku.guesses import Guesses
from ctrecon.applications.sudoku.path import SudokuPool
from ctrecon.applications.sudoku.puzzles import (
    PuzzleSource,
    minimal_puzzle,
    new_solution,
    random_symmetry,
    read_split,
    split_of,
)
from ctrecon.applications.sudoku.rules import SudokuRules, SudokuRulesShape
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
from ctrecon.applications.sudoku.solver import count_solutions, solve_exactly
from ctrecon.cli.main import cli
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Armijo
from ctrecon.energies.base import Point
from ctrecon.energies.feasibility import Feasibility
from ctrecon.errors import CtreconError, InputError, SettingError, WeightsError
from ctrecon.networks.pretrained import load_network, save_network
from ctrecon.studies.paper.table2 import methods_of, table, unseen
from ctrecon.training.loop import Trainer, TrainingPlan

EASY = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
HARD = "000000061050700000200009000000800300401000000600000000000060080030040000020000700"
# No two givens contradict each other, but nothing fits into the last cell of the first row.
IMPOSSIBLE = "123456780" + "0" * 27 + "000000009" + "0" * 36
SMALL = SudokuRulesShape(width=12, messages=8, taught=3, asked=4)


@pytest.fixture(autouse=True)
def _one_thread(_seed_and_threads: None) -> None:
    """The tensors here are small: a second thread would only wait."""
    torch.set_num_threads(1)


def grids(*texts: str) -> Grids:
    return np.stack([parse_puzzle(text) for text in texts])


def onehot(solutions: Grids) -> torch.Tensor:
    return torch.from_numpy((solutions[:, None] == np.arange(1, 10)[:, None, None]).astype(np.float32))


def made(count: int, seed: int = 0) -> tuple[Grids, Grids]:
    rng = np.random.default_rng(seed)
    solutions = [new_solution(rng) for _ in range(count)]
    puzzles = [minimal_puzzle(solution, rng) for solution in solutions]
    return np.stack(puzzles).reshape(-1, 9, 9), np.stack(solutions).reshape(-1, 9, 9)


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


def test_training_on_the_path_lowers_the_loss_and_repeats_under_its_seed() -> None:
    def run() -> Trainer:
        torch.manual_seed(0)
        plan = TrainingPlan(steps=12, batch=4, learning_rate=5e-3)
        trainer = Trainer(SudokuRules(SMALL), [SudokuPool(PuzzleSource(None, None), size=8)], plan)
        losses = [float(progress.loss) for progress in trainer.run()]
        assert losses[-1] < losses[0]
        return trainer

    one, two = run(), run()
    assert all(torch.equal(value, two.averaged[name]) for name, value in one.averaged.items())


def test_weights_are_checked(tmp_path: Path) -> None:
    network = SudokuRules(SMALL)
    path = tmp_path / "mine.safetensors"
    save_network(path, network, network.state_dict(), {"data": []})
    again, _ = load_sudoku_network(path)
    x = torch.rand(1, 4, 9, 9, 9)
    assert torch.equal(again(x), network(x))
    with pytest.raises(WeightsError, match="sudoku-rules"):
        load_network(path, (SudokuConvolutional,))
    with pytest.raises(SettingError, match="at most 256 rounds"):
        SudokuRulesShape(asked=4000)
    for shape in (SMALL, SudokuRulesShape(), SudokuConvolutionalShape(), SudokuConvolutionalShape(depth=2)):
        built = (SudokuRules if isinstance(shape, SudokuRulesShape) else SudokuConvolutional)(shape)  # type: ignore[arg-type]
        assert shape.least_numbers <= sum(p.numel() for p in built.parameters())


def test_the_shipped_network_solves_puzzles_it_never_saw(data_dir: Path) -> None:
    network, _ = load_sudoku_network("sudoku-default")
    for name, least in (("sudoku_18000.csv", 40), ("sudoku_17_clues_20000.txt", 38)):
        read = read_puzzles(data_dir / "sudoku" / name)
        chosen = [i for i, puzzle in enumerate(read.puzzles[:900]) if split_of(puzzle) == "test"][:40]
        found = solve(read.puzzles[chosen], lambda some: NetworkDirection(network, some))
        assert len(chosen) == 40
        assert found.solved.sum() >= least


def ask(*words: str) -> Result:
    return CliRunner().invoke(cli, ["sudoku", *words], catch_exceptions=False)


def test_the_command_solves_refuses_and_gives_up(tmp_path: Path) -> None:
    result = ask(EASY)
    assert result.exit_code == 0
    assert "5 3 4 | 6 7 8 | 9 1 2" in result.output
    result = ask(IMPOSSIBLE, "--iterations", "7", "--json")
    assert result.exit_code == 3
    summary = json.loads(result.output)
    assert summary["puzzles"][0]["solution"] is None
    assert summary["puzzles"][0]["energy"] > 1e-4
    assert summary["puzzles"][0]["solutions"] == 0
    said = ask(IMPOSSIBLE, "--iterations", "3").output
    assert "not solved after 3 iterations: energy" in said
    assert "no grid keeps the rules and its givens" in said
    # Without two rows of a band the two can be exchanged: several solutions, one of them given and said so.
    several = EASY[:27] + "0" * 54
    result = ask(several, "--json")
    assert json.loads(result.output)["puzzles"][0]["solutions"] == "several"
    assert "more than one grid" in ask(several).output
    result = ask("66" + EASY[2:])
    assert result.exit_code == 2
    assert "row 1, column 1 and row 1, column 2" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    wrong = ((EASY[:-1],), ("no-such.csv",), (EASY, "-o", str(tmp_path / "x.txt")), (EASY, "--prior", "ct-default"))
    for words in wrong:
        result = ask(*words)
        assert result.exit_code == 2, words
        assert len(result.stderr.splitlines()) == 1


def test_the_command_on_files(tmp_path: Path) -> None:
    path, output = tmp_path / "p.csv", tmp_path / "o.csv"
    path.write_text(f"quizzes,solutions\n{EASY},{SOLUTION}\n{IMPOSSIBLE},{SOLUTION}\n")
    result = ask(str(path), "--iterations", "8", "--solutions", "-o", str(output))
    assert result.exit_code == 3
    assert SOLUTION in result.output
    assert "1 of 2 solved" in result.output
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["solution"] for row in rows] == [SOLUTION, ""]
    assert [row["solutions"] for row in rows] == ["1", "0"]
    before = path.read_bytes()
    assert ask(str(path), "-o", str(path)).exit_code == 2
    assert path.read_bytes() == before
    path.write_text(f"{EASY}\n11{'0' * 79}\n")
    result = ask(str(path))
    assert result.exit_code == 2
    assert "puzzle 2: two 1s in one row" in result.stderr


def test_a_network_can_be_trained_resumed_and_used_by_command(tmp_path: Path) -> None:
    path, puzzles = tmp_path / "mine.safetensors", tmp_path / "p.csv"
    puzzles.write_text("\n".join(write_puzzle(puzzle) for puzzle in made(20)[0]) + "\n")
    words = ["train-sudoku", "-o", str(path), "--hard", str(puzzles), "--batch", "2", "--threads", "1"]
    words += ["--network", "convolutional", "--overwrite"]
    for steps in ("1", "2"):
        result = CliRunner().invoke(cli, [*words, "--one-pass", "--steps", steps], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert "resuming" in result.output
    assert "2 steps of batch 2" in path.with_suffix(".md").read_text()
    assert ask(EASY, "--prior", str(path), "--iterations", "2").exit_code in (0, 3)


def test_table_2_counts_cells_and_puzzles(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"quizzes,solutions\n{EASY},{SOLUTION}\n")
    puzzles, solutions = unseen(read_puzzles(path), split=None, count=5)
    network = load_sudoku_network("sudoku-default")[0]
    methods = methods_of(network, SudokuConvolutional(SudokuConvolutionalShape(depth=3, width=8)))
    rows = {row.method: row for row in table(puzzles, solutions, methods)}
    assert len(rows) == 5
    assert rows["energy dissipation, 100 iterations"].accuracy == 1
    assert rows["energy dissipation, 100 iterations"].solved == 1
    untrained = rows["baseline network, one pass"]
    assert untrained.solved == 0
    assert untrained.accuracy < 0.9
    path.write_text(f"quizzes,solutions\n{EASY},{SOLUTION[::-1]}\n")
    with pytest.raises(CtreconError, match="solution of puzzle 1 is wrong"):
        unseen(read_puzzles(path), split=None, count=5)
    path.write_text("0" * 81 + "\n")
    with pytest.raises(CtreconError, match="several solutions"):
        unseen(read_puzzles(path), split=None, count=5)
