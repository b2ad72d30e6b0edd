"""Super-resolution: PSNR, SSIM, and what is left of the residual."""

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
@click.option("--ways", is_flag=True, help="Instead: nearest up-sampling by several ways of evaluation.")
@rows_option
def command(
    data: Path, sets: tuple[str, ...], scale: int, prior: str, baseline: str | None, ways: bool,
    output: Path | None, overwrite: bool
) -> None:
    """Table 1: super-resolution by gradient descent, a network in one pass, and energy dissipation.

    PSNR and SSIM of the luminance (16 to 235, over 255) of whole images, and without a border of SCALE pixels;
    ||Au - f||^2 summed over the low-resolution pixels. All are means over the images of a set. What compares with the
    paper is the gain over gradient descent, for sets of its names; --ways shows how its own PSNR moves with the way of
    evaluation, which no method has a part in.
    """
    from ctrecon.applications.superresolution.enlarge import load_superresolution_network
    from ctrecon.errors import InputError
    from ctrecon.studies.paper.table1 import PAPER_GAIN_DB, methods_of, table

    check_rows(output, overwrite=overwrite)
    folders = [data / name for name in sets] or [data]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; --sets names folders in {data}")
    if ways:
        _print_ways(folders, scale, output)
        return
    network = load_superresolution_network(prior, scale)
    other = None if baseline is None else load_superresolution_network(baseline, scale)
    click.echo("| images (objects) | method | PSNR (95% interval) | over the first method | the paper's gain | SSIM | "
               "PSNR, no border | SSIM, no border | squared misfit |")
    click.echo("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for row in table(folders, methods_of(network, other), scale):
        rows.append(row.to_dict())
        paper = PAPER_GAIN_DB.get(row.images) if scale == 4 and row.method.startswith("energy dissipation") else None
        click.echo(
            f"| {row.images} ({row.count}) | {row.method} | {row.interval.said('.2f')} "
            f"| {row.gain.said('+.2f', difference=True) if row.gain.mean else '0'} "
            f"| {'' if paper is None else f'{paper:+.2f}'} | {row.ssim:.4f} "
            f"| {row.psnr_shaved:.2f} | {row.ssim_shaved:.4f} | {row.misfit:.1e} |"
        )
    if output is not None:
        write_rows(output, rows)


def _print_ways(folders: list[Path], scale: int, output: Path | None) -> None:
    from ctrecon.studies.paper.evaluations import ways

    click.echo("| images | channels | border left out | PSNR of nearest up-sampling (95% interval) |")
    click.echo("| --- | --- | ---: | ---: |")
    rows = [way for folder in folders for way in ways(folder, scale)]
    for way in rows:
        click.echo(f"| {way.images} ({way.psnr.images}) | {way.channels} | {way.border} | {way.psnr.said('.2f')} |")
    if output is not None:
        write_rows(output, [way.to_dict() for way in rows])
