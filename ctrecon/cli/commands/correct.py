"""Correct a scan: rings, zingers, flicker, scatter and more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option
from ctrecon.corrections import all_corrections

F = TypeVar("F", bound=Callable[..., Any])


def _each_correction(function: F) -> F:
    for name, said in reversed(all_corrections().items()):
        function = click.option(f"--{name}", f"do_{name}", is_flag=True, help=said)(function)
    return function


@click.command("correct", cls=Command, examples=("ctrecon correct scan.npz --zingers --rings -o clean.npz",))
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="NAME.npz.")
@_each_correction
@click.option("--set", "numbers", metavar="NAME.KEY=NUMBER", multiple=True,
              help="A number of a correction, such as scatter.share=0.02; may be given again.")
@click.option("--geometry", type=FilePath, metavar="FILE|parallel-180|parallel-360", help="As for reconstruct.")
@click.option("--row", type=int, help="Detector row of a file with several. Default: the middle one.")
@click.option("--z", "z_mm", type=float, help="Slice of a folder of projections, mm. Default: the middle.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    scan_file: Path, output: Path, numbers: tuple[str, ...], overwrite: bool, as_json: bool, geometry: Path | None,
    row: int | None, z_mm: float | None, **chosen: bool,
) -> None:
    """Correct the scan INPUT and write it anew, with a note on what was done.

    The corrections are applied in the order of this list, whatever the order in the line. `ctrecon reconstruct
    --correct NAME,NAME` does the same on the way to an image.
    """
    from ctrecon.corrections import corrected
    from ctrecon.io.arrays import read_scan
    from ctrecon.io.write import write_scan
    from ctrecon.support.places import check_places

    wanted = _wanted([name for name in all_corrections() if chosen[f"do_{name}"]], numbers)
    if output.suffix != ".npz":
        raise click.UsageError(f"-o must name a file NAME.npz, got {output.name}")
    check_places([output], overwrite=overwrite, inputs=[scan_file])
    before = read_scan(scan_file, geometry=geometry, row=row, z_mm=z_mm)
    after = corrected(before, wanted)
    write_scan(output, after)
    said = after.notes[len(before.notes) :]
    if as_json:
        click.echo(json.dumps({"scan": str(output), "corrections": list(wanted), "notes": list(said)}))
        return
    for note in said:
        click.echo(printable(note))
    click.echo(f"written: {printable(str(output))}")


def _wanted(names: list[str], numbers: tuple[str, ...]) -> str:
    """As ``Settings.correct`` says it."""
    if not names:
        raise click.UsageError("name at least one correction, such as --zingers")
    given: dict[str, list[str]] = {name: [] for name in names}
    for one in numbers:
        name, _, rest = one.partition(".")
        if name not in given:
            raise click.UsageError(f"--set {one}: {name} is none of the corrections asked for; add --{name}")
        given[name].append(rest)
    return ",".join(":".join([name, *rest]) for name, rest in given.items())
