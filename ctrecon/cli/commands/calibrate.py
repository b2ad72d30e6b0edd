"""Find how each view stood, from the data themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option, scan_options
from ctrecon.cli.progress import shown
from ctrecon.support.text import printable


@click.command(
    "calibrate", cls=Command,
    examples=(
        "ctrecon calibrate scan.npz -o calibrated.npz",
        "ctrecon calibrate scan.npz --distances --turn -o calibrated.npz",
    ),
)  # fmt: skip
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option("-o", "--output", type=FilePath, help="NAME.npz. Default: INPUT.calibrated.npz.")
@click.option("--distances", is_flag=True, help="Find the source's distance in each view, too.")
@click.option("--turn", is_flag=True, help="Find by how much the detector is turned about its middle, too.")
@click.option("--no-shifts", is_flag=True, help="Leave the detector where it is along itself.")
@click.option("--rounds", type=int, default=8, show_default=True, help="The most steps.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
def command(
    scan_file: Path, output: Path | None, distances: bool, turn: bool, no_shifts: bool, rounds: int, overwrite: bool,
    as_json: bool, **options: Any,
) -> None:
    """Find how each view of INPUT stood from the data themselves, and write the scan with that geometry.

    Shifts of the detector in each view (an axis that is off or wobbles, jitter, a motor that slips) are found together
    with an image. What only moves the object, no data tell. `ctrecon reconstruct` reads what is written.
    """
    from ctrecon.errors import OutputError
    from ctrecon.io.arrays import read_scan
    from ctrecon.io.write import write_scan
    from ctrecon.support.places import check_places
    from ctrecon.workbench.calibrate import calibrate

    place = output or Path(f"{scan_file.name.removesuffix(scan_file.suffix)}.calibrated.npz")
    if place.suffix.lower() != ".npz":
        raise OutputError(f"{place} must end in .npz; give another name")
    check_places([place], overwrite=overwrite, inputs=[scan_file])
    chosen = {"shifts": not no_shifts, "distances": distances, "turn": turn}
    with shown(quiet=as_json) as progress:
        what = [name for name, wanted in chosen.items() if wanted]
        found = calibrate(read_scan(scan_file, **options), what, rounds=rounds, progress=progress)
    write_scan(place, found.scan)
    if as_json:
        click.echo(json.dumps(found.to_dict() | {"scan": str(place)}, allow_nan=False))
        return
    click.echo(printable(str(found)))
    click.echo(f"written: {printable(str(place))}")
