"""Write the projections of a phantom as DICOM-CT-PD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import overwrite_option

POSITIONS = ("HFS", "FFS", "HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")
MODES = ("FFSNONE", "FFSZ", "FFSXY", "FFSXYZ")


@click.command("synthesise-projections", cls=Command, examples=("ctrecon synthesise-projections -o projections/",))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder.")
@click.option("--rows", type=click.IntRange(1, 1024), default=64, show_default=True, help="Detector rows.")
@click.option("--columns", type=click.IntRange(8, 4096), default=184, show_default=True, help="Detector columns.")
@click.option("--per-turn", type=click.IntRange(8, 10_000), default=288, show_default=True, help="Views in a turn.")
@click.option("--turns", type=float, default=3.0, show_default=True)
@click.option("--feed", "feed_mm", type=float, default=23.0, show_default=True, help="Table, mm a turn; 0: axial.")
@click.option("--flying", type=click.Choice(MODES), default="FFSZ", show_default=True, help="How the focal spot flies.")
@click.option("--photons", type=float, help="Poisson noise with so many photons per ray.")
@click.option("--ball", "ball_hu", type=float, help="Also a ball of 30 mm at the centre, in HU above water.")
@click.option("--markers", is_flag=True, help="Instead: balls at the patient's right, front and head.")
@click.option("--patient-position", type=click.Choice(POSITIONS), default="FFS", show_default=True,
              help="How the patient lay.")
@click.option("--explicit", is_flag=True, help="Explicit VR. Default: implicit, private values come as bytes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    output: Path, ball_hu: float | None, markers: bool, explicit: bool, seed: int, overwrite: bool, as_json: bool,
    **options: Any,
) -> None:
    """Write the projections of a water phantom with inserts as a DICOM-CT-PD scan, to try the way from raw data.

    The phantom is a water cylinder of 200 mm with inserts of 40 mm at +100, -150, +300 and +50 HU; its line integrals
    are exact. The middle of the scan is at z = 0. With --markers, the inserts are balls of 30 mm, +900 HU at the
    patient's right, +600 HU in front and, 20 mm towards the head, +300 HU at the axis.
    """
    from ctrecon.dicom.raw.synthesise import Protocol, axes_phantom, synthesise, water_phantom
    from ctrecon.errors import SettingError

    if markers and ball_hu is not None:
        raise SettingError("--markers and --ball are two phantoms; drop one of them")
    if not 0 <= options["feed_mm"] <= 1000:
        raise SettingError(f"--feed must be from 0 to 1000 mm, got {options['feed_mm']:g}")
    # The detector spans the same fan, and the axis the same height, however many cells there are.
    scanner = Protocol()
    pitch = scanner.column_pitch_mm * scanner.columns / options["columns"]
    length = options["turns"] * options["feed_mm"]
    protocol = Protocol(column_pitch_mm=pitch, first_z_mm=-length / 2, **options)
    body = axes_phantom() if markers else water_phantom(ball_hu=ball_hu)
    count = synthesise(output, body, protocol, seed=seed, implicit=not explicit, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps({"folder": str(output), "projections": count}))
    else:
        click.echo(f"{count} projections in {printable(str(output))}")
