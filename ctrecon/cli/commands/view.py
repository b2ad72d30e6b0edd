"""Look at a folder: list, compare, play slices, open reports."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import ScanPath


@click.command("view", cls=Command, examples=("ctrecon view results/", "ctrecon view volume.zarr --napari"))
@click.argument("place", metavar="[PLACE]", type=ScanPath, default=".")
@click.option("--port", type=click.IntRange(1, 65535), help="On 127.0.0.1. Default: a free one.")
@click.option("--browser/--no-browser", default=True, help="Open the page in your browser. Default: do.")
@click.option(
    "--water-mu", type=click.FloatRange(min=0, min_open=True, max=1e3), metavar="PER_MM",
    help="Attenuation of water in 1/mm, for HU. Default: 0.02 where that can be.",
)  # fmt: skip
@click.option("--napari", is_flag=True, help="Open PLACE, a volume with evidence, in napari, where it is installed.")
def command(place: Path, port: int | None, browser: bool, water_mu: float | None, napari: bool) -> None:
    """Look at scans, reconstructions, volumes, series and reports of a folder, on a page of this machine alone.

    PLACE is a folder, by default this one, or a file, a store or a series in one, which is shown first. The page lists
    what is there, compares two images with linked zoom and their difference, plays slices, opens reports and runs the
    checker. Nothing leaves the machine, and nothing is written. Ctrl-C ends it.
    """
    if napari:
        _napari(place)
        return
    from ctrecon.workbench.desk.open import open_desk, shown_in_browser

    with open_desk(place, port=port or 0, water_mu_per_mm=water_mu) as server:
        url = server.guard.url
        click.echo(url)
        click.echo(
            f"{printable(str(server.desk.index.folder))}, for you alone: keep the address to yourself. Ctrl-C ends it.",
            err=True,
        )
        with shown_in_browser(url) if browser else nullcontext():
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                click.echo("ended", err=True)


def _napari(volume: Path) -> None:
    from ctrecon.errors import InputError
    from ctrecon.outputs.stack.lookup import stack_of
    from ctrecon.workbench.view import view_in_napari

    found = stack_of(volume)
    if found is None:
        raise InputError(f"{volume}: is no volume with its evidence; reconstruct one with -o NAME.zarr")
    view_in_napari(*found)
