"""Single-slice rebinning: fan-beam scans of planes, from the cone beams of a helix or a circle.

F. Noo, M. Defrise, R. Clackdoyle, Single-slice rebinning method for helical cone-beam CT, Phys. Med. Biol. 44, 561,
1999. The plane ``z`` takes, of each view, the rays that cross it where they are nearest to the axis, between two
detector rows by linear interpolation, shortened by the cosine of their tilt. For an object that does not change along
the axis this is exact; else every ray has seen what lies beside the plane, by up to its tilt.

A turn is used where its rows reach the plane at the edge of the field of view, else half a turn and the fan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.scan_notes import how_it_stood, said_of
from ctrecon.dicom.raw.views import Views
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.measurement.extent import object_radius_mm
from ctrecon.measurement.few_counts import FEWEST_COUNTS
from ctrecon.measurement.mask import missing_note
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

Span = Literal["auto", "full", "short"]

# A ray may need a row that is not there by so much (in rows), before it counts as missed.
_BEYOND = 0.5
# Where the object reaches, so many projections and detector rows tell.
_LOOKED_AT, _ROWS_LOOKED_AT = 200, 16
MAX_SLICES = 100_000


def read_projection_slices(
    folder: Path, *, z_mm: Sequence[float] | None = None, spacing_mm: float | None = None, span: Span = "auto",
    central_column: float | None = None, patient_position: str | None = None,
) -> Iterator[tuple[float, Scan]]:
    """Rebin slices of a folder of projections, one at a time; only one is in memory.

    Args:
        folder: Of DICOM-CT-PD files, one scan.
        z_mm: Where; None for every ``spacing_mm`` where the scan reaches.
        spacing_mm: From slice to slice; None for a detector row at the axis.
        span: Which views a slice takes.
        central_column: As of ``read_projections``.
        patient_position: As of ``read_projections``.

    Yields:
        z in mm, and a scan with geometry, line integrals, variances (where photon statistics are there), water and
        notes.

    Raises:
        InputError: For what cannot be read, or a z that was not scanned.
        SettingError: As ``read_projections`` and ``slice_positions``.
    """
    scan = read_projections(folder, central_column=central_column, patient_position=patient_position)
    for z in slice_positions(scan, spacing_mm=spacing_mm, span=span) if z_mm is None else z_mm:
        yield float(z), rebin(scan, float(z), span=span)


def slice_positions(scan: ProjectionSet, *, spacing_mm: float | None = None, span: Span = "auto") -> Float64Array:
    """Where slices can be had, evenly about the middle of what was scanned.

    Args:
        scan: All projections.
        spacing_mm: From slice to slice; None for a detector row at the axis.
        span: Which views a slice takes.

    Returns:
        z of each slice, in mm, ascending.

    Raises:
        InputError: Where there is none.
        SettingError: For an impossible spacing, or one that makes too many slices.
    """
    step = scan.row_at_axis_mm if spacing_mm is None else spacing_mm
    if not (math.isfinite(step) and step > 0):
        raise SettingError(f"the spacing of slices must be > 0 mm, got {step:g}")
    low, high = _reach(scan, _views_for(scan, span))
    if high < low:
        raise InputError(
            f"{scan.folder}: {len(scan.files)} projections do not hold the {_views_for(scan, span)} of one slice; "
            "copy the scan again, whole"
        )
    count = math.floor((high - low) / step + 1e-6) + 1
    if count > MAX_SLICES:
        raise SettingError(f"a spacing of {step:g} mm makes {count} slices, more than {MAX_SLICES}; give a larger one")
    return np.asarray((low + high) / 2 + (np.arange(count) - (count - 1) / 2) * step, dtype=np.float64)


def rebin(scan: ProjectionSet, z_mm: float, *, span: Span = "auto") -> Scan:
    """The fan-beam scan of one plane, interpolated between the detector's rows.

    Projections that are missing or hold nothing are views of it whose rays are missing (``Scan.mask``).

    Args:
        scan: All projections.
        z_mm: The plane.
        span: Which views it takes: half a turn and the fan, a whole turn, or by itself what is there.

    Returns:
        Line integrals ``[views, detectors]`` with variances, where the files have photon statistics.

    Raises:
        InputError: Where the scan does not reach the plane, or nothing usable was measured about it.
        SettingError: For another span.
    """
    if span not in get_args(Span):
        raise SettingError(f"span must be one of {', '.join(get_args(Span))}, got {span!r}")
    first, after = _window(scan, z_mm, span)
    geometry, views = scan.geometry_of_steps(first, after), scan.between(first, after)
    sinogram = np.zeros(geometry.shape, dtype=np.float32)
    variance: npt.NDArray[np.float32] | None = np.ones(geometry.shape, dtype=np.float32)
    missed = few = 0
    mask, looked = np.zeros(geometry.shape, dtype=np.bool_), Views(scan.folder)
    for k in range(views.start, views.stop):
        values, photons = scan.view(k)
        if not looked.accept(scan.files[k], values, photons):
            continue
        v = int(scan.step[k]) - first
        mask[v] = True
        rows, shortened = _rows(scan, geometry, v, k, z_mm)
        held = np.clip(rows, 0, scan.common.rows - 1)
        missed += int((np.abs(rows - held) > _BEYOND).sum())
        below = np.minimum(held.astype(np.intp), max(scan.common.rows - 2, 0))
        above = np.minimum(below + 1, scan.common.rows - 1)
        weight, column = held - below, np.arange(scan.common.columns)
        low, high = values[below, column], values[above, column]
        sinogram[v] = shortened * (low + weight * (high - low))
        if photons is None or variance is None:
            variance = None
            continue
        counts = np.stack([photons * np.exp(-low), photons * np.exp(-high)])
        few += int((counts < FEWEST_COUNTS).any(axis=0).sum())
        one, other = 1 / np.maximum(counts, FEWEST_COUNTS)
        variance[v] = shortened**2 * ((1 - weight) ** 2 * one + weight**2 * other)
    if not mask.any():
        raise InputError(f"{scan.folder}: no projection about z = {z_mm:g} mm holds anything; export the scan again")
    missing = () if mask.all() else (missing_note(mask),)
    return Scan(
        sinogram=sinogram,
        geometry=geometry,
        variance=variance,
        mask=mask,
        water_mu_per_mm=scan.common.water_mu_per_mm,
        patient_position=scan.axes.position,
        study=scan.study,
        z_mm=z_mm,
        slice_mm=scan.row_at_axis_mm,
        kvp=scan.common.kvp,
        source=f"{scan.folder}, z = {z_mm:.3f} mm",
        notes=(*_notes(scan, geometry, z_mm, missed, few, variance is not None), *looked.notes(), *missing),
    )


def radius_of_object_mm(scan: ProjectionSet) -> float | None:
    """How far the object reaches from the axis in any slice.

    Args:
        scan: Of which every few projections are looked at, each detector row by itself.

    Returns:
        In mm, measured as ``object_radius_mm`` does; None where it cannot be told.
    """
    step = math.ceil(len(scan.files) / _LOOKED_AT)
    views = slice(0, None, step)
    values = np.stack([scan.view(k)[0] for k in range(len(scan.files))[views]])
    geometry = scan.geometry(views)
    rows = range(0, scan.common.rows, max(1, scan.common.rows // _ROWS_LOOKED_AT))
    found = [object_radius_mm(values[:, row], geometry) for row in rows]
    return max((radius for radius in found if radius is not None), default=None)


def _rows(
    scan: ProjectionSet, geometry: ArcFanBeam, v: int, k: int, z_mm: float
) -> tuple[Float64Array, Float64Array]:
    """For view ``k`` and each column: the row (0-based, fractional) wanted, and the cosine of the ray's tilt.

    In the plane, a ray runs from the focal spot over the point nearest to the axis to its cell; its height goes along
    linearly, and is ``z_mm`` at that point.
    """
    c = scan.common
    points, directions = geometry.rays(slice(v, v + 1))
    point, direction = points[0], directions[0]
    length = np.hypot(direction[:, 0], direction[:, 1])
    nearest = -(point * direction).sum(-1) / length
    spot = scan.z_mm[k] + scan.z_shift_mm[k]
    climb = (z_mm - spot) * length / nearest
    rows = scan.centre[1] - 1 - (spot + climb - scan.z_mm[k]) / c.row_pitch_mm
    # The tilt is that of the row that is there.
    taken = scan.z_mm[k] + (scan.centre[1] - 1 - np.clip(rows, 0, c.rows - 1)) * c.row_pitch_mm - spot
    return rows, length / np.hypot(length, taken)


def _half_fan(scan: ProjectionSet) -> float:
    geometry = scan.geometry(slice(0, 1))
    return float(np.abs(geometry.orbit.fan_angle_rad(geometry.detector_mm)).max())


def _views_for(scan: ProjectionSet, span: Span) -> int:
    """How many views make a slice: a turn, or half of one and the fan with a margin for its weights."""
    turn = scan.common.per_turn
    short = min(turn, math.ceil(turn * (math.pi + 2.1 * _half_fan(scan)) / (2 * math.pi)))
    if span == "full" or not scan.helical:
        return turn
    if span == "short":
        return short
    # At the edge of the field of view the plane is nearest, and the row furthest out.
    c = scan.common
    needed = scan.feed_mm / 2 * c.distance_mm / (c.radius_mm * math.cos(_half_fan(scan)))
    return turn if needed <= (c.rows / 2 - 0.5) * c.row_pitch_mm else short


def _reach(scan: ProjectionSet, count: int) -> tuple[float, float]:
    """The lowest and the highest z with ``count`` views about it."""
    if not scan.helical:
        cover = _axial_cover(scan)
        return float(scan.z_mm.min()) - cover, float(scan.z_mm.max()) + cover
    if scan.steps < count:
        return 0.0, -1.0
    middle = _middles(scan, count)
    return float(middle.min()), float(middle.max())


def _middles(scan: ProjectionSet, count: int) -> Float64Array:
    """The z between the first and the last view of each window of ``count``."""
    z = np.interp(np.arange(scan.steps), scan.step, scan.z_mm)
    return np.asarray((z[: scan.steps - count + 1] + z[count - 1 :]) / 2, dtype=np.float64)


def _axial_cover(scan: ProjectionSet) -> float:
    """How far from a circle's plane every view still sees a plane, at the near edge of the field of view."""
    half = _half_fan(scan)
    return (scan.common.rows - 1) / 2 * scan.row_at_axis_mm * math.cos(half)


def _window(scan: ProjectionSet, z_mm: float, span: Span) -> tuple[int, int]:
    """The numbers of the projections that see the plane: the first, and the first that does not any more."""
    count = _views_for(scan, span)
    low, high = _reach(scan, count)
    tolerance = 1e-3 * scan.row_at_axis_mm
    if not low - tolerance <= z_mm <= high + tolerance:
        raise InputError(
            f"{scan.folder}: a slice at z = {z_mm:g} mm was not scanned; "
            + (f"there are slices from {low:.4g} to {high:.4g} mm" if low <= high else "the scan is too short for any")
        )
    if scan.helical:
        first = int(np.argmin(np.abs(_middles(scan, count) - z_mm)))
        return first, first + count
    nearest = scan.z_mm[np.argmin(np.abs(scan.z_mm - z_mm))]
    own = np.flatnonzero(np.abs(scan.z_mm - nearest) < 0.5 * scan.row_at_axis_mm)
    own = own[: int(np.argmax(np.append(np.diff(own) > 1, True))) + 1]  # the first of several visits
    if abs(scan.z_mm[own[0]] - z_mm) > _axial_cover(scan) + tolerance:
        raise InputError(f"{scan.folder}: no circle of the axial scan sees z = {z_mm:g} mm; give a z nearer to one")
    begin = int(scan.step[own[0]])
    if int(scan.step[own[-1]]) - begin + 1 < min(count, _views_for_short(scan)):
        raise InputError(f"{scan.folder}: only {own.size} projections of {count} at z = {scan.z_mm[own[0]]:g} mm")
    return begin, min(begin + count, int(scan.step[own[-1]]) + 1)


def _views_for_short(scan: ProjectionSet) -> int:
    return math.ceil(scan.common.per_turn * (math.pi + 2 * _half_fan(scan)) / (2 * math.pi))


def _notes(
    scan: ProjectionSet, geometry: ArcFanBeam, z_mm: float, missed: int, few: int, counted: bool
) -> tuple[str, ...]:
    c = scan.common
    turn = "a turn" if geometry.shape[0] == c.per_turn else f"{geometry.shape[0] / c.per_turn:.2f} turns"
    notes = [
        f"rebinned from a cone-beam scan, {c.kind.lower()}: z = {z_mm:.3f} mm, {turn}, {c.flying}; rays are tilted "
        f"by up to {_tilt_deg(scan, z_mm, geometry):.2f} degrees, which no variance accounts for",
    ]
    notes += said_of(scan, counted=counted)
    if missed:
        share = missed / (geometry.shape[0] * geometry.shape[1])
        notes.append(f"{missed} rays ({share:.2%}) needed a row beyond the detector and took its outermost one")
    if few:
        notes.append(f"{few} rays let through less than {FEWEST_COUNTS} photons and are taken as {FEWEST_COUNTS}")
    notes += how_it_stood(scan)
    return (*notes, *scan.notes)


def _tilt_deg(scan: ProjectionSet, z_mm: float, geometry: ArcFanBeam) -> float:
    half = (scan.feed_mm / 2 * geometry.shape[0] / scan.common.per_turn) if scan.helical else 0.0
    away = half if scan.helical else abs(float(scan.z_mm[np.argmin(np.abs(scan.z_mm - z_mm))]) - z_mm)
    return math.degrees(math.atan(away / scan.common.radius_mm))

