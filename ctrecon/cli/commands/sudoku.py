"""Solve Sudokus; a grid counts as solved by its check alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.cli.progress import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from ctrecon.applications.sudoku.files import PuzzleFile
    from ctrecon.applications.sudoku.solve import Grids, Solutions
    from ctrecon.descent.directions import Direction

    Counts = NDArray[np.int64]

EXIT_NOT_SOLVED = 3


@click.command("sudoku", cls=Command, examples=("ctrecon sudoku puzzles.csv -o solved.csv",))
@click.argument("puzzle", metavar="PUZZLE|FILE")
@click.option("--solutions", "show", is_flag=True, help="Print every solution, 81 digits a line, for files too.")
@click.option("-o", "--output", type=FilePath, help="Write puzzles, grids, solved, energies and iterations as .csv.")
@overwrite_option
@click.option("--method", type=click.Choice(("energy", "gradient")), default="energy", show_default=True)
@click.option("--prior", default="sudoku-default", show_default=True, metavar="NAME|FILE", help="Network weights.")
@click.option("--iterations", type=click.IntRange(min=1), default=100, show_default=True, help="Most, per puzzle.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context, puzzle: str, show: bool, output: Path | None, overwrite: bool, method: str, prior: str,
    iterations: int,
    as_json: bool,
) -> None:
    """Solve Sudokus by energy dissipation (paper, section 5.4).

    PUZZLE is 81 characters, 0 or . for empty; FILE a .csv (puzzle, and its solution where known) or text with a puzzle
    per line or in nine lines; what follows # ; or // is a comment. A grid is reported as solved only if it keeps the
    rules and the givens. How many solutions a puzzle has is counted apart, by search. Exit code 0: all solved. 2: bad
    input, such as givens that contradict each other. 3: some are not solved.
    """
    import torch

    from ctrecon.applications.sudoku.solve import solve
    from ctrecon.applications.sudoku.solver import count_solutions
    from ctrecon.errors import OutputError
    from ctrecon.support.places import check_places

    # Many small tensors: a second thread gains little, and where another process has its core it spins for minutes.
    torch.set_num_threads(1)
    path = Path(puzzle)
    if output is not None:
        if output.suffix.lower() != ".csv":
            raise OutputError(f"{output} must end in .csv; give another -o FILE")
        check_places([output], overwrite=overwrite, inputs=[path] if len(puzzle) < 81 else [])
    read = _read(puzzle)
    attempt = {"attempt": None} if method == "gradient" else {}
    with shown(quiet=as_json or len(read.puzzles) < 100, err=True) as progress:
        found = solve(
            read.puzzles, _direction(method, prior), most_iterations=iterations, progress=progress, **attempt,
        )  # fmt: skip
    counts = count_solutions(read.puzzles.reshape(-1, 81))
    if output is not None:
        _write(output, read.puzzles, found, counts)
    if as_json:
        click.echo(json.dumps(_summary(read, found, counts, method), allow_nan=False))
    else:
        _tell(read, found, counts, show)
    if not found.solved.all():
        ctx.exit(EXIT_NOT_SOLVED)


def _read(puzzle: str) -> PuzzleFile:
    from ctrecon.applications.sudoku.files import PuzzleFile, parse_puzzle, read_puzzles
    from ctrecon.errors import InputError

    # 81 characters are a puzzle; anything else that looks like a file name is a file.
    looks_like_file = Path(puzzle).suffix.lower() in (".csv", ".txt", ".sdk", ".sudoku")
    if looks_like_file or (len(puzzle) < 81 and Path(puzzle).exists()):
        if not Path(puzzle).is_file():
            raise InputError(f"there is no file {puzzle}; give a .csv or .txt file, or a puzzle of 81 characters")
        return read_puzzles(Path(puzzle))
    return PuzzleFile(puzzles=parse_puzzle(puzzle)[None], solutions=None)


def _direction(method: str, prior: str) -> Callable[[Grids], Direction]:
    from ctrecon.applications.sudoku.solve import NetworkDirection, load_sudoku_network
    from ctrecon.descent.directions import NegativeGradient

    if method == "gradient":
        return lambda some: NegativeGradient()
    network, _ = load_sudoku_network(prior)
    return lambda some: NetworkDirection(network, some)


def _tell(read: PuzzleFile, found: Solutions, counts: Counts, show: bool) -> None:
    from ctrecon.applications.sudoku.files import draw_grid, write_puzzle

    if len(read.puzzles) == 1:
        click.echo(draw_grid(found.grids[0]) if found.solved[0] else draw_grid(read.puzzles[0]))
        if show and found.solved[0]:
            click.echo(write_puzzle(found.grids[0]))
        click.echo(_verdict(found, counts, 0))
        return
    for i, grid in enumerate(found.grids):
        if show and found.solved[i]:
            click.echo(write_puzzle(grid))
        elif show:
            click.echo(f"puzzle {i + 1}: {_verdict(found, counts, i)}")
    click.echo(f"{int(found.solved.sum())} of {len(found.solved)} solved")
    if not show:
        for i in (~found.solved | (counts != 1)).nonzero()[0][:20]:
            click.echo(f"puzzle {i + 1}: {_verdict(found, counts, i)}")
    if read.solutions is not None:
        same = (found.grids == read.solutions).reshape(len(found.grids), -1)
        click.echo(f"{int(same.all(1).sum())} are the solutions of the file; {same.mean():.2%} of all cells agree")


# Said of a puzzle by how many solutions an exact search found; of one with a single solution nothing needs to be said.
SAID = {
    0: "no grid keeps the rules and its givens, so at least one of the givens is wrong (searched exhaustively)",
    2: "more than one grid keeps the rules and its givens, so a given is missing (searched exhaustively)",
    -1: "how many solutions it has is not known: the search for them was cut short",
}


def _verdict(found: Solutions, counts: Counts, i: int) -> str:
    more = SAID.get(int(counts[i]))
    return _outcome(found, i) + (f"; {more}" if more else "")


def _outcome(found: Solutions, i: int) -> str:
    count = int(found.iterations[i])
    after = f"{count} iteration{'s' if count != 1 else ''}"
    tries = int(found.attempts[i])
    starts = f" from {tries} starts" if tries > 1 else ""
    if found.solved[i]:
        return f"solved in {after}{starts}"
    return f"not solved after {after}{starts}: energy {found.energies[i]:.3g}"


def _summary(read: PuzzleFile, found: Solutions, counts: Counts, method: str) -> dict[str, Any]:
    from ctrecon.applications.sudoku.files import write_puzzle

    return {
        "status": "solved" if found.solved.all() else "not solved",
        "method": method,
        "count": len(found.solved),
        "solved": int(found.solved.sum()),
        "puzzles": [
            {
                "puzzle": write_puzzle(puzzle),
                "solved": bool(found.solved[i]),
                "solution": write_puzzle(found.grids[i]) if found.solved[i] else None,
                "energy": float(found.energies[i]),
                "iterations": int(found.iterations[i]),
                "starts": int(found.attempts[i]),
                "solutions": {0: 0, 1: 1, 2: "several"}.get(int(counts[i])),
            }
            for i, puzzle in enumerate(read.puzzles)
        ],
    }


def _write(path: Path, puzzles: Grids, found: Solutions, counts: Counts) -> None:
    from ctrecon.applications.sudoku.files import write_puzzle
    from ctrecon.support.atomic import atomic_write

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("puzzle", "solution", "solved", "energy", "iterations", "starts", "solutions"))
    for i, puzzle in enumerate(puzzles):
        # An unsolved grid breaks a rule or a given: it is no solution, and is not written as one.
        solution = write_puzzle(found.grids[i]) if found.solved[i] else ""
        number = {0: "0", 1: "1", 2: "several"}.get(int(counts[i]), "")
        took = (int(found.iterations[i]), int(found.attempts[i]))
        rest = (int(found.solved[i]), f"{found.energies[i]:.6g}", *took, number)
        lines.writerow((write_puzzle(puzzle), solution, *rest))
    with atomic_write(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
