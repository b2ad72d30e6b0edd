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


def need_pixels(scan: Scan, what: str) -> None:
    """Raises InputError where the scan is in cells, or its matrix states no pixel size."""
    need_mm(scan, what)
    if scan.with_grid().grid is None:
        raise InputError(
            f"{scan.source}: its matrix states no pixel size, and {what} needs pixels in mm; give -o NAME.npy"
        )


def place_mm(scan: Scan, given: float | None) -> float:
    """Where the slice stands along the axis: as ``given``, else as the scan says, else 0."""
    return given if given is not None else 0.0 if scan.z_mm is None else scan.z_mm
