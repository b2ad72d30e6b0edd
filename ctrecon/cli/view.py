"""``ctrecon view``."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import ScanPath


@click.command("view", cls=Command, examples=("ctrecon view volume.nii.gz",))
@click.argument("volume", metavar="VOLUME", type=ScanPath)
def command(volume: Path) -> None:
    """Look at a reconstructed VOLUME (.zarr, .tif, .h5, .nii.gz with its evidence) in napari, where it is installed.

    Nothing is checked here: `ctrecon verify` does that, and `ctrecon report` makes a page that any browser opens.
    """
    from ctrecon.errors import InputError
    from ctrecon.outputs.stack.lookup import stack_of
    from ctrecon.workbench.view import view_in_napari

    found = stack_of(volume)
    if found is None:
        raise InputError(f"{volume}: is no volume with its evidence; reconstruct one with -o NAME.zarr")
    view_in_napari(*found)
