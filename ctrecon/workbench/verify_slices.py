"""Whether the certificates of a DICOM series are about a scan: each slice is read again as its own history says.

A history lies beside each certificate of a series (``certificates/slice-0001.history.json``). Where there is none, as
where a PACS kept the DICOM files only, what is given stands alone, and views are taken to be all, or every k-th.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ctrecon.certificates.against_scan import difference
from ctrecon.certificates.verify import Refused, require
from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.rebin import rebin
from ctrecon.dicom.series.look import CertifiedPart, OfPart
from ctrecon.dicom.series.series import CERTIFICATES, history_name
from ctrecon.io.slices import HowRead, StackSource, open_stack
from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.run import as_asked
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.verify_scan import Reading

_OF_ROWS = ("geometry", "image", "detectors_first", "every", "center", "correct", "patient_position")
_NEAR = 1e-3
"""Of the distance between slices: DICOM writes places in decimals."""


def compare_slices(reading: Reading, folder: Path, certificates: str | os.PathLike[str] | None) -> OfPart:
    """For every slice of a series: raises Refused where its certificate is not of the scan.

    Args:
        reading: The scan, and what is given of how it was read.
        folder: Of the series.
        certificates: Their folder, where it is not in the series.

    Raises:
        SettingError: The history of the first slice names a file that is not given.
        InputError: A scan or history that cannot be read.
    """
    histories = folder / CERTIFICATES if certificates is None else Path(certificates)

    def settings_of(index: int) -> tuple[Settings, bool]:
        place = histories / history_name(index)
        path = place if place.is_file() and not place.is_symlink() else None
        settings, whose = reading.settings(path)
        return settings, bool(whose)

    first, _ = settings_of(1)  # what is missing is said before any slice is checked
    again = _slices_of(reading, first)

    def of_part(one: CertifiedPart) -> None:
        settings, known = settings_of(one.first)
        scan = again(one, settings if known else replace(settings, every=1))
        if not known:
            views = one.verdict.arrays["data"].shape[0]
            scan = scan.every(reading.given.get("every") or max(1, -(-scan.sinogram.shape[0] // views)))
        fault = difference(one.verdict, scan)
        require(not fault, f"the certified data are not those of {reading.name}: {fault}")

    return of_part


def _slices_of(reading: Reading, first: Settings) -> Callable[[CertifiedPart, Settings], Scan]:
    """How one is read again by its settings: of a folder of projections, of rows, or a single slice or volume."""
    source = reading.scan
    if not isinstance(source, Scan) and source.is_dir():
        whole = lru_cache(maxsize=1)(lambda settings: reading.again(replace(settings, all_rows=True)))
        projections = read_projections(source, patient_position=first.patient_position)
        return lambda one, settings: whole(settings) if one.in_space else _plane(projections, one, settings)
    single = lru_cache(maxsize=2)(lambda settings: reading.again(settings))
    if isinstance(source, Scan):
        return lambda one, settings: single(settings)
    rows = lru_cache(maxsize=2)(lambda how: open_stack(source, HowRead(**dict(how))))

    def of_file(one: CertifiedPart, settings: Settings) -> Scan:
        if one.count == 1:
            return single(settings)
        how: dict[str, Any] = {name: getattr(settings, name) for name in _OF_ROWS}
        return _row(rows(tuple(how.items())), one)

    return of_file


def _plane(projections: ProjectionSet, one: CertifiedPart, settings: Settings) -> Scan:
    asked = replace(settings, patient_position=None, size=None, pixel_mm=None)  # how the patient lay is read with them
    return as_asked(rebin(projections, one.z_mm[0]), asked)


def _row(source: StackSource, one: CertifiedPart) -> Scan:
    """The row of a slice: of all of them by its number, of a series that was cut short by its place."""
    z, (own,) = source.z_mm, one.z_mm
    if len(z) == one.count:
        return source.read(one.first - 1)
    nearest = min(range(len(z)), key=lambda k: abs(z[k] - own))
    if abs(z[nearest] - own) > _NEAR * abs(z[1] - z[0]):
        raise Refused(f"the scan has {len(z)} slices and the series {one.count}, and none is at z = {own:g}")
    return source.read(nearest)
