"""What the commands of the figures share: files written whole, claims told one by one, and the exit code."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.claims import Figure

EXIT_CLAIM_NOT_MET = 3

out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder. Default: this one."
)
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def conclude(ctx: click.Context, figure: Figure, picture: Picture, out: Path, notes: Sequence[str] = ()) -> None:
    """Write ``NAME.json``, ``NAME.csv``, ``NAME.png`` to ``out``, print the claims; exit code 3 where one fails."""
    make_folder(out)
    _write(out / f"{figure.name}.json", lambda path: path.write_text(json.dumps(figure.to_dict(), indent=1) + "\n"))
    _write(out / f"{figure.name}.csv", lambda path: _write_table(path, figure.table))
    _write(out / f"{figure.name}.png", lambda path: picture.savefig(path, dpi=110))
    for note in notes:
        click.echo(f"note: {note}")
    for claim in figure.claims:
        met = "met    " if claim.met else "NOT MET"
        click.echo(f"{met}  {claim.number:10.4g} {claim.sense} {claim.bar:<6g} {claim.claim}")
    click.echo(f"wrote {', '.join(str(out / f'{figure.name}.{kind}') for kind in ('png', 'json', 'csv'))}")
    if not figure.met:
        ctx.exit(EXIT_CLAIM_NOT_MET)


def make_folder(out: Path) -> None:
    """Raises OutputError where there can be no such folder."""
    from ctrecon.errors import OutputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made: {error.strerror}; choose another folder") from None


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    from ctrecon.support.atomic import atomic_write

    with atomic_write(path) as partial:
        write(partial)


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
