"""``ctrecon verify FOLDER``: a DICOM series with its certificates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.main import EXIT_BAD_INPUT, printable

if TYPE_CHECKING:
    from ctrecon.dicom.series.series_check import SeriesVerdict

EXIT_REFUSED = 1


def verify_series(folder: Path, *, certificates: Path | None, scan_file: Path | None, as_json: bool) -> int:
    """Print one line per file and one for the whole; the exit code."""
    from ctrecon.dicom.series.series_check import check_series

    verdict = check_series(
        folder,
        certificates,
        watch=lambda finding: _say(finding.path, finding.valid, finding.said, "file", as_json),
    )
    if scan_file is not None and verdict.valid:
        verdict = _against_scan(verdict, scan_file)
    _say(folder, verdict.valid, verdict.said, "series", as_json)
    if verdict.valid:
        return 0
    return EXIT_REFUSED if verdict.readable else EXIT_BAD_INPUT


def _say(path: Path, valid: bool, said: str, kind: str, as_json: bool) -> None:
    if as_json:
        text = {"statement": said if valid else "", "reason": "" if valid else said}
        click.echo(json.dumps({kind: str(path), "valid": valid, **text}))
    else:
        click.echo(f"{'valid' if valid else 'REFUSED'}  {printable(str(path))}: {printable(said)}")


def _against_scan(verdict: SeriesVerdict, scan_file: Path) -> SeriesVerdict:
    """Whether the certified data are those of a scan: all its views, or every k-th of them."""
    from ctrecon.certificates.parts import data_hash
    from ctrecon.dicom.series.series_check import refuse
    from ctrecon.io.arrays import read_scan

    sinogram = read_scan(scan_file).sinogram
    for claim in verdict.data:
        step = -(-len(sinogram) // claim["shape"][0])
        if data_hash(sinogram[::step]) != claim["sha256"]:
            return refuse(verdict, f"the certified data are not those of {scan_file.name}, nor every k-th view of them")
    return verdict
