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
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw.ct_pd_file import Common, Place, read_header, read_projection
from ctrecon.dicom.raw.patient_axes import PatientAxes
from ctrecon.dicom.series.said import said_in
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.measurement.patient_position import position_of
from ctrecon.support.arrays import Array, Float64Array

MAX_PROJECTIONS = 1_000_000
# FL has 24 bits; what a scanner means to be equal differs by less than this.
_EQUAL = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionSet:
    """One scan: its files in the order they were taken, and where focal spot and detector stood.

    ``study``: patient and study as its first file says them, by DICOM's keywords; ``notes``: what was left out of that.
    Arrays are ``[projections]``, float64, in rad and mm; angles are unwrapped. ``view(k)`` reads the pixels. All are in
    the frame of a patient lying feet first on the back, z to the head, to which ``axes`` turned them; ``common`` holds
    what the files say.
    """

    folder: Path
    files: tuple[str, ...]
    common: Common
    axes: PatientAxes
    angle_rad: Float64Array
    z_mm: Float64Array
    angle_shift_rad: Float64Array
    z_shift_mm: Float64Array
    radius_shift_mm: Float64Array
    study: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def view(self, k: int) -> tuple[Array, Array | None]:
        """Line integrals ``[rows, columns]`` of projection ``k``, float64, and photons per column, or None."""
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
        """The fan of the central plane for some views, axes and order of cells as in ``ArcFanBeam``."""
        c = self.common
        return ArcFanBeam(
            angles_rad=tuple((math.pi - self.angle_rad[views]).tolist()),
            detector_count=c.columns,
            detector_spacing_mm=c.column_pitch_mm,
            detector_offset_mm=((c.columns + 1) / 2 - self.centre[0]) * c.column_pitch_mm,
            source_to_axis_mm=c.radius_mm,
            source_to_detector_mm=c.distance_mm,
            source_angle_shift_rad=tuple((0.0 - self.angle_shift_rad[views]).tolist()),
            source_radius_shift_mm=tuple(self.radius_shift_mm[views].tolist()),
        )


def read_projections(
    folder: Path, *, central_column: float | None = None, patient_position: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProjectionSet:
    """Read all headers of a folder, sort and check them, and turn them to the patient's axes.

    Args:
        folder: Of DICOM-CT-PD files, one scan.
        central_column: Counted from 1, stands in for that of the files.
        patient_position: One of ``POSITIONS``, where the files state none.
        progress: Is told files read and files there.

    Raises:
        InputError: Where a file is none of the format, scans are mixed, projections are missing or doubled, or nothing
            says how the patient lay.
        SettingError: For a column that is not there, or a position that contradicts the files.
    """
    names = _file_names(folder)
    common: Common | None = None
    # Numbers in one array, not objects in a list: a million views must fit.
    table = np.empty((len(names), 5))
    instances = np.empty(len(names), dtype=np.int64)
    numbered = True
    for k, name in enumerate(names):
        own, place = read_header(folder / name)
        if common is None:
            common = own
        _check_same(folder, names[0], common, name, own)
        table[k] = _numbers(place)
        numbered = numbered and place.instance is not None
        instances[k] = -1 if place.instance is None else place.instance
        if progress is not None:
            progress(k + 1, len(names))
    assert common is not None
    if central_column is not None:
        if not 1 <= central_column <= common.columns:
            raise SettingError(f"the central column must be from 1 to {common.columns}, got {central_column:g}")
        common = replace(common, centre=(central_column, common.centre[1]))
    axes = PatientAxes(position_of(folder, common.patient_position, patient_position))
    order = _order(folder, names, common, table, instances if numbered else None)
    table, files = table[order], tuple(names[k] for k in order)
    study, notes = said_in(folder / files[0])
    found = ProjectionSet(
        folder=folder, files=files, common=common, axes=axes,
        angle_rad=axes.angles(np.unwrap(table[:, 0])), z_mm=axes.along(table[:, 1]),
        angle_shift_rad=axes.along(table[:, 2]), z_shift_mm=axes.along(table[:, 3]), radius_shift_mm=table[:, 4],
        study=study, notes=notes,
    )
    _check_steps(found)
    return found


def _file_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the folder with the projections")
    names = sorted(
        entry.name for entry in folder.iterdir()
        if entry.is_file() and not entry.name.startswith(".") and entry.name.upper() not in ("DICOMDIR", "LICENSE")
    )
    if not names:
        raise InputError(f"{folder}: holds no files; give the folder with the projections")
    if len(names) > MAX_PROJECTIONS:
        raise InputError(f"{folder}: holds {len(names)} files, more than {MAX_PROJECTIONS}; give one scan")
    return names


def _numbers(place: Place) -> tuple[float, ...]:
    return place.angle_rad, place.z_mm, place.angle_shift_rad, place.z_shift_mm, place.radius_shift_mm


def _check_same(folder: Path, first: str, common: Common, name: str, own: Common) -> None:
    for one in fields(Common):
        a, b = getattr(common, one.name), getattr(own, one.name)
        same = math.isclose(a, b, rel_tol=_EQUAL) if isinstance(a, float) and isinstance(b, float) else a == b
        if not same:
            what = one.name.replace("_", " ")
            raise InputError(
                f"{folder}: mixes scans: {what} is {str(a)[:80]} in {first} and {str(b)[:80]} in {name}; "
                "put each scan into a folder of its own"
            )


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


def _check_steps(scan: ProjectionSet) -> None:
    """Raises InputError where the angle jumps within a helix or a circle: a projection is missing or doubled."""
    count, step = len(scan.files), 2 * math.pi / scan.common.per_turn
    if count < 2:
        return
    steps = np.diff(scan.angle_rad)
    within = np.ones(count - 1, dtype=bool)
    if not scan.helical:
        within = np.abs(np.diff(scan.z_mm)) < 0.5 * scan.row_at_axis_mm
    # A step less than half or more than one and a half of what it should be, or against the scan's sense.
    sense = np.sign(np.median(steps[within])) if within.any() else 1.0
    bad = within & (np.abs(sense * steps / step - 1) > 0.5)
    if not bad.any():
        return
    k = int(np.argmax(bad))
    jump = sense * steps[k] / step
    what = f"{round(jump) - 1} projections are missing" if jump > 1 else "two projections stand at one angle"
    raise InputError(
        f"{scan.folder}: {what} between {scan.files[k]} and {scan.files[k + 1]}: the angle moves by {jump:.3g} "
        f"steps of {scan.common.per_turn} in a turn ({int(bad.sum())} such places); copy the scan again, whole"
    )
