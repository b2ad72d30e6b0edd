"""What needs lengths in mm, and says where slices stand: HU, volumes, DICOM, reports."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ctrecon.dicom.common.hounsfield import no_tissue
from ctrecon.errors import InputError
from ctrecon.measurement.extent import object_radius_mm
from ctrecon.measurement.scan import WATER_MU_PER_MM, Scan
from ctrecon.support.arrays import Array

# Rays beyond this share of all may be zingers.
_DENSE_RAYS = 0.999


def need_mm(scan: Scan, what: str) -> None:
    """Raises InputError where the scan's lengths are in detector cells: there is no attenuation in 1/mm, so no HU."""
    if scan.geometry is not None and scan.length_unit != "mm":
        raise InputError(
            f"{scan.source}: its lengths are in {scan.units.length}, and {what} needs mm (attenuation in HU, "
            "positions): give the scanner by --geometry FILE (docs/units.md), or write -o NAME.npy"
        )


def need_pixels(scan: Scan, what: str) -> None:
    """Raises InputError where the scan is in cells, or its matrix states no pixel size."""
    need_mm(scan, what)
    if scan.with_grid().grid is None:
        raise InputError(
            f"{scan.source}: its matrix states no pixel size, and {what} needs pixels in mm; give -o NAME.npy"
        )


def need_tissue(scan: Scan, images: Iterable[Array], what: str, water_mu: float | None) -> None:
    """Raises InputError where HU would have to assume water, and the values cannot be tissue if that were right."""
    if water_mu is not None or scan.water_mu_per_mm is not None:
        return
    found = {no_tissue(image, WATER_MU_PER_MM) for image in images}
    if "" not in found:
        raise InputError(
            f"{scan.source}: {found.pop()} water would at 70 keV ({WATER_MU_PER_MM:g}{scan.units.per}), so {what} in "
            "HU would mislead; --water-mu gives the attenuation of water, -o NAME.npy and a report need none"
        )


def check_tissue(scan: Scan, what: str, water_mu: float | None) -> None:
    """The same before any work, as far as the data show it: no ray is longer in the object than the object is wide.

    Raises:
        InputError: Where some of the object must be denser than any tissue.
    """
    if scan.geometry is None or scan.in_space or not scan.in_mm:
        return
    radius = object_radius_mm(scan.sinogram, scan.geometry)
    if radius:
        least = np.quantile(scan.sinogram, _DENSE_RAYS) / (2 * radius)
        if least > WATER_MU_PER_MM:
            need_tissue(scan, [np.full((1, 1), least)], what, water_mu)


def grid_places(scan: Scan, *given: float | None) -> None:
    """Raises InputError where a place or thickness of slices is ``given`` of a volume, whose grid says both."""
    if scan.in_space and any(value is not None for value in given):
        raise InputError(f"{scan.source}: its grid says where slices stand; drop z and --slice-mm")


def place_mm(scan: Scan, given: float | None) -> float:
    """Where the slice stands along the axis: as ``given``, else as the scan says, else 0."""
    return given if given is not None else 0.0 if scan.z_mm is None else scan.z_mm
