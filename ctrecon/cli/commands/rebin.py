"""Rebin CT projections (DICOM-CT-PD) to fan-beam scans of slices."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FolderPath, overwrite_option, position_option


@click.command("rebin", cls=Command, examples=("ctrecon rebin projections/ -o slices/",))
@click.argument("folder", metavar="FOLDER", type=FolderPath)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder.")
@click.option("--z", "z_mm", type=float, multiple=True, help="A slice, mm; may be given again. Default: --spacing.")
@click.option("--spacing", "spacing_mm", type=float, show_default="a detector row at the axis", help="Of slices, mm.")
@click.option("--span", type=click.Choice(("auto", "full", "short")), default="auto", show_default=True,
              help="A turn, or half of one and the fan, per slice.")
@click.option("--central-column", type=float, help="Counted from 1, instead of the files' own.")
@position_option
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(folder: Path, output: Path, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Rebin the cone-beam projections in FOLDER (DICOM-CT-PD, axial or helical) to fan-beam scans of slices.

    Writes slice_0001.npz and so on, each a scan that `ctrecon reconstruct` reads, and slices.json with their z.
    """
    from ctrecon.support.folders import make_parents, new_folder
    from ctrecon.support.places import check_new_folder

    make_parents(output)
    check_new_folder(output, ours=_is_ours, overwrite=overwrite)
    with new_folder(output, ours=_is_ours, overwrite=overwrite) as partial:
        written = _write(folder, partial, as_json, **options)
    if as_json:
        click.echo(json.dumps({"folder": str(output), "slices": written}, allow_nan=False))
    else:
        click.echo(f"{len(written)} slices in {printable(str(output))}")


@contextlib.contextmanager
def _counting(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Tens of thousands of headers take a minute: on a terminal, say how many are read."""
    from ctrecon.cli.progress import shown
    from ctrecon.support.progress import Progress

    with shown(quiet=quiet) as tell:

        def heard(read: int, there: int) -> None:
            if tell is not None and read and read % 100 == 0:
                tell(Progress(stage="headers", unit="header", done=read, total=there))

        yield heard


def _is_ours(name: str) -> bool:
    return name == "slices.json" or re.fullmatch(r"slice_\d{4,}\.npz", name) is not None


def _write(
    folder: Path, output: Path, as_json: bool, *, z_mm: tuple[float, ...], spacing_mm: float | None, span: Any,
    central_column: float | None, patient_position: str | None,
) -> list[dict[str, Any]]:
    from ctrecon.dicom.raw.projections import read_projections
    from ctrecon.dicom.raw.rebin import rebin, slice_positions
    from ctrecon.errors import SettingError
    from ctrecon.io.write import write_scan

    if z_mm and spacing_mm is not None:
        raise SettingError("--z and --spacing both say where slices are; drop one of them")
    with _counting(quiet=as_json) as progress:
        projections = read_projections(
            folder, central_column=central_column, patient_position=patient_position, progress=progress
        )
    places = z_mm or tuple(slice_positions(projections, spacing_mm=spacing_mm, span=span).tolist())
    written: list[dict[str, Any]] = []
    for k, z in enumerate(places, start=1):
        scan = rebin(projections, z, span=span)
        name = f"slice_{k:04d}.npz"
        write_scan(output / name, scan)
        written.append({"file": name, "z_mm": z, "notes": list(scan.notes)})
        if not as_json:
            click.echo(f"{name}: z = {z:.3f} mm")
    text = {"water_mu_per_mm": projections.common.water_mu_per_mm, "slices": written}
    output.joinpath("slices.json").write_text(json.dumps(text, allow_nan=False) + "\n", encoding="utf-8")
    return written
