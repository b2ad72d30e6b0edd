"""``ctrecon reconstruct --all-slices``: a folder of projections as one DICOM series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.main import EXIT_DELTA_NOT_MET, EXIT_INTERRUPTED
from ctrecon.cli.progress import shown
from ctrecon.cli.reconstruct_one import tell_paths
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.outputs.series import SeriesTarget
    from ctrecon.reconstruction.settings import Settings
    from ctrecon.workbench.result import Reconstruction


def to_series(
    folder: Path, settings: Settings, series: SeriesTarget, spacing_mm: float | None, *, slice_mm: float | None,
    as_json: bool,
) -> int:
    """Write all slices, or those that were done when it was interrupted; the exit code."""
    from ctrecon.outputs.series import paths_of_slice
    from ctrecon.reconstruction.journal import Journal, beside
    from ctrecon.support.pooled_notes import pooled_notes
    from ctrecon.workbench.slices import reconstruct_slices
    from ctrecon.workbench.verdict import facts, verdict

    said: list[str] = []
    journal = Journal(beside(series.folder.resolve()))

    def done(item: str, result: Reconstruction) -> None:
        if not as_json:
            if not said:
                _say_once(result)
            said.append(f"{item}: {verdict(result.conclusion)}")
            click.echo(said[-1])

    with shown(quiet=as_json) as progress:
        made = reconstruct_slices(
            folder, settings, spacing_mm=spacing_mm, progress=progress, watch=done, journal=journal,
        )  # fmt: skip
    if journal.recalled and not as_json:
        click.echo(f"note: {journal.recalled} slices were taken over from a run that was cut off")
    if not as_json:
        for note in pooled_notes([result.scan.notes for result in made.results]):
            click.echo(f"note: {printable(note)}")
    if made.interrupted:
        click.echo(
            f"ctrecon: interrupted; the series has the {len(made.results)} of {made.planned} slices that were done",
            err=True,
        )
    stored, written = series.write(
        [result.conclusion for result in made.results], method=settings.method, iterative=settings.method != "fbp",
        z_mm=made.z_mm, thickness_mm=slice_mm,
    )  # fmt: skip
    if not made.interrupted:
        journal.remove()
    certified = sum(result.certified for result in stored)
    if as_json:
        told = []
        for k, (z, result) in enumerate(zip(made.z_mm, stored, strict=True), start=1):
            one = facts(result, paths_of_slice(series.folder, k, certified=result.certified))
            told.append({"slice": k, "z_mm": z, **one, "notes": [*one["notes"], *series.study.notes]})
        whole = {"slices": told, "planned": made.planned, "interrupted": made.interrupted}
        click.echo(json.dumps(whole, allow_nan=False))
    else:
        tell_paths(written)
        for k, result in enumerate(stored, start=1):
            if not result.certified:
                click.echo(f"slice {k} as stored: {verdict(result)}")
        click.echo(f"{certified} of {len(stored)} slices are certified")
    if made.interrupted:
        return EXIT_INTERRUPTED
    return 0 if certified == len(stored) else EXIT_DELTA_NOT_MET


def _say_once(first: Reconstruction) -> None:
    grid = first.scan.grid
    click.echo(f"delta of each slice: {first.delta.norm}; {first.delta.how}")
    if grid is not None:
        click.echo(f"grid of all slices: {grid.said_in(first.scan.units.length)}")
