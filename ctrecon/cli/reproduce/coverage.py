"""Delta: how often the true image lies within it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.rows import check_rows, rows_option, write_rows


@click.command("coverage", cls=Command, examples=("ctrecon reproduce coverage --scans 12",))
@click.option("--scans", type=click.IntRange(min=1), show_default="36; 400 with --noise-alone", help="Objects.")
@click.option("--size", "sizes", type=click.IntRange(16, 1024), multiple=True, show_default="48, 96, 160, 256")
@click.option("--views", "views", type=click.IntRange(1, 4096), multiple=True, show_default="30, 90, 180, 360")
@click.option("--thickest", type=float, show_default="3; 4 with --noise-alone", help="Largest line integral.")
@click.option("--model-error", default="auto", show_default=True, help="As of ctrecon reconstruct.")
@click.option("--faults/--no-faults", default=True, show_default=True, help="Also scanners that are not as assumed.")
@click.option("--strangers", is_flag=True, help="Objects and scanners that nothing was designed on, harder noise.")
@click.option("--noise-alone", is_flag=True, help="The part of delta for noise, at four quantiles, of one phantom.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@rows_option
def command(
    scans: int | None, sizes: tuple[int, ...], views: tuple[int, ...], thickest: float | None, model_error: str,
    faults: bool, strangers: bool, noise_alone: bool, seed: int, output: Path | None, overwrite: bool,
) -> None:
    """How often the true image meets --delta auto at 95%: six families of phantoms with exact line integrals.

    --size and --views may be given several times; objects, beams, sizes and views change from scan to scan, and every
    noise sees them all. Intervals are of 95%.
    """
    from ctrecon.errors import SettingError

    check_rows(output, overwrite=overwrite)
    if thickest is not None and not 0 < thickest <= 10:
        raise SettingError(f"--thickest must be a number above 0 and at most 10, got {thickest}")
    if noise_alone:
        if len(sizes) > 1 or len(views) > 1:
            raise SettingError("--noise-alone takes one --size and one --views; drop the others")
        size, number = (sizes or (164,))[0], (views or (120,))[0]
        rows = list(_noise_alone(scans or 400, size, number, thickest or 4.0, seed))
    else:
        rows = _of_the_image(
            scans or 36, sizes, views, thickest or 3.0, model_error, faults, strangers, seed
        )
    if output is not None:
        write_rows(output, rows)


def _of_the_image(
    scans: int, sizes: tuple[int, ...], views: tuple[int, ...], thickest: float, model_error: str, faults: bool,
    strange: bool, seed: int,
) -> list[dict[str, Any]]:
    from ctrecon.cli.progress import shown
    from ctrecon.studies.paper.image_coverage import HARDER, NOISES, Measured, measure_all, objects, shares
    from ctrecon.studies.paper.strangers import SIZES, VIEWS, strangers
    from ctrecon.support.progress import Progress

    found: list[Measured] = []
    with shown(err=True) as tell:
        if strange:
            every = strangers(scans, sizes=sizes or SIZES, views=views or VIEWS, seed=seed, thickest=thickest)
        else:
            sizes, views = sizes or (48, 96, 160, 256), views or (30, 90, 180, 360)
            every = objects(scans, sizes=sizes, views=views, seed=seed, thickest=thickest)
        noises, faults = (HARDER, False) if strange else (NOISES, faults)
        for k, one in enumerate(every):
            found += measure_all(one, seed + k, noises=noises, model_error=model_error, faults=faults)
            if tell is not None:
                tell(Progress(stage="coverage", unit="object", done=k + 1, total=scans))
    click.echo("| scans of | n | true image meets delta | interval | delta / its residual: median | largest |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in shares(found):
        click.echo(
            f"| {row.of} | {row.scans} | {row.within:.1%} | {row.low:.1%} to {row.high:.1%} | {row.median_ratio:.3f} "
            f"| {row.largest_ratio:.3f} |"
        )
    return [one.to_dict() for one in found]


def _noise_alone(scans: int, size: int, views: int, thickest: float, seed: int) -> Iterator[dict[str, Any]]:
    import numpy as np

    from ctrecon.geometry.field_of_view import field_of_view_mm
    from ctrecon.phantoms import FAMILIES
    from ctrecon.simulation.simulate import standard_scanner
    from ctrecon.studies.paper.coverage import coverage

    geometry, _ = standard_scanner("fan", size, views)
    chest = next(family for family in FAMILIES if family.name == "chest")
    phantom = chest.sample(np.random.default_rng(seed)).scaled(0.45 * field_of_view_mm(geometry), 0.02)
    sinogram = phantom.sinogram(geometry)
    sinogram *= thickest / sinogram.max()
    click.echo("| noise | delta from | q | noise within delta | delta / noise |")
    click.echo("| --- | --- | ---: | ---: | ---: |")
    for row in coverage(sinogram, geometry, scans=scans, seed=seed):
        click.echo(
            f"| {row.noise} | {row.delta} | {row.quantile:g} | {row.within:.1%} | {row.mean_delta_over_residual:.4f} |"
        )
        yield row.to_dict()
