"""All rows of a scan at once, as they were measured: a cone beam on an arc, climbing or not, without rebinning.

Every ray keeps its tilt and its own place of the focal spot, so what rebinning to planes gets wrong (``rebin.py``) is
right here, at the price of one volume in memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ctrecon.dicom.raw.projections import ProjectionSet
from ctrecon.dicom.raw.scan_notes import how_it_stood, said_of
from ctrecon.dicom.raw.views import Views
from ctrecon.errors import InputError
from ctrecon.geometry.arc_cone import ArcCone
from ctrecon.measurement.few_counts import FEWEST_COUNTS
from ctrecon.measurement.scan import Scan
from ctrecon.support.limits import MAX_BYTES


def cone_of(scan: ProjectionSet, views: list[int]) -> ArcCone:
    """The cone beam of some projections, in the axes of the patient.

    Row 0 is the lowest; columns are those of ``ProjectionSet.view``, whose row 0 is the highest.

    Args:
        scan: Of projections.
        views: Their numbers in it.

    Returns:
        The geometry, as the files state it.
    """
    c, (column, row) = scan.common, scan.centre
    return ArcCone(
        angles_rad=tuple((math.pi - scan.angle_rad[views]).tolist()),
        detector_count=c.columns,
        detector_rows=c.rows,
        detector_spacing_mm=c.column_pitch_mm,
        detector_row_spacing_mm=c.row_pitch_mm,
        detector_offset_mm=((c.columns + 1) / 2 - column) * c.column_pitch_mm,
        detector_row_offset_mm=(row - (c.rows + 1) / 2) * c.row_pitch_mm,
        source_to_axis_mm=c.radius_mm,
        source_to_detector_mm=c.distance_mm,
        source_z_mm=tuple(scan.z_mm[views].tolist()),
        source_angle_shift_rad=tuple((0.0 - scan.angle_shift_rad[views]).tolist()),
        source_radius_shift_mm=tuple(scan.radius_shift_mm[views].tolist()),
        source_z_shift_mm=tuple(scan.z_shift_mm[views].tolist()),
    )


def whole_scan(scan: ProjectionSet, *, every: int = 1) -> Scan:
    """The scan of one volume. Projections that are missing or hold nothing are no views of it.

    Args:
        scan: All projections.
        every: Take one in so many.

    Returns:
        Line integrals ``[views, rows, columns]`` with variances, where the files have photon statistics.

    Raises:
        InputError: Where they are more than fit, or nothing usable was measured.
    """
    c, wanted = scan.common, range(0, len(scan.files), every)
    needed = 4 * len(wanted) * c.rows * c.columns
    if needed > MAX_BYTES:
        least = every * math.ceil(needed / MAX_BYTES)
        raise InputError(
            f"{scan.folder}: {len(wanted)} projections of {c.rows} x {c.columns} take {needed} bytes at once, more "
            f"than the limit of {MAX_BYTES}; keep one in {least} (--every {least}), or drop --all-rows"
        )
    looked, views, few, counted = Views(scan.folder), list[int](), 0, True
    sinogram = np.zeros((len(wanted), c.rows, c.columns), dtype=np.float32)
    variance = np.ones_like(sinogram)
    for k in range(len(scan.files)):
        values, photons = scan.view(k)
        # All are looked at: only neighbours must be alike.
        if not looked.accept(scan.files[k], values, photons) or k not in wanted:
            continue
        at = len(views)
        sinogram[at] = values[::-1]
        counted = counted and photons is not None
        if photons is not None:
            counts = photons * np.exp(-values[::-1])
            few += int((counts < FEWEST_COUNTS).sum())
            variance[at] = 1 / np.maximum(counts, FEWEST_COUNTS)
        views.append(k)
    if not views:
        raise InputError(f"{scan.folder}: no projection holds anything; export the scan again")
    more: dict[str, Any] = {"variance": variance[: len(views)]} if counted else {}
    return Scan(
        sinogram=sinogram[: len(views)],
        geometry=cone_of(scan, views),
        water_mu_per_mm=c.water_mu_per_mm,
        patient_position=scan.axes.position,
        study=scan.study,
        kvp=c.kvp,
        source=str(scan.folder),
        notes=(*_notes(scan, len(views), every, few, counted=counted), *looked.notes(), *scan.notes),
        **more,
    )


def _notes(scan: ProjectionSet, views: int, every: int, few: int, *, counted: bool) -> list[str]:
    c = scan.common
    turns = views * every / c.per_turn
    notes = [f"all {c.rows} rows as they were measured, {c.kind.lower()}, about {turns:.2f} turns, {c.flying}"]
    notes += said_of(scan, counted=counted)
    if few:
        notes.append(f"{few} rays let through less than {FEWEST_COUNTS} photons and are taken as {FEWEST_COUNTS}")
    return [*notes, *how_it_stood(scan)]
