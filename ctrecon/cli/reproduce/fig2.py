"""The 2-D toy: paths that dissipate energy."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.figures import draw_toy, out_option, seed_option
from ctrecon.cli.help import Command


@click.command("fig2", cls=Command, examples=("ctrecon reproduce fig2 --out figures/",))
@out_option
@seed_option
@click.pass_context
def command(ctx: click.Context, out: Path, overwrite: bool, seed: int) -> None:
    """Figure 2: the 2-D toy. Gradient descent, and networks bent into (21) as printed and scaled with |grad E|.

    Writes fig2.png, fig2.json (claims, numbers, bars), fig2.csv (the paths) to --out. Exit code 3: a claim failed.
    """
    from ctrecon.studies.paper.fig2 import figure2

    draw_toy(ctx, "fig2", figure2, out, overwrite=overwrite, seed=seed)
