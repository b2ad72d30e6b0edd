"""``ctrecon info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.main import printable
from ctrecon.cli.options import ScanPath, scan_options


@click.command("info")
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
def command(scan_file: Path, as_json: bool, **options: Any) -> None:
    """Say what INPUT holds, in which geometry, how noisy it is, and what had to be assumed.

    INPUT is a scan file or a folder of CT projections.
    """
    from ctrecon.io.arrays import read_scan

    facts = _facts(read_scan(scan_file, **options))
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))
        return
    for name, value in facts.items():
        if name not in ("notes", "doubts"):
            click.echo(f"{name.replace('_', ' '):>28}: {printable(str(value))}")
    for doubt in facts["doubts"]:
        click.echo(f"{'in doubt':>28}: {printable(doubt)} (see ctrecon diagnose)")
    for note in facts["notes"]:
        click.echo(f"{'note':>28}: {printable(note)}")


def _facts(scan: Any) -> dict[str, Any]:
    import numpy as np

    from ctrecon.diagnosis.doubts import doubts_about
    from ctrecon.errors import CtreconError
    from ctrecon.geometry.grid import field_of_view_mm
    from ctrecon.measurement.delta import delta_for

    facts: dict[str, Any] = {
        "file": scan.source,
        "views": scan.sinogram.shape[0],
        "detectors": scan.sinogram.shape[1],
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
        facts[scan.units.named("field_of_view_mm")] = round(field_of_view_mm(geometry), 4)
        grid = scan.with_grid().grid
        facts["image"] = grid.said_in(scan.units.length)
    try:
        delta = delta_for(scan, "auto")
        facts["delta_auto"] = f"{delta.value:.6g} ({delta.norm}; {delta.how})"
    except CtreconError as why:
        facts["delta_auto"] = f"none: {why}"
    doubts = doubts_about(scan, met=True)
    facts["doubts"] = [] if doubts is None else doubts.lines()
    facts["notes"] = list(scan.notes)
    return facts
