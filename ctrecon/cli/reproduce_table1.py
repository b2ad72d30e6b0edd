"""``ctrecon reproduce table1``."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FolderPath
from ctrecon.cli.rows import check_rows, rows_option, write_rows


@click.command("table1", cls=Command, examples=("ctrecon reproduce table1 --data images/ --sets Set5",))
@click.option("--data", type=FolderPath, required=True, help="Folder of images, or the folder that holds --sets.")
@click.option("--sets", multiple=True, metavar="NAME", help="Folders in it; repeatable. Default: the folder itself.")
@click.option("--scale", type=click.IntRange(2, 16), default=4, show_default=True)
@click.option("--prior", default="superres-default", show_default=True, metavar="NAME|FILE")
@click.option("--baseline", metavar="NAME|FILE", help="Trained by train-superres --one-pass, for the baseline's row.")
@rows_option
def command(
    data: Path, sets: tuple[str, ...], scale: int, prior: str, baseline: str | None, output: Path | None,
    overwrite: bool
) -> None:
    """Table 1: super-resolution by gradient descent, a network in one pass, and energy dissipation.

    PSNR and SSIM of the luminance (16 to 235, over 255) of whole images, and without a border of SCALE pixels;
    ||Au - f||^2 summed over the low-resolution pixels. All are means over the images of a set.
    """
    from ctrecon.applications.superresolution.enlarge import load_superresolution_network
    from ctrecon.errors import InputError
    from ctrecon.studies.paper.table1 import methods_of, table

    check_rows(output, overwrite=overwrite)
    folders = [data / name for name in sets] or [data]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; --sets names folders in {data}")
    network = load_superresolution_network(prior, scale)
    other = None if baseline is None else load_superresolution_network(baseline, scale)
    click.echo("| images (objects) | method | PSNR (95% interval) | over the first method | SSIM | PSNR, no border | "
               "SSIM, no border | squared misfit |")
    click.echo("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for row in table(folders, methods_of(network, other), scale):
        rows.append(row.to_dict())
        click.echo(
            f"| {row.images} ({row.count}) | {row.method} | {row.interval.said('.2f')} "
            f"| {row.gain.said('+.2f', difference=True) if row.gain.mean else '0'} | {row.ssim:.4f} "
            f"| {row.psnr_shaved:.2f} | {row.ssim_shaved:.4f} | {row.misfit:.1e} |"
        )
    if output is not None:
        write_rows(output, rows)
