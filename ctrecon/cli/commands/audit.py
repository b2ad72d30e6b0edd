"""Tell whether a structure is in the data, or only in the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.cli.progress import shown

if TYPE_CHECKING:
    from ctrecon.auditing.audit import Answer
    from ctrecon.workbench.audit import Audited

EXIT_EMPTY = 3


@click.command("audit", cls=Command, examples=("ctrecon audit head.npy --roi 60,70,5",))
@click.argument("recon", metavar="RECON", type=FilePath)
@click.option(
    "--roi", multiple=True, metavar="X,Y,R|MASK",
    help="A disc: column, row, radius in pixels (0-based, row 0 at the top); or a mask, .npy or NIfTI. Repeatable.",
)  # fmt: skip
@click.option("--roi-mm", multiple=True, metavar="X,Y,R", help="A disc in mm from the middle, x right, y up.")
@click.option(
    "--kappa", metavar="VALUE|PERCENT|IMAGE",
    help="How rough the object may be: a bound on TV in the image's unit, a percentage of the reconstruction's TV, or "
    "the TV of an image .npy. Default: so much more than its images show that most simulated objects are smoother.",
)  # fmt: skip
@click.option("--lo", type=float, default=0.0, show_default=True, help="Smallest value an object can have, in 1/mm.")
@click.option("--hi", type=float, help="Largest one. Default: 0.1/mm, or twice the reconstruction's largest if above.")
@click.option("--gap", type=float, default=2.0, show_default=True, help="Pixels between region and surroundings.")
@click.option("--ring", type=float, help="Width of the surroundings in pixels. Default: 0.6 R, at least 4.")
@click.option("--scan", "whole", is_flag=True, help="Ask of discs all over the image, and draw what is decided.")
@click.option("--radius", type=float, help="Of the discs of --scan, in pixels. Default: a sixteenth of the image.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations. Default: 6000; 1500 for --scan.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context, /, recon: Path, roi: tuple[str, ...], roi_mm: tuple[str, ...], kappa: str | None, lo: float,
    hi: float | None, gap: float, ring: float | None, whole: bool, radius: float | None, iterations: int | None,
    overwrite: bool, as_json: bool,
) -> None:
    """Tell whether a structure of a certified image is in the data, or only in the picture.

    RECON is S.npy or S.certificate.json. For each region: the certified range of its mean less the mean of its
    surroundings, over ALL images that explain the scan within delta, are no rougher than kappa and lie within --lo and
    --hi. "In the data", if the object is one of these: the range excludes 0. How rough it may be before the sign is no
    longer certain stands beside it. Each range is written as a certificate beside RECON,
    S.LABEL.certificate.json, which `ctrecon verify` checks. With --scan: S.audit.png, S.audit.npy, S.audit.json.
    Exit code 0: answered. 2: bad input. 3: no image meets all this, so there is nothing to ask.
    """
    from ctrecon.workbench import audit_words as words
    from ctrecon.workbench.audit import audit

    if not (roi or roi_mm or whole):
        raise click.UsageError("say what to audit: --roi, --roi-mm or --scan")

    def say(answer: Answer | None, known: Audited) -> None:
        lines = words.assumed_lines(known.audit) if answer is None else words.answer_lines(
            answer, known.written[answer.region.label], known.audit
        )
        for line in lines:
            click.echo(line)

    with shown(quiet=as_json) as progress:
        found = audit(
            recon, roi=roi, roi_mm=roi_mm, kappa=kappa, lo=lo, hi=hi, gap=gap, ring=ring, everywhere=whole,
            radius=radius, iterations=iterations, save=True, overwrite=overwrite, progress=progress,
            watch=None if as_json else say,
        )  # fmt: skip
    if found.map is not None and not as_json:
        for line in words.map_lines(found.map, found.written, found.audit):
            click.echo(line)
    if found.empty is not None:
        click.echo(f"ctrecon: {words.empty_line(found.audit, found.empty)}", err=True)
    if as_json:
        click.echo(json.dumps(found.to_dict(), allow_nan=False))
    if found.empty is not None:
        ctx.exit(EXIT_EMPTY)
