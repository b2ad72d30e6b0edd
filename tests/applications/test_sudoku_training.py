"""Networks for Sudoku are trained, resumed, checked, used and counted in table 2."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from sudoku_puzzles import EASY, SMALL, SOLUTION, ask, made

from ctrecon.applications.sudoku.convolutional import SudokuConvolutional, SudokuConvolutionalShape
from ctrecon.applications.sudoku.files import read_puzzles, write_puzzle
from ctrecon.applications.sudoku.path import SudokuPool
from ctrecon.applications.sudoku.puzzles import (
    PuzzleSource,
)
from ctrecon.applications.sudoku.rules import SudokuRules, SudokuRulesShape
from ctrecon.applications.sudoku.solve import (
    load_sudoku_network,
)
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError, SettingError, WeightsError
from ctrecon.networks.pretrained import load_network, save_network
from ctrecon.studies.paper.table2 import methods_of, table, unseen
from ctrecon.training.loop import Trainer, TrainingPlan


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


@pytest.mark.long
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


@pytest.mark.long
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
