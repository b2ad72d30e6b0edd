"""The 2-D toy: why a network is trained on its own paths."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.figures import draw_toy, out_option, seed_option
from ctrecon.cli.help import Command


@click.command("fig3", cls=Command, examples=("ctrecon reproduce fig3 --out figures/",))
@out_option
@seed_option
@click.pass_context
def command(ctx: click.Context, out: Path, overwrite: bool, seed: int) -> None:
    """Figure 3: the 2-D toy's network after each round of training on its own paths (section 4.2).

    Writes fig3.png, fig3.json (claims, numbers, bars), fig3.csv (the paths) to --out. Exit code 3: a claim failed.
    """
    from ctrecon.studies.paper.fig3 import figure3

    draw_toy(ctx, "fig3", figure3, out, overwrite=overwrite, seed=seed)
