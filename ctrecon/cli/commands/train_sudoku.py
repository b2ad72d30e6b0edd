"""Train a network for Sudoku on the descent path."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath
from ctrecon.cli.training import as_stored, check_output, facts_of, plan, run_training, training_options, write_trained
from ctrecon.cli.training_time import less_scoring

if TYPE_CHECKING:
    from ctrecon.applications.sudoku.convolutional import SudokuConvolutional
    from ctrecon.applications.sudoku.puzzles import PuzzleSet
    from ctrecon.applications.sudoku.rules import SudokuRules
    from ctrecon.training.loop import Trainer


@click.command("train-sudoku", cls=Command, examples=("ctrecon train-sudoku -o mine.safetensors --minutes 60",))
@training_options(steps=6_000, batch=32, learning_rate=2e-3)
@click.option("--easy", type=FilePath, help="Puzzles with many givens (.csv or .txt); their training split is used.")
@click.option("--hard", type=FilePath, help="Puzzles with few givens (.csv or .txt); their training split is used.")
@click.option("--network", type=click.Choice(("rules", "convolutional")), default="rules", show_default=True)
@click.option("--one-pass", is_flag=True, help="The baseline: train for one pass from the start, not on the path.")
def command(
    output: Path, overwrite: bool, start: str | None, fresh: bool, curves: Path | None, note: tuple[str, ...],
    easy: Path | None,
    hard: Path | None, network: str, one_pass: bool, **plan_options: Any,
) -> None:
    """Train a network for Sudoku on the descent path (paper, sections 4.2 and 5.4).

    Without files on newly made puzzles alone. Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a
    checkpoint and a log; run the same command again to resume. Puzzles of the test and validation splits (by a hash of
    the puzzle) are never trained on.
    """
    from ctrecon.applications.sudoku.path import SudokuPool
    from ctrecon.applications.sudoku.puzzles import PuzzleSource
    from ctrecon.training.loop import Trainer

    began = time.monotonic()
    check_output(output, curves, fresh=fresh, overwrite=overwrite)
    how = plan(**plan_options)
    sets = (_training_split(easy), _training_split(hard))
    pool = SudokuPool(PuzzleSource(*sets), most_steps=1 if one_pass else 5, guessed=0 if one_pass else 0.25)
    asked = _network(network, start)
    how, _, _ = less_scoring(how, lambda: _scores(copy.deepcopy(asked).eval().requires_grad_(False), (easy, hard)))
    trainer = Trainer(asked, [pool], how)
    run_training(trainer, output, fresh=fresh, curves=curves, began=began)
    pairs = zip(sets, (easy, hard), strict=True)
    names = [f"{len(some)} puzzles of the training split of {path.name}" for some, path in pairs if some and path]
    _finish(trainer, output, [*names, "newly made minimal puzzles", *note], (easy, hard), one_pass=one_pass)


def _training_split(path: Path | None) -> PuzzleSet | None:
    from ctrecon.applications.sudoku.puzzles import read_split

    return None if path is None else read_split(path, "train")


def _network(name: str, start: str | None) -> SudokuRules | SudokuConvolutional:
    from ctrecon.applications.sudoku.convolutional import SudokuConvolutional
    from ctrecon.applications.sudoku.rules import SudokuRules
    from ctrecon.applications.sudoku.solve import load_sudoku_network

    if start is not None:
        return load_sudoku_network(start)[0].train().requires_grad_(True)
    return SudokuRules() if name == "rules" else SudokuConvolutional()


def _scores(network: SudokuRules | SudokuConvolutional, files: tuple[Path | None, ...]) -> Any:
    from ctrecon.applications.sudoku.card import validation_scores

    return validation_scores(network, [path for path in files if path is not None])


def _finish(
    trainer: Trainer, output: Path, data: list[str], files: tuple[Path | None, ...], *, one_pass: bool
) -> None:
    from ctrecon.applications.sudoku.card import model_card
    from ctrecon.applications.sudoku.solve import load_sudoku_network

    card = {"data": data, "one_pass": one_pass, **facts_of(trainer)}
    with as_stored(trainer, card) as stored:
        network, _ = load_sudoku_network(stored)
    card["scores"] = _scores(network, files)
    write_trained(output, trainer, card, model_card(output.stem, network, card))
