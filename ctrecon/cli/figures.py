"""What the commands of the figures share: files written together, claims told one by one, and the exit code."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ctrecon.cli.options import overwrite_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.claims import Figure
    from ctrecon.studies.paper.fig2 import Panel
    from ctrecon.studies.paper.toy import Trained

    Toy = tuple[Figure, tuple[Panel, ...], Trained]

EXIT_CLAIM_NOT_MET = 3

F = TypeVar("F", bound="Callable[..., Any]")


def out_option(function: F) -> F:
    """Where to, and whether what is there may be replaced."""
    folder = click.Path(path_type=Path, file_okay=False)
    out = click.option("--out", type=folder, default=Path(), help="Folder. Default: this one.")
    return out(overwrite_option(function))


seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def conclude(ctx: click.Context, figure: Figure, picture: Picture, out: Path, notes: Sequence[str] = ()) -> None:
    """Write ``NAME.json``, ``NAME.csv``, ``NAME.png`` to ``out``, print the claims; exit code 3 where one fails."""
    from ctrecon.support.atomic import atomic_files

    with atomic_files() as place:
        place(out / f"{figure.name}.json").write_text(json.dumps(figure.to_dict(), indent=1) + "\n", encoding="utf-8")
        _write_table(place(out / f"{figure.name}.csv"), figure.table)
        picture.savefig(place(out / f"{figure.name}.png"), dpi=110)
    for note in notes:
        click.echo(f"note: {note}")
    for claim in figure.claims:
        met = "met    " if claim.met else "NOT MET"
        click.echo(f"{met}  {claim.number:10.4g} {claim.sense} {claim.bar:<6g} {claim.claim}")
    click.echo(f"wrote {', '.join(str(out / f'{figure.name}.{kind}') for kind in ('png', 'json', 'csv'))}")
    if not figure.met:
        ctx.exit(EXIT_CLAIM_NOT_MET)


def draw_toy(
    ctx: click.Context, name: str, figure_of: Callable[..., Toy], out: Path, *, overwrite: bool, seed: int
) -> None:
    """A figure of the 2-D toy, three plots side by side, from ``figure_of(seed=...)``; the rest is ``conclude``'s."""
    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.fig2 import draw_panel

    check_out(out, name, overwrite=overwrite)
    figure, panels, trained = figure_of(seed=seed)
    picture = Picture(figsize=(12, 4.2), layout="constrained")
    for axes, panel in zip(picture.subplots(1, 3), panels, strict=True):
        draw_panel(axes, panel, trained.examples)
    conclude(ctx, figure, picture, out)


def check_out(out: Path, name: str, *, overwrite: bool, kinds: Sequence[str] = ("json", "csv", "png")) -> None:
    """Before the work: makes the folder. Raises OutputError where it cannot be, or ``NAME.KIND`` is there already."""
    from ctrecon.support.places import check_results_folder

    check_results_folder(out, [f"{name}.{kind}" for kind in kinds], overwrite=overwrite)


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
