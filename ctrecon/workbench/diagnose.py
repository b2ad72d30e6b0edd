"""``ctrecon.diagnose``: what is wrong with a scan that no image explains."""

from __future__ import annotations

import dataclasses
import os

from ctrecon.diagnosis.diagnose import Diagnosis, Finding
from ctrecon.diagnosis.diagnose import diagnose as tried
from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.scan import Scan
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arguments import checked
from ctrecon.support.progress import Report


@checked
def diagnose(scan: Scan | Simulated | str | os.PathLike[str], *, progress: Report | None = None) -> Diagnosis:
    """Say what is wrong with a scan: each likely slip is tried on the data and ranked by how well an image then fits.

    Args:
        scan: What was measured or simulated, or the file or folder it is in (``read_scan``).
        progress: Any callable that takes a ``Progress``, such as ``print``.

    Returns:
        The findings, the likeliest first, each with the scan as it would be with that mended.

    Raises:
        InputError: A file or scan that cannot be used, or a matrix without a geometry.
        GeometryError: A geometry in space without a row of the detector in the plane of its orbit.
    """
    if isinstance(scan, Simulated):
        scan = scan.scan
    return tried(scan if isinstance(scan, Scan) else read_scan(scan), progress=progress)


_NOTHING = "nothing was written"


def mended(diagnosis: Diagnosis, cause: str | None = None) -> tuple[Finding, Scan]:
    """The scan with a finding mended, and a note that says so.

    Args:
        diagnosis: Of the scan.
        cause: Which finding; None for the first, if that can be mended.

    Returns:
        The finding and the scan.

    Raises:
        InputError: Where there is no such finding, or it can only be named.
    """
    # What comes after one that cannot be mended explains a part at most: never by itself.
    for finding in diagnosis.findings if cause is not None else diagnosis.findings[:1]:
        if finding.scan is not None and cause in (None, finding.cause):
            note = f"mended by diagnosis: {finding.words}"
            return finding, dataclasses.replace(finding.scan, notes=(*finding.scan.notes, note))
    known = ", ".join(finding.cause for finding in diagnosis.findings if finding.scan is not None)
    if cause is not None:
        found = f"found were {known}" if known else _NOTHING
        raise InputError(f"{diagnosis.source}: {cause!r} was not found; {found}")
    if not known:
        raise InputError(f"{diagnosis.source}: nothing was found that could be mended; {_NOTHING}")
    raise InputError(
        f"{diagnosis.source}: the likeliest, {diagnosis.findings[0].cause}, can only be named, and what comes after it "
        f"explains a part at most ({known}); name one by --cause to try it; {_NOTHING}"
    )
