"""``ctrecon reconstruct`` of all slices: as one volume, or as one DICOM series."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import EXIT_DELTA_NOT_MET, EXIT_INTERRUPTED
from ctrecon.cli.progress import shown
from ctrecon.cli.reconstruct_one import tell_paths
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.outputs.series import SeriesTarget
    from ctrecon.reconstruction.conclude import Conclusion
    from ctrecon.reconstruction.settings import Settings
    from ctrecon.support.site_key import SiteKey
    from ctrecon.workbench.stack.run import Executor


def to_stack(
    scan: Path, settings: Settings, output: Path, spacing_mm: float | None, *, executor: Executor | None,
    water_mu: float | None, preview: bool, page: Path | None, overwrite: bool, key: SiteKey | None, as_json: bool,
) -> int:
    """Write the volume, or what was done until it was interrupted; the exit code."""
    from ctrecon.workbench.stack.reconstruct import reconstruct_stack

    if page is not None:
        from ctrecon.outputs.report.page import check_place

        check_place(page, scan, overwrite=overwrite)
    lines = InOrder()
    with shown(quiet=as_json) as progress:
        made = reconstruct_stack(
            scan, output, settings, spacing_mm=spacing_mm, water_mu=water_mu, preview=preview, overwrite=overwrite,
            key=key, executor=executor, progress=progress, watch=None if as_json else lines.add,
        )  # fmt: skip
    if made.interrupted:
        click.echo(
            f"ctrecon: interrupted; {len(made.records)} of {made.planned} slices are done and kept: the same command "
            "goes on",
            err=True,
        )
        return EXIT_INTERRUPTED
    written = dict(made.written)
    if page is not None:
        written["report"] = made.report(page, water_mu=water_mu, overwrite=overwrite)
    if as_json:
        told = [{"slice": k, "z_mm": one["z_mm"], **one["facts"]} for k, one in enumerate(made.records, start=1)]
        whole = {"slices": told, "planned": made.planned, "interrupted": made.interrupted,
                 "taken_over": made.taken_over,
                 "written": {what: str(path) for what, path in written.items()}}  # fmt: skip
        click.echo(json.dumps(whole, allow_nan=False))
    else:
        if made.taken_over:
            click.echo(f"note: {made.taken_over} slices were taken over from a run that was cut off")
        assert made.manifest is not None
        for note in made.manifest.notes:
            click.echo(f"note: {printable(note)}")
        tell_paths(written)
        click.echo(f"{made.certified} of {made.planned} slices are certified")
    return 0 if made.certified == made.planned else EXIT_DELTA_NOT_MET


def to_series(
    scan: Path, settings: Settings, series: SeriesTarget, spacing_mm: float | None, *, executor: Executor | None,
    slice_mm: float | None, as_json: bool,
) -> int:
    """Write all slices as a DICOM series, or those that were done when it was interrupted; the exit code."""
    from ctrecon.outputs.series import paths_of_slice
    from ctrecon.support.pooled_notes import pooled_notes
    from ctrecon.workbench.stack.series import reconstruct_series
    from ctrecon.workbench.verdict import facts, verdict

    lines, told, missed, said = InOrder(), list[dict[str, Any]](), list[str](), list[str]()

    def stored(k: int, result: Conclusion) -> None:
        one = facts(result, paths_of_slice(series.folder, k + 1, certified=result.certified))
        told.append({"slice": k + 1, **one, "notes": [*one["notes"], *series.study.notes]})
        if not result.certified:
            missed.append(f"slice {k + 1} as stored: {verdict(result)}")

    with shown(quiet=as_json) as progress:
        made = reconstruct_series(
            scan, series, settings, spacing_mm=spacing_mm, slice_mm=slice_mm, executor=executor, progress=progress,
            watch=None if as_json else lines.add, stored=stored, said=said.append,
        )  # fmt: skip
    lines.rest()
    if made.interrupted:
        click.echo(
            f"ctrecon: interrupted; the series has the {len(made.records)} of {made.planned} slices that were done",
            err=True,
        )
    certified = sum(one["status"] == "certified" for one in told)
    if as_json:
        told = [
            {"z_mm": record["z_mm"], **one, "notes": [*one["notes"], *said]}
            for record, one in zip(made.records, told, strict=True)
        ]
        whole = {"slices": told, "planned": made.planned, "interrupted": made.interrupted}
        click.echo(json.dumps(whole, allow_nan=False))
    else:
        if made.taken_over:
            click.echo(f"note: {made.taken_over} slices were taken over from a run that was cut off")
        for note in (*pooled_notes([one["facts"]["notes"] for one in made.records]), *said):
            click.echo(f"note: {printable(note)}")
        tell_paths(made.written)
        for line in missed:
            click.echo(line)
        click.echo(f"{certified} of {len(told)} slices are certified")
    if made.interrupted:
        return EXIT_INTERRUPTED
    return 0 if certified == len(told) else EXIT_DELTA_NOT_MET


class InOrder:
    """A line for each slice, from the lowest on: a line waits for those before it."""

    def __init__(self) -> None:
        self._next, self._waiting = 0, dict[int, str]()

    def add(self, k: int, record: Mapping[str, Any]) -> None:
        """Slice ``k`` is done."""
        if not self._next and not self._waiting:
            told = record["facts"]
            click.echo(f"delta of each slice: {told['norm']}; {told['delta_from']}")
            if record["grid"] is not None:
                from ctrecon.geometry.as_json import grid_from_dict
                from ctrecon.measurement.units import units_of

                length = units_of(record["length_unit"]).length
                click.echo(f"grid of all slices: {grid_from_dict(record['grid']).said_in(length)}")
        self._waiting[k] = f"slice {k + 1} of {record['of']}, z = {record['z_mm']:.3f} mm: {record['verdict']}"
        while self._next in self._waiting:
            click.echo(self._waiting.pop(self._next))
            self._next += 1

    def rest(self) -> None:
        """What still waits, where slices before it were not done."""
        for k in sorted(self._waiting):
            click.echo(self._waiting.pop(k))
