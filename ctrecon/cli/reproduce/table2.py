"""Sudoku: cell accuracy and solved puzzles."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath
from ctrecon.cli.rows import check_rows, rows_option, write_rows


@click.command("table2", cls=Command, examples=("ctrecon reproduce table2 --data puzzles.csv",))
@click.option("--data", type=FilePath, required=True, help="Puzzles as .csv or .txt.")
@click.option("--all", "all_splits", is_flag=True, help="Every puzzle, for files never trained on.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Most per number of givens.")
@click.option("--prior", default="sudoku-default", show_default=True, metavar="NAME|FILE")
@click.option("--baseline", default="sudoku-one-pass", show_default=True, metavar="NAME|FILE")
@rows_option
def command(
    data: Path, all_splits: bool, count: int, prior: str, baseline: str, output: Path | None, overwrite: bool,
) -> None:
    """Table 2: Sudoku by gradient descent, a baseline network in one pass, and energy dissipation.

    By default on the test split of the file (by a hash of each puzzle), which train-sudoku never uses.
    """
    import torch

    from ctrecon.applications.sudoku.files import read_puzzles
    from ctrecon.applications.sudoku.solve import load_sudoku_network
    from ctrecon.studies.paper.table2 import methods_of, table, unseen

    check_rows(output, overwrite=overwrite)
    # Many small tensors: a second thread gains little, and where another process has its core it spins for minutes.
    torch.set_num_threads(1)
    puzzles, solutions = unseen(read_puzzles(data), split=None if all_splits else "test", count=count)
    methods = methods_of(load_sudoku_network(prior)[0], load_sudoku_network(baseline)[0])
    click.echo("| givens | puzzles | method | cells right (95% interval) | over the first method | of the open cells | "
               "solved |")
    click.echo("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    rows = []
    for row in table(puzzles, solutions, methods):
        rows.append(row.to_dict())
        click.echo(
            f"| {row.givens} | {row.puzzles} | {row.method} | {row.interval.said('.1%')} "
            f"| {row.gain.said('+.1%', difference=True) if row.gain.mean else '0'} | {row.accuracy_open:.1%} "
            f"| {row.share} |"
        )
    if output is not None:
        write_rows(output, rows)
