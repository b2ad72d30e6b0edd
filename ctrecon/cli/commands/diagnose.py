"""Say what is wrong with a scan that no image explains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option, scan_options
from ctrecon.cli.progress import shown
from ctrecon.support.text import printable
from ctrecon.support.troubles import see


@click.command(
    "diagnose", cls=Command,
    examples=(
        "ctrecon diagnose scan.npz --picture residual.png",
        "ctrecon diagnose scan.npz --apply -o mended.npz",
    ),
)  # fmt: skip
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option("--apply", "apply", is_flag=True, help="Write the scan with the first finding mended.")
@click.option("--cause", metavar="NAME", help="With --apply: mend this finding, by its name.")
@click.option("-o", "--output", type=FilePath, help="With --apply: the mended scan. Default: INPUT.mended.npz.")
@click.option("--picture", type=FilePath, help="Draw what is not explained, as .png.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
def command(
    scan_file: Path, apply: bool, cause: str | None, output: Path | None, picture: Path | None, overwrite: bool,
    as_json: bool, **options: Any,
) -> None:
    """Say what is wrong with a scan that no image explains.

    Every likely slip (signs, units, distances, axis, order, data that are no line integrals, bad cells and views, an
    object that is too large) is tried on a part of the data, and named where a coarse image then fits better. Exit
    code 0, whatever was found; 2: bad input, or nothing to --apply.
    """
    from ctrecon.errors import OutputError, SettingError
    from ctrecon.io.arrays import read_scan
    from ctrecon.io.write import put_scan
    from ctrecon.support.atomic import atomic_files
    from ctrecon.support.places import check_places
    from ctrecon.workbench.diagnose import diagnose, mended

    if not apply and (cause is not None or output is not None):
        raise SettingError("--cause and -o say what to mend and where to; give --apply, too")
    place = (output or Path(f"{scan_file.name.removesuffix(scan_file.suffix)}.mended.npz")) if apply else None
    for path, suffix in ((place, ".npz"), (picture, ".png")):
        if path is not None and path.suffix.lower() != suffix:
            raise OutputError(f"{path} must end in {suffix}; give another name")
    check_places([path for path in (place, picture) if path is not None], overwrite=overwrite, inputs=[scan_file])
    with shown(quiet=as_json) as progress:
        diagnosis = diagnose(read_scan(scan_file, **options), progress=progress)
    # First what can be refused, so that a refusal leaves no picture behind.
    mending = mended(diagnosis, cause) if place is not None else None
    found, written = diagnosis.to_dict(), dict[str, str]()
    with atomic_files() as put:
        if picture is not None:
            from ctrecon.outputs.report.diagnosis_picture import put_diagnosis

            put_diagnosis(put, picture, diagnosis)
            written["picture"] = str(picture)
        if place is not None and mending is not None:
            finding, scan = mending
            put_scan(put, place, scan)
            written["mended"] = str(place)
            found["applied"] = finding.cause
    if as_json:
        click.echo(json.dumps(found | {"written": written}, allow_nan=False))
        return
    for number, (line, finding_name) in enumerate(_named(diagnosis), start=1):
        click.echo(printable(f"{number}. {line}{finding_name}" if finding_name else line))
    for what, where in written.items():
        click.echo(f"{what:>12}: {printable(where)}")
    if place is None and any(finding.scan is not None for finding in diagnosis.findings):
        mendable = diagnosis.findings[0].scan is not None
        first = "mend the first with --apply, another" if mendable else "try one of the others"
        click.echo(f"{first} with --apply --cause NAME")


def _named(diagnosis: Any) -> list[tuple[str, str]]:
    """The lines of a diagnosis, findings with their names and what they look like."""
    from ctrecon.diagnosis.symptoms import symptom_of

    names = []
    for finding in diagnosis.findings:
        symptom = symptom_of(finding.cause)
        names.append(f" [{finding.cause}]" + ("" if symptom is None else f"; {see(symptom)}"))
    lines = diagnosis.lines()
    return [(line, names[k] if k < len(names) else "") for k, line in enumerate(lines)]
