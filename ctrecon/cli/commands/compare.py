"""Tell where two reconstructions differ by more than the data decide."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.cli.progress import shown

EXIT_EMPTY = 3


@click.command("compare", cls=Command, examples=("ctrecon compare head.npy tv.npy",))
@click.argument("a", metavar="A", type=FilePath)
@click.argument("b", metavar="B", type=FilePath)
@click.option("--kappa", metavar="VALUE|PERCENT|IMAGE", help="How rough the object may be, as for `ctrecon audit`.")
@click.option("--lo", type=float, default=0.0, show_default=True, help="Smallest value an object can have, in 1/mm.")
@click.option("--hi", type=float, help="Largest one. Default: 0.1/mm, or twice A's largest if above.")
@click.option("--gap", type=float, default=2.0, show_default=True, help="Pixels between disc and surroundings.")
@click.option("--ring", type=float, help="Width of the surroundings in pixels. Default: 0.6 R, at least 4.")
@click.option("--radius", type=float, help="Of the discs, in pixels. Default: a sixteenth of the image.")
@click.option("--discs", type=click.IntRange(min=1), default=8, show_default=True, help="Ask about so many at most.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations for each. Default: 1500.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context, /, a: Path, b: Path, kappa: str | None, lo: float, hi: float | None, gap: float,
    ring: float | None, radius: float | None, discs: int, iterations: int | None, overwrite: bool, as_json: bool,
) -> None:
    """Tell where two reconstructions of one scan differ by more than the data decide.

    A and B are S.npy or S.certificate.json, one of them certified. Of the discs in which they differ most: the proved
    range over ALL images that are within delta, no rougher than kappa and within --lo and --hi. An image that shows
    what none of these shows is wrong there, if the object is one of these; else it is not decided. Written beside A:
    S.versus-B.png and .json, and S.versus-B-K.certificate.json of each disc, which `ctrecon verify` checks and
    `ctrecon report` shows.
    Exit code 0: answered. 2: bad input. 3: no image meets all this, so there is nothing to ask.
    """
    from ctrecon.workbench.compare import compare

    with shown(quiet=as_json) as progress:
        found = compare(
            a, b, kappa=kappa, lo=lo, hi=hi, gap=gap, ring=ring, radius=radius, discs=discs, iterations=iterations,
            save=True, overwrite=overwrite, progress=progress,
        )  # fmt: skip
    click.echo(json.dumps(found.to_dict(), allow_nan=False) if as_json else str(found))
    if found.empty is not None:
        ctx.exit(EXIT_EMPTY)
