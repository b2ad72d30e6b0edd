"""All slices of a folder of projections for ``ctrecon reconstruct --all-slices``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import printable
from ctrecon.cli.reconstruct_said import verdict

if TYPE_CHECKING:
    from ctrecon.reconstruction.conclude import Reconstruction


def all_slices(
    folder: Path, options: dict[str, Any], one: Callable[..., Reconstruction], *, quiet: bool
) -> tuple[list[float], list[Reconstruction]]:
    """Where the slices are, in mm, and their images on one grid; says a line of each as it is done.

    ``one`` reconstructs a scan. Raises InputError, SettingError.
    """
    from ctrecon.dicom.raw.projections import read_projections
    from ctrecon.dicom.raw.rebin import rebin, slice_positions
    from ctrecon.errors import SettingError
    from ctrecon.support.pooled_notes import pooled_notes

    if any(options[name] is not None for name in ("geometry", "row", "center")):
        raise SettingError(f"{folder}: projections bring their own geometry; drop --geometry, --row and --center")
    projections = read_projections(folder)
    places = [float(z) for z in slice_positions(projections, spacing_mm=options["spacing"])]
    results: list[Reconstruction] = []
    for k, z in enumerate(places, start=1):
        title, began = f"slice {k} of {len(places)}, z = {z:.3f} mm", time.monotonic()
        scan = rebin(projections, z).every(options["every"])
        if results:
            # One grid for all, though a flying focal spot changes the field of view a little from slice to slice.
            scan = replace(scan, grid=results[0].problem.grid, image_shape=None)
        else:
            scan = scan.with_grid(size=options["size"], pixel_mm=options["pixel_mm"])
        # Each has its own angles, so a matrix would serve one slice alone.
        results.append(one(scan, started=began, title=title, uses="few"))
        if not quiet:
            if k == 1:
                _say_once(results[0])
            click.echo(f"{title}: {verdict(results[-1], options['method'])}")
    if not quiet:
        for note in pooled_notes([result.problem.scan.notes for result in results]):
            click.echo(f"note: {printable(note)}")
    return places, results


def _say_once(first: Reconstruction) -> None:
    delta, grid = first.problem.delta, first.problem.grid
    click.echo(f"delta of each slice: {delta.norm}; {delta.how}")
    if grid is not None:
        click.echo(f"grid of all slices: {grid.said}")
