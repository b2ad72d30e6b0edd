"""Show where images that meet delta as well differ from a certified one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.cli.progress import shown


@click.command(
    "members", cls=Command, examples=("ctrecon members head.npy", "ctrecon members head.npy --count 12 --save-members")
)
@click.argument("recon", metavar="RECON", type=FilePath)
@click.option("-o", "out", metavar="S.npy", type=FilePath, help="Write beside this name. Default: beside RECON.")
@click.option("--count", type=click.IntRange(1, 40), default=6, show_default=True, help="Try so many images.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random starts.")
@click.option("--radius", type=float, help="Of the discs, in pixels. Default: a sixteenth of the image.")
@click.option("--gap", type=float, default=2.0, show_default=True, help="Pixels between disc and surroundings.")
@click.option("--ring", type=float, help="Width of the surroundings in pixels. Default: 0.6 R, at least 4.")
@click.option("--discs", type=click.IntRange(min=1), default=8, show_default=True, help="List so many.")
@click.option("--device", help="cpu, cuda, cuda:1, ... Default: a GPU where there is one.")
@click.option("--save-members", is_flag=True, help="Write each image, too, with its certificate: S.member-K.npy.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    recon: Path, out: Path | None, count: int, seed: int, radius: float | None, gap: float, ring: float | None,
    discs: int, device: str | None, save_members: bool, overwrite: bool, as_json: bool,
) -> None:
    """Show where images that meet delta as well differ from a certified one.

    RECON is S.npy or S.certificate.json. Further images are made of the same data by different ways: networks about
    one mirror image, Huber-TV with two weights, conjugate gradients, random starts, and images pushed brighter and
    darker where the others differ most. Each counts only if it is proved to meet the same delta. A few images show at
    least how much the data leave open, never how much at most; `ctrecon audit` proves ranges. Written beside RECON:
    S.members.png, S.members.npy (range per pixel), S.members.json, which `ctrecon report` shows.
    Exit code 0: done. 2: bad input.
    """
    from ctrecon.workbench.members import members

    with shown(quiet=as_json) as progress:
        found = members(
            recon, count=count, seed=seed, radius=radius, gap=gap, ring=ring, discs=discs, device=device,
            save=True if out is None else out, save_members=save_members, overwrite=overwrite, progress=progress,
        )  # fmt: skip
    click.echo(json.dumps(found.to_dict(), allow_nan=False) if as_json else str(found))
