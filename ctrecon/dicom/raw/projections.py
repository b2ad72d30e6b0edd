"""A folder of DICOM-CT-PD files as one scan: headers first, pixels view by view when asked for.

Files may come in any order. What stays in memory are a few numbers per view, so the length of a scan does not matter.

The format's frame, for the focal centre of view ``k`` at angle ``phi``, radius ``rho`` and height ``z``:
    focal centre   (-rho sin phi, rho cos phi, z)
    focal spot     ((rho + drho) (-sin(phi + dphi), cos(phi + dphi)), z + dz)
    cell (i, j)    focal centre + d0 (sin(phi + g), -cos(phi + g)), at height z - (j - cy) row pitch
with g = (i - cx) column pitch / d0, columns i and rows j counted from 1. A scan is read as if the patient had lain feet
first on the back (``patient_axes.py`` turns it); the images here have x = -x and y = y of that frame, the radiologist's
view, so angles become ``t = pi - phi`` and shifts ``dt = -dphi``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw.ct_pd_bounds import check_travel
from ctrecon.dicom.raw.ct_pd_file import SHIFTS, Common, NoProjectionError, Place, read_header, read_projection
from ctrecon.dicom.raw.ct_pd_lying import NO_DIRECTIONS, check_directions
from ctrecon.dicom.raw.ct_pd_pairs import Frame, check_pairs
from ctrecon.dicom.raw.ct_pd_stated import dates_notes, flight_notes
from ctrecon.dicom.raw.patient_axes import PatientAxes
from ctrecon.dicom.raw.raw_folder import dicom_names, none_is_one, passed_over
from ctrecon.dicom.raw.same_scan import check_same
from ctrecon.dicom.raw.steps import Steps, check_flight, like, steps_of
from ctrecon.dicom.series.said import said_in
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.measurement.patient_position import position_of
from ctrecon.support.arrays import Array, Float64Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionSet:
    """One scan: its files in the order they were taken, and where focal spot and detector stood.

    ``study``: patient and study as its first file says them, by DICOM's keywords; ``notes``: what was left out of that.
    Arrays are ``[projections]``, float64, in rad and mm; angles are unwrapped. ``view(k)`` reads the pixels. All are in
    the frame of a patient lying feet first on the back, z to the head, to which ``axes`` turned them; ``common`` holds
    what the files say. ``step`` numbers them from 0, and leaves numbers out where projections are missing.
    """

    folder: Path
    files: tuple[str, ...]
    common: Common
    axes: PatientAxes
    step: Steps
    angle_rad: Float64Array
    z_mm: Float64Array
    angle_shift_rad: Float64Array
    z_shift_mm: Float64Array
    radius_shift_mm: Float64Array
    study: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How many projections there are, the missing ones counted."""
        return int(self.step[-1]) + 1

    def between(self, first: int, after: int) -> slice:
        """Which projections have certain numbers.

        Args:
            first: The first number, as in ``step``.
            after: The first that is not wanted.

        Returns:
            Where they stand in the arrays.
        """
        low, high = np.searchsorted(self.step, (first, after))
        return slice(int(low), int(high))

    def view(self, k: int) -> tuple[Array, Array | None]:
        """Read one projection's pixels.

        Args:
            k: Where it stands in the arrays, from 0.

        Returns:
            Line integrals ``[rows, columns]``, float64, and photons per column, or None.

        Raises:
            InputError: Where the file cannot be read, or is not as the others.
        """
        values, photons = read_projection(self.folder / self.files[k], self.common)
        return self.axes.cells(values), None if photons is None else self.axes.cells(photons)

    @property
    def centre(self) -> tuple[float, float]:
        """Central column and row, counted from 1 in the order of ``view``."""
        return self.axes.centre(self.common.centre, self.common.columns, self.common.rows)

    @property
    def helical(self) -> bool:
        return self.common.kind == "HELICAL"

    @property
    def feed_mm(self) -> float:
        """How far the table moves in a turn; 0 for an axial scan."""
        turned = self.angle_rad[-1] - self.angle_rad[0]
        if not self.helical or turned == 0:
            return 0.0
        return abs(float((self.z_mm[-1] - self.z_mm[0]) / turned)) * 2 * math.pi

    @property
    def row_at_axis_mm(self) -> float:
        """The thickness of a detector row, seen at the rotation axis."""
        return self.common.row_pitch_mm * self.common.radius_mm / self.common.distance_mm

    def geometry(self, views: slice) -> ArcFanBeam:
        """The fan of the central plane for some views.

        Args:
            views: Where they stand in the arrays.

        Returns:
            Axes and order of cells as in ``ArcFanBeam``, mm and rad.
        """
        return self._fan(self.angle_rad[views], np.arange(len(self.files))[views])

    def geometry_of_steps(self, first: int, after: int) -> ArcFanBeam:
        """The fan of the central plane for all projections with certain numbers, the missing ones too.

        A missing one stands between its neighbours, and its focal spot where it stood as often as it does (``steps``).

        Args:
            first: The first number, as in ``step``.
            after: The first that is not wanted.

        Returns:
            ``after - first`` views, axes and order of cells as in ``ArcFanBeam``, mm and rad.
        """
        numbers = np.arange(first, after)
        return self._fan(np.interp(numbers, self.step, self.angle_rad), like(self.step, numbers))

    def _fan(self, angle_rad: Float64Array, spots: npt.NDArray[np.intp]) -> ArcFanBeam:
        """``spots``: the projections from which the focal spots' shifts are."""
        c = self.common
        return ArcFanBeam(
            angles_rad=tuple((math.pi - angle_rad).tolist()),
            detector_count=c.columns,
            detector_spacing_mm=c.column_pitch_mm,
            detector_offset_mm=((c.columns + 1) / 2 - self.centre[0]) * c.column_pitch_mm,
            source_to_axis_mm=c.radius_mm,
            source_to_detector_mm=c.distance_mm,
            source_angle_shift_rad=tuple((0.0 - self.angle_shift_rad[spots]).tolist()),
            source_radius_shift_mm=tuple(self.radius_shift_mm[spots].tolist()),
        )


def read_projections(
    folder: Path, *, central_column: float | None = None, patient_position: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProjectionSet:
    """Read all headers of a folder, sort and check them, and turn them to the patient's axes.

    Args:
        folder: Of DICOM-CT-PD files, one scan.
        central_column: Counted from 1, stands in for that of the files.
        patient_position: One of ``POSITIONS`` or ``NOBODY``, where the files state none.
        progress: Is told files read and files there.

    Returns:
        The views in the order in which they were measured, with angles in radians and places in mm; pixels are read
        when they are needed.

    Raises:
        InputError: Where a file is none of the format, scans are mixed, projections are missing or doubled, or nothing
            says how the patient lay.
        SettingError: For a column that is not there, or a position that contradicts the files.
    """
    names, strays = dicom_names(folder)
    common: Common | None = None
    # Numbers in one array, not objects in a list: a million views must fit.
    table = np.empty((len(names), 5))
    instances = np.empty(len(names), dtype=np.int64)
    directions = np.empty((len(names), len(NO_DIRECTIONS)), dtype=np.float32)
    numbered, held, scales = True, list[str](), list[tuple[str, tuple[float, float]]]()
    for k, name in enumerate(names, start=1):
        try:
            own, place = read_header(folder / name)
        except NoProjectionError:
            strays.append(name)
            continue
        if common is None:
            common = own
        check_same(folder, held[0] if held else name, common, name, own)
        table[len(held)], directions[len(held)] = _numbers(place), place.directions
        if not scales or (len(scales) == 1 and place.scale != scales[0][1]):
            scales.append((name, place.scale))
        numbered = numbered and place.instance is not None
        instances[len(held)] = -1 if place.instance is None else place.instance
        held.append(name)
        if progress is not None:
            progress(k, len(names))
    if common is None:
        raise none_is_one(folder, strays)
    names, table, instances = held, table[: len(held)], instances[: len(held)]
    if central_column is not None:
        if not 1 <= central_column <= common.columns:
            raise SettingError(f"the central column must be from 1 to {common.columns}, got {central_column:g}")
        common = replace(common, centre=(central_column, common.centre[1]))
    axes = PatientAxes(position_of(folder, common.patient_position.upper(), patient_position))
    order = _order(folder, names, common, table, instances if numbered else None)
    table, files = table[order], tuple(names[k] for k in order)
    study, left_out = said_in(folder / files[0])
    turned, helical = np.unwrap(table[:, 0]), common.kind == "HELICAL"
    row_mm = common.row_pitch_mm * common.radius_mm / common.distance_mm
    numbers, missing = steps_of(
        folder, files, turned, table[:, 1], per_turn=common.per_turn, helical=helical, row_mm=row_mm
    )
    shifts = dict(zip(SHIFTS, table[:, 2:].T, strict=True))
    check_flight(folder, files, numbers, shifts)
    found = ProjectionSet(
        folder=folder, files=files, common=common, axes=axes, step=numbers,
        angle_rad=axes.angles(turned), z_mm=axes.along(table[:, 1]),
        angle_shift_rad=axes.along(table[:, 2]), z_shift_mm=axes.along(table[:, 3]), radius_shift_mm=table[:, 4],
        study=study, notes=(*passed_over(strays), *missing, *_scaled(scales), *left_out),
    )
    if len(files) < 2:
        return found
    check_travel(folder, helical=helical, feed_mm=found.feed_mm, collimation_mm=common.rows * row_mm)
    frame = Frame(
        radius_mm=common.radius_mm, distance_mm=common.distance_mm, rows=common.rows, columns=common.columns,
        row_pitch_mm=common.row_pitch_mm, column_pitch_mm=common.column_pitch_mm, helical=helical,
        turned_rad=float(turned[-1] - turned[0]), feed_mm=found.feed_mm, position=axes.position,
        water_mu_per_mm=common.water_mu_per_mm,
    )  # fmt: skip
    pointing = check_directions(folder, directions[order], found.angle_rad, axes)
    contradicted = (*check_pairs(folder, dict(common.stated), frame), *pointing)
    flight = flight_notes(common.flying, shifts, common.unstated)
    said = (*flight, *contradicted, *dates_notes(common.stated, common.born))
    return replace(found, notes=(*found.notes, *said))


def _scaled(scales: list[tuple[str, tuple[float, float]]]) -> tuple[str, ...]:
    """A note where not all files have one scale, with the first that differs."""
    if len(scales) < 2:
        return ()
    said = " and ".join(f"{slope:g} and {intercept:g} in {name}" for name, (slope, intercept) in scales)
    return (f"RescaleSlope and RescaleIntercept are not the same in all files ({said}): each file's own were used",)


def _numbers(place: Place) -> tuple[float, ...]:
    return place.angle_rad, place.z_mm, place.angle_shift_rad, place.z_shift_mm, place.radius_shift_mm


def _order(
    folder: Path, names: list[str], common: Common, table: Float64Array, instances: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.intp]:
    """As they were taken: by InstanceNumber, else a helix by z and circles by z and then angle."""
    if instances is not None:
        order = np.argsort(instances, kind="stable")
        twice = np.flatnonzero(np.diff(instances[order]) == 0)
        if twice.size:
            a, b = names[order[twice[0]]], names[order[twice[0] + 1]]
            raise InputError(
                f"{folder}: InstanceNumber {instances[order[twice[0]]]} stands in both {a} and {b}; remove one of them"
            )
        return order
    if common.kind == "HELICAL":
        return np.argsort(table[:, 1], kind="stable")
    return np.lexsort((np.mod(table[:, 0], 2 * math.pi), np.round(table[:, 1], 3)))
