"""Say what a scan file holds and what is assumed of it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option, scan_options

_WIDE, _TALL = 72, 44
"""Of the thumbnail, in cells and views; two views go to a line."""


@click.command("info", cls=Command, examples=("ctrecon info scan.npz",))
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.option("--thumbnail/--no-thumbnail", default=None, help="Show the sinogram. Default: on a terminal.")
@click.option("--png", type=FilePath, help="Also write the sinogram as a picture.")
@click.option("--picture", type=FilePath, help="Also draw the geometry: the source's way, detector, grid, axes (.png).")
@overwrite_option
@scan_options
def command(
    scan_file: Path, as_json: bool, thumbnail: bool | None, png: Path | None, picture: Path | None, overwrite: bool,
    **options: Any,
) -> None:
    """Say what INPUT holds, in which geometry, how noisy it is, what is implausible, and what had to be assumed.

    INPUT is a scan file or a folder of projections. On a terminal the sinogram is shown, too, views from top to bottom,
    missing rays red.
    """
    from ctrecon.errors import OutputError
    from ctrecon.io.arrays import read_scan
    from ctrecon.support.places import check_places

    for place in (png, picture):
        if place is not None and place.suffix.lower() != ".png":
            raise OutputError(f"{place} must end in .png; give another name")
    check_places([one for one in (png, picture) if one is not None], overwrite=overwrite, inputs=[scan_file])
    scan = read_scan(scan_file, **options)
    facts = _facts(scan)
    if png is not None:
        from ctrecon.outputs.thumbnail import write_thumbnail

        write_thumbnail(png, scan)
        facts["picture"] = str(png)
    if picture is not None:
        from ctrecon.outputs.geometry_picture import write_geometry

        write_geometry(picture, scan)
        facts["geometry_picture"] = str(picture)
    if not as_json and (thumbnail or (thumbnail is None and sys.stdout.isatty())):
        _show(scan)
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))
        return
    if scan.in_mm:
        facts["water_1_per_mm"] = "{:g} ({})".format(*scan.water())
    for name, value in facts.items():
        if name not in ("notes", "doubts", "implausible", "axis_curve"):
            said = ("no", "yes")[value] if isinstance(value, bool) else str(value)
            click.echo(f"{name.replace('_', ' '):>28}: {printable(said)}")
    for one in facts["implausible"]:
        click.echo(f"{'implausible':>28}: {printable(one)}")
    for doubt in facts["doubts"]:
        click.echo(f"{'in doubt':>28}: {printable(doubt)} (see ctrecon diagnose)")
    for note in facts["notes"]:
        click.echo(f"{'note':>28}: {printable(note)}")


def _show(scan: Any) -> None:
    """The sinogram on the terminal, in as many colours as it has."""
    from ctrecon.outputs.thumbnail import as_text, thumbnail

    columns = min(shutil.get_terminal_size().columns, _WIDE)
    click.echo(as_text(thumbnail(scan, rows=_TALL, columns=columns)), color=True)


def _facts(scan: Any) -> dict[str, Any]:
    import numpy as np

    from ctrecon.diagnosis.doubts import doubts_about
    from ctrecon.errors import CtreconError
    from ctrecon.geometry.field_of_view import covered_mm
    from ctrecon.measurement.center import estimate_center
    from ctrecon.measurement.delta import delta_for
    from ctrecon.measurement.implausible import implausible

    facts: dict[str, Any] = {
        "file": scan.source,
        "views": scan.sinogram.shape[0],
        "detectors": scan.sinogram.shape[-1],
        **({"detector_rows": scan.sinogram.shape[1]} if scan.sinogram.ndim == 3 else {}),
        "values": f"{scan.sinogram.dtype}, from {scan.sinogram.min():.4g} to {scan.sinogram.max():.4g}",
        "norm_of_f": float(np.linalg.norm(scan.sinogram)),
        "length_unit": scan.length_unit,
        "from_counts": scan.variance is not None,
    }
    if scan.in_mm:
        facts["water_1_per_mm"] = scan.water_mu_per_mm
    geometry = scan.geometry
    if geometry is None:
        facts["geometry"] = f"the file's own matrix, {scan.matrix.shape[0]} x {scan.matrix.shape[1]}"
    else:
        values, orbit = geometry.to_dict(), geometry.orbit
        values.pop("angles_rad", None)
        for name, listed in values.items():
            spread = f"from {np.min(listed):.6g} to {np.max(listed):.6g}" if isinstance(listed, list) else listed
            facts[scan.units.named(name)] = spread
        if orbit is not None:
            angles = np.rad2deg(np.asarray(orbit.angles_rad))
            facts["angles_deg"] = f"{angles[0]:.4g} to {angles[-1]:.4g}, {angles.size} of them"
        facts[scan.units.named("field_of_view_mm")] = round(covered_mm(geometry), 4)
        grid = scan.with_grid().grid
        facts["image"] = grid.said_in(scan.units.length)
    try:
        delta = delta_for(scan, "auto")
        facts["delta_auto"] = f"{delta.value:.6g} ({delta.norm}; {delta.how})"
    except CtreconError as why:
        facts["delta_auto"] = f"none: {why}"
    try:
        axis = None if geometry is None or scan.in_space else estimate_center(scan.sinogram, geometry)
    except CtreconError:
        axis = None
    if axis is not None:
        facts["axis_by_the_data"] = str(axis)
        facts["axis_curve"] = {"columns": list(axis.columns), "misfits": list(axis.misfits)}
    doubts = doubts_about(scan, met=True)
    facts["implausible"] = implausible(scan)
    facts["doubts"] = [] if doubts is None else doubts.lines()
    facts["notes"] = list(scan.notes)
    return facts
