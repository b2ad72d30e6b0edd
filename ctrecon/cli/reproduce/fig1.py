"""What an overfitted network erases, and energy dissipation keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.figures import check_out, conclude, out_option, seed_option
from ctrecon.cli.help import Command
from ctrecon.cli.objects import walnut_object
from ctrecon.cli.progress import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.fig1 import Blob, Result

# The walnut of this seed is the object that both networks are overfitted to.
_WALNUT = 1


@click.command("fig1", cls=Command, examples=("ctrecon reproduce fig1 --out figures/",))
@out_option
@seed_option
@click.option("--fresh", is_flag=True, help="Train anew instead of taking the checkpoints in --out.")
@click.pass_context
def command(ctx: click.Context, out: Path, overwrite: bool, seed: int, fresh: bool) -> None:
    """Figure 1: what an overfitted network erases, gradient descent shows in noise, and energy dissipation keeps.

    Trains two small networks on one walnut phantom (96 x 96, a few minutes; interrupted, it goes on where it was).
    Writes fig1.png, fig1.json (claims, numbers, bars), fig1.csv and the checkpoints to --out. Exit code 3: a claim
    failed.
    """
    from ctrecon.simulation.scanners import walnut_scanner
    from ctrecon.studies.paper.fig1 import Blob, Setting, figure1, train

    check_out(out, "fig1", overwrite=overwrite)
    problem, setting, blob = walnut_scanner(96), Setting(seed=seed), Blob()
    truth = walnut_object(problem, _WALNUT)

    with shown(err=True) as progress:
        networks = train(problem, truth, setting, out, fresh=fresh, progress=progress)
    result = figure1(problem, truth, blob, setting, networks)
    conclude(ctx, result.figure, _picture(result, blob), out)


def _picture(result: Result, blob: Blob) -> Picture:
    from matplotlib.figure import Figure as Picture
    from matplotlib.patches import Circle

    picture = Picture(figsize=(13, 4.1), layout="constrained")
    top = float(next(iter(result.images.values())).max())
    for axes, (title, image), row in zip(
        picture.subplots(1, 4), result.images.items(), result.figure.table, strict=True
    ):
        axes.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=top)
        middle = ((image.shape[-1] - 1) / 2 + blob.right, (image.shape[-2] - 1) / 2 + blob.down)
        axes.add_patch(Circle(middle, 2 * blob.radius, fill=False, color="lime", linewidth=1.2))
        quality = "" if row["psnr_db"] is None else f", {row['psnr_db']:.1f} dB"
        axes.set_title(f"{title}\nblob {row['blob_contrast_share']:z.0%}{quality}", fontsize=10)
        axes.set_axis_off()
    return picture
