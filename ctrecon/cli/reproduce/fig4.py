"""PSNR and data term over the iterations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.figures import check_out, conclude, out_option, seed_option
from ctrecon.cli.help import Command
from ctrecon.cli.objects import slice_object, walnut_object
from ctrecon.cli.options import FilePath, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Picture

    from ctrecon.studies.paper.fig4 import Curve


@click.command("fig4", cls=Command, examples=("ctrecon reproduce fig4 --out figures/",))
@out_option
@seed_option
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE")
@click.option("--slice", "slice_file", type=FilePath, help="A DICOM CT slice instead of the walnut phantom.")
@click.option("--size", type=click.IntRange(32, 1024), default=164, show_default=True)
@click.option("--views", type=click.IntRange(min=3), default=120, show_default=True)
@click.option("--noise", type=percent, multiple=True, default=("1%", "3%"), show_default=True)
@click.option("--iterations", type=click.IntRange(min=10), default=100, show_default=True)
@click.pass_context
def command(
    ctx: click.Context, out: Path, overwrite: bool, seed: int, prior: str, slice_file: Path | None, size: int,
    views: int,
    noise: tuple[float, ...], iterations: int,
) -> None:
    """Figure 4: PSNR and data term over the iterations, on plain and on regularised energies.

    The paper's scanner, and a walnut phantom of a family that no shipped network was trained on. Writes fig4.png,
    fig4.json (claims, numbers, bars), fig4.csv (every point of every curve) to --out. Exit code 3: a claim failed.
    """
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.simulation.scanners import walnut_scanner
    from ctrecon.studies.paper.fig4 import curves, figure4

    check_out(out, "fig4", overwrite=overwrite)
    problem = walnut_scanner(size, views)
    truth = walnut_object(problem, seed) if slice_file is None else slice_object(slice_file, problem)
    network, _ = load_ct_network(prior)

    def tell(curve: Curve) -> None:
        click.echo(
            f"{curve.level:.1%} noise, {curve.name}: peak {max(curve.psnr):.2f} dB at iteration {curve.peak}, "
            f"{curve.psnr[-1]:.2f} dB at the end", err=True,
        )

    found = curves(network, problem, truth, levels=noise, iterations=iterations, seed=seed, watch=tell)
    settings: dict[str, Any] = {
        "prior": prior, "object": "walnut phantom" if slice_file is None else slice_file.name, "size": size,
        "views": views, "noise": list(noise), "iterations": iterations, "seed": seed,
    }
    conclude(ctx, figure4(found, settings), _picture(found), out)


def _picture(found: Sequence[Curve]) -> Picture:
    """A row per noise level: PSNR and data term; solid with the network, dashed without, dotted minimisers."""
    from matplotlib.figure import Figure as Picture

    levels = list(dict.fromkeys(curve.level for curve in found))
    energies = list(dict.fromkeys(curve.energy for curve in found))
    picture = Picture(figsize=(11, 3.9 * len(levels)), layout="constrained")
    panels = picture.subplots(len(levels), 2, squeeze=False)
    for curve in found:
        left, right = panels[levels.index(curve.level)]
        style: dict[str, Any] = {
            "color": f"C{energies.index(curve.energy)}", "linestyle": "-" if curve.network else "--", "linewidth": 1.4,
        }
        left.plot(curve.psnr, label=curve.name, **style)
        right.semilogy(curve.data_term, **style)
        if curve.network and curve.minimizer_psnr is not None:
            left.axhline(curve.minimizer_psnr, color=style["color"], linestyle=":", linewidth=1)
    for level, (left, right) in zip(levels, panels, strict=True):
        top = max(max(curve.psnr) for curve in found if curve.level == level)
        left.set(title=f"{level:.1%} noise: PSNR", xlabel="iteration", ylabel="dB", ylim=(top - 18, top + 1))
        right.set(title=f"{level:.1%} noise: data term", xlabel="iteration", ylabel=r"$\frac{1}{2}\|Au - f\|^2$")
        lowest = min(min(curve.data_term) for curve in found if curve.level == level)
        right.set_ylim(lowest / 2, lowest * 2e3)
    # Where no curve is: the data terms have all fallen by then.
    panels[0, 1].legend(*panels[0, 0].get_legend_handles_labels(), fontsize=7, loc="upper right")
    return picture
