"""``ctrecon reproduce fig2``."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.figures import check_out, conclude, out_option, seed_option


@click.command("fig2")
@out_option
@seed_option
@click.pass_context
def command(ctx: click.Context, out: Path, overwrite: bool, seed: int) -> None:
    """Figure 2: the 2-D toy. Gradient descent, and networks bent into (21) as printed and scaled with |grad E|.

    Writes fig2.png, fig2.json (claims, numbers, bars), fig2.csv (the paths) to --out. Exit code 3: a claim failed.
    """
    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.fig2 import draw_panel, figure2

    check_out(out, "fig2", overwrite=overwrite)
    figure, panels, trained = figure2(seed=seed)
    picture = Picture(figsize=(12, 4.2), layout="constrained")
    for axes, panel in zip(picture.subplots(1, 3), panels, strict=True):
        draw_panel(axes, panel, trained.examples)
    conclude(ctx, figure, picture, out)
