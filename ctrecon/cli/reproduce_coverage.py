"""``ctrecon reproduce coverage``."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.rows import check_rows, rows_option, write_rows


@click.command("coverage")
@click.option("--scans", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--size", type=click.IntRange(16, 1024), default=164, show_default=True, help="Detector cells.")
@click.option("--views", type=click.IntRange(1, 4096), default=120, show_default=True)
@click.option("--thickest", type=float, default=4.0, show_default=True, help="Largest line integral of the object.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@rows_option
def command(
    scans: int, size: int, views: int, thickest: float, seed: int, output: Path | None, overwrite: bool,
) -> None:
    """How often the true image lies within the delta of each quantile, over many noisy scans of one chest phantom."""
    import numpy as np

    from ctrecon.errors import SettingError
    from ctrecon.geometry.grid import field_of_view_mm
    from ctrecon.phantoms import FAMILIES
    from ctrecon.simulation.simulate import standard_scanner
    from ctrecon.studies.paper.coverage import coverage

    check_rows(output, overwrite=overwrite)
    if not 0 < thickest <= 10:
        raise SettingError(f"--thickest must be a number above 0 and at most 10, got {thickest}")
    geometry, _ = standard_scanner("fan", size, views)
    chest = next(family for family in FAMILIES if family.name == "chest")
    phantom = chest.sample(np.random.default_rng(seed)).scaled(0.45 * field_of_view_mm(geometry), 0.02)
    sinogram = phantom.sinogram(geometry)
    sinogram *= thickest / sinogram.max()
    click.echo("| noise | delta from | q | true image within delta | delta / residual of the true image |")
    click.echo("| --- | --- | ---: | ---: | ---: |")
    rows = []
    for row in coverage(sinogram, geometry, scans=scans, seed=seed):
        rows.append(row.to_dict())
        click.echo(
            f"| {row.noise} | {row.delta} | {row.quantile:g} | {row.within:.1%} | {row.mean_delta_over_residual:.4f} |"
        )
    if output is not None:
        write_rows(output, rows)
