"""``ctrecon reproduce fig3``."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.figures import check_out, conclude, out_option, seed_option


@click.command("fig3")
@out_option
@seed_option
@click.pass_context
def command(ctx: click.Context, out: Path, overwrite: bool, seed: int) -> None:
    """Figure 3: the 2-D toy's network after each round of training on its own paths (section 4.2).

    Writes fig3.png, fig3.json (claims, numbers, bars), fig3.csv (the paths) to --out. Exit code 3: a claim failed.
    """
    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.fig2 import draw_panel
    from ctrecon.studies.paper.fig3 import figure3

    check_out(out, "fig3", overwrite=overwrite)
    figure, panels, trained = figure3(seed=seed)
    picture = Picture(figsize=(12, 4.2), layout="constrained")
    for axes, panel in zip(picture.subplots(1, 3), panels, strict=True):
        draw_panel(axes, panel, trained.examples)
    conclude(ctx, figure, picture, out)
