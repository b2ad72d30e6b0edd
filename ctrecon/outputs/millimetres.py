"""What needs lengths in mm: HU, volumes, DICOM."""

from __future__ import annotations

from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan


def need_mm(scan: Scan, what: str) -> None:
    """Raises InputError where the scan's lengths are in detector cells: there is no attenuation in 1/mm, so no HU."""
    if scan.geometry is not None and scan.length_unit != "mm":
        raise InputError(
            f"{scan.source}: its lengths are in detector cells, and {what} needs mm (attenuation in HU, positions): "
            "give the scanner by --geometry FILE (docs/units.md), or write -o NAME.npy"
        )
