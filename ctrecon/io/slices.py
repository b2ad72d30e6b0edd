"""Slices to be reconstructed one by one or together, read when they are asked for: a stack is never in memory whole.

Two kinds: the rows of a detector whose rays do not leave their plane (parallel beams; files of TIFF, HDF5, npy), and
the planes to which a folder of CT projections is rebinned. In space (cone beams) rows mix: that is one volume.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from ctrecon.corrections import corrected
from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.rebin import radius_of_object_mm, rebin, slice_positions
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import ReadPlane, read_plane
from ctrecon.io.ask import Ahead, Ask
from ctrecon.io.formats import format_of
from ctrecon.measurement.center import with_center
from ctrecon.measurement.extent import grid_of_object, object_radius_mm
from ctrecon.measurement.patient_position import lying
from ctrecon.measurement.scan import Scan

# In so many rows it is looked how far the object reaches.
_LOOKED_AT = 5
MOST_SLICES = 9999


class InSpaceError(InputError):
    """A scan that is one volume, not slices: the caller may reconstruct it as that."""


@dataclass(frozen=True, kw_only=True)
class HowRead:
    """What ``read_scan`` is told of a single slice, of all of them: see there. ``spacing_mm``: from slice to slice."""

    geometry: str | os.PathLike[str] | Geometry | None = None
    image: int | None = None
    detectors_first: bool | None = None
    every: int = 1
    size: int | None = None
    pixel_mm: float | None = None
    center: float | str | None = None
    correct: str | None = None
    patient_position: str | None = None
    spacing_mm: float | None = None


class StackSource(Protocol):
    """Slices from the lowest z on. All stand on one grid; ``shared``: all have one geometry."""

    name: str
    shared: bool

    @property
    def z_mm(self) -> tuple[float, ...]:
        """Where each stands, in the scan's unit of length."""
        ...

    def read(self, k: int) -> Scan:
        """Slice ``k``, from 0: centred, on the grid. Raises InputError."""
        ...


def open_stack(path: str | os.PathLike[str], how: HowRead, *, ahead: int = 1) -> StackSource:
    """The slices of a file or folder.

    Args:
        path: As for ``read_scan``.
        how: What each is read with.
        ahead: How many slices are asked for together.

    Returns:
        Nothing but headers and a few rows is read yet.

    Raises:
        InputError: Where there is but one slice, or what is there cannot be read.
        SettingError: Options that do not go with projections.
    """
    path = Path(path)
    if path.is_dir() and format_of(path) is None:
        return ProjectedPlanes(path, how)
    if path.suffix.lower() == ".dcm":
        raise InputError(f"{path}: is one projection; --all-slices and --spacing go with a folder of projections")
    return DetectorRows(path, how, ahead=ahead)


class DetectorRows:
    """Every row of a detector as a slice: row 0 lowest, as far apart as the rows are, or as ``spacing_mm`` says.

    The axis is where the middle row shows it, for all; the grid is over the object where it is largest, of a few rows.
    """

    shared = True

    def __init__(self, path: Path, how: HowRead, *, ahead: int = 1) -> None:
        self.name, self._path, self._how, self._ahead = str(path), path, how, Ahead(ahead)
        self.rows = self._count()
        if self.rows > MOST_SLICES:
            raise InputError(f"{path}: has {self.rows} detector rows, more than {MOST_SLICES} slices; cut it in parts")

    def _count(self) -> int:
        try:
            rows = self._plane(0).rows
        except InputError:
            self._plane(None)  # what cannot be read at all says so
            rows = 1
        if rows < 2:
            raise InputError(f"{self._path}: has a single slice to reconstruct; give -o NAME.npy, without --all-slices")
        return rows

    def _plane(self, row: int | None) -> ReadPlane:
        how = self._how
        ask = Ask(row=row, image=how.image, ahead=self._ahead)
        found = read_plane(self._path, ask, how.geometry, how.detectors_first)
        scan = found.scan
        if scan.in_space:
            raise InSpaceError(f"{self._path}: is measured in space, one volume and no stack; drop --all-slices")
        scan = scan if self._how.correct is None else corrected(scan, self._how.correct)
        return replace(found, scan=lying(scan, self._how.patient_position))

    @cached_property
    def _middle(self) -> Scan:
        found = self._plane(self.rows // 2)
        return with_center(found.scan, found.center if self._how.center is None else self._how.center)

    @cached_property
    def _grid(self) -> Grid | None:
        scan, how = self._middle, self._how
        if scan.matrix is not None or scan.grid is not None or how.size is not None or how.pixel_mm is not None:
            return scan.with_grid(size=how.size, pixel_mm=how.pixel_mm).grid
        assert scan.geometry is not None
        rows = {round(k) for k in np.linspace(0, self.rows - 1, _LOOKED_AT)} | {self.rows // 2}
        found = [object_radius_mm(_usable(self._plane(row).scan), scan.geometry) for row in sorted(rows)]
        return grid_of_object(scan.geometry, max((radius for radius in found if radius is not None), default=None))

    @cached_property
    def spacing_mm(self) -> float:
        """From slice to slice: as asked, else a detector cell as seen at the axis."""
        given = self._how.spacing_mm
        if given is not None:
            if not (np.isfinite(given) and given > 0):
                raise SettingError(f"the spacing of slices must be > 0 mm, got {given:g}")
            return given
        geometry = self._middle.geometry
        if geometry is None:
            return 1.0
        orbit = geometry.orbit
        near, far = (None, None) if orbit is None else (orbit.source_to_axis_mm, orbit.source_to_detector_mm)
        scale = 1.0 if near is None or far is None else near / far
        return geometry.detector_spacing_mm * scale

    @property
    def z_mm(self) -> tuple[float, ...]:
        return tuple(((np.arange(self.rows) - (self.rows - 1) / 2) * self.spacing_mm).tolist())

    def read(self, k: int) -> Scan:
        scan, middle = self._plane(k).scan, self._middle
        said = "given" if self._how.spacing_mm is not None else "that of the columns, as far as is known"
        notes = [note for note in middle.notes if note not in scan.notes and note.startswith("rotation axis")]
        notes.append(
            f"each detector row is a slice: row 0 the lowest, {self.spacing_mm:.6g} {scan.units.length} apart ({said})"
        )
        scan = replace(
            scan, geometry=middle.geometry, grid=self._grid, image_shape=None if self._grid else scan.image_shape,
            z_mm=self.z_mm[k], source=f"{self.name}, row {k}",
            notes=(*(note for note in scan.notes if not note.startswith("detector row")), *notes),
        )  # fmt: skip
        return scan.every(self._how.every)


class ProjectedPlanes:
    """The slices of a folder of CT projections, each rebinned when it is asked for: each with angles of its own."""

    shared = False

    def __init__(self, folder: Path, how: HowRead) -> None:
        for name in ("geometry", "image", "detectors_first", "center"):
            if getattr(how, name) is not None:
                raise SettingError(
                    f"{folder}: projections bring their own geometry; drop --geometry, --row, --image, "
                    "--detectors-first and --center"
                )
        self.name, self._how = str(folder), how
        self._projections = read_projections(folder, patient_position=how.patient_position)
        self._z = tuple(float(z) for z in slice_positions(self._projections, spacing_mm=how.spacing_mm))

    @property
    def z_mm(self) -> tuple[float, ...]:
        return self._z

    def _plane(self, k: int) -> Scan:
        scan = rebin(self._projections, self._z[k])
        return (scan if self._how.correct is None else corrected(scan, self._how.correct)).every(self._how.every)

    @cached_property
    def _grid(self) -> Grid | None:
        return _grid_of_all(self._projections, self._plane(0), self._how)

    def read(self, k: int) -> Scan:
        # Though a flying focal spot changes the field of view a little from slice to slice.
        return replace(self._plane(k), grid=self._grid, image_shape=None)


def _grid_of_all(projections: ProjectionSet, first: Scan, how: HowRead) -> Grid | None:
    """The grid of every slice: where nothing is asked for, over the object where it is largest."""
    if how.size is None and how.pixel_mm is None and first.geometry is not None:
        return grid_of_object(first.geometry, radius_of_object_mm(projections))
    return first.with_grid(size=how.size, pixel_mm=how.pixel_mm).grid


def _usable(scan: Scan) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(scan.sinogram if scan.mask is None else np.where(scan.mask, scan.sinogram, 0), dtype=np.float64)
