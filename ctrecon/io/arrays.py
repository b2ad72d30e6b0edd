"""Scans in: one call for every format, dispatched by the name's suffix."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import CtreconError, GeometryError, InputError
from ctrecon.geometry.as_json import measures_in_space
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.io.ask import Ask
from ctrecon.io.data_exchange import is_data_exchange, read_data_exchange
from ctrecon.io.formats import Format, all_formats, format_of
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.helsinki import helsinki_struct, read_helsinki
from ctrecon.io.lodopab import is_lodopab, read_lodopab
from ctrecon.io.matlab import open_mat
from ctrecon.io.matrix_scan import read_matrix_scan
from ctrecon.io.measured import Measured
from ctrecon.io.named import read_named
from ctrecon.io.nxtomo import image_keys, is_cil, read_cil, read_nxtomo
from ctrecon.io.open_file import HDF5_SUFFIXES, check_file, open_file
from ctrecon.io.sidecar import Arrays, Sidecar, find_sidecar
from ctrecon.io.transmission import blank_of, read_transmission
from ctrecon.io.turned import turned, views_said
from ctrecon.io.turns import ASK, TURNS, parallel_turn
from ctrecon.io.zarr_metadata import is_zarr
from ctrecon.measurement.center import with_center
from ctrecon.measurement.dead import without_stuck
from ctrecon.measurement.mask import mask_of_lines
from ctrecon.measurement.patient_position import lying
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.units import LengthUnit
from ctrecon.support.arguments import checked


@checked
def read_scan(
    path: str | os.PathLike[str],
    *,
    geometry: str | os.PathLike[str] | Geometry | None = None,
    row: int | None = None,
    image: int | None = None,
    all_rows: bool = False,
    bin: int = 1,
    detectors_first: bool | None = None,
    every: int = 1,
    size: int | None = None,
    pixel_mm: float | None = None,
    center: float | str | None = None,
    z_mm: float | None = None,
    patient_position: str | None = None,
) -> Scan:
    """Read a measured scan; ``docs/units.md`` lists the formats and what each file must hold.

    Args:
        path: A file of a known format, or a folder of projections (DICOM-CT-PD, or TIFF).
        geometry: Goes before ``NAME.json`` beside the data and before the data's own: a JSON file, a geometry in mm,
            or ``"parallel-180"`` or ``"parallel-360"`` for parallel beams evenly over half a turn or a whole one, with
            lengths in detector cells. A file that says nothing of its geometry needs it: none is assumed.
        row: Of the detector, where there are several.
        image: Which of several sinograms in a file, from 0.
        all_rows: All rows of the detector together, a volume, where the format is of a scanner that measures one, or of
            a folder of projections.
        bin: So many cells of the detector are added up in each direction; it must divide their numbers.
        detectors_first: Whether the array is ``[detectors, views]``; None takes it so where the geometry's number of
            views says it, and asks where only the data do.
        every: Keep one view in so many.
        size: Of the (square) image, in pixels.
        pixel_mm: Of the image, in mm (in cells where lengths are).
        center: The column that the rotation axis projects to, or "auto".
        z_mm: The slice of a folder of projections (``docs/projections.md``), by default the middle one.
        patient_position: How the patient lay, a term of DICOM such as ``"HFS"``, where the data do not say it.

    Returns:
        The scan; what had to be assumed is in its ``notes``.

    Raises:
        InputError: One line with file, value and remedy, for anything that cannot be read whole and sound, or does not
            say how it was measured.
        GeometryError: For an impossible grid.
    """
    path = Path(path)
    form = format_of(path)
    ask = _asked(path, form, row=row, image=image, all_rows=all_rows, cells=bin)
    if path.is_dir() and form is None and not is_zarr(path):
        if geometry is not None or row is not None or image is not None:
            raise InputError(f"{path}: projections bring their own geometry; drop --geometry, --row and --image")
        if all_rows:
            scan = _volume_of(path, z_mm, patient_position, every)
            return with_center(scan, center).with_grid(size=size, pixel_mm=pixel_mm)
        scan = _slice_of(path, z_mm, patient_position)
        return with_center(scan, center).every(every).with_grid(size=size, pixel_mm=pixel_mm)
    if z_mm is not None:
        raise InputError(f"{path}: is a single slice; --z belongs to a folder of projections")
    found = read_plane(path, ask, geometry, detectors_first)
    scan = lying(found.scan, patient_position)
    scan = with_center(scan, found.center if center is None else center).every(every)
    try:
        return scan.with_grid(size=size, pixel_mm=pixel_mm)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class ReadPlane:
    """A scan as the file has it; where the file says that the rotation axis projects; one of so many detector rows."""

    scan: Scan
    center: float | str | None
    rows: int


def read_plane(
    path: Path, ask: Ask, geometry: str | os.PathLike[str] | Geometry | None, detectors_first: bool | None = None
) -> ReadPlane:
    """What ``read_scan`` reads of a file, before it is centred. Raises InputError."""
    form = format_of(path)
    if form is None and not is_zarr(path):
        check_file(path)
    given = None if geometry is None else str(geometry) if str(geometry) in TURNS else geometry
    file = Path(given) if isinstance(given, str | os.PathLike) and given not in TURNS else None
    sidecar = find_sidecar(path, file)
    space = _in_space(given, file, sidecar)
    measured = _read(path, sidecar, ask, space) if form is None else form.read(path, ask)
    kept = sidecar is not None and sidecar.arrays is not None and sidecar.arrays.detectors_first
    measured = turned(
        path, measured, views_said(given if file is None else None, sidecar, measured),
        False if kept else detectors_first,
    )
    where = _place(measured, sidecar, path, given if file is None else None)
    facts = {name: getattr(measured, name) for name in ("whitened_mean", "whitened_spread", "water_mu_per_mm")}
    facts |= measured.facts
    facts |= {} if sidecar is None else sidecar.facts
    said = () if "notes" in facts and where.own else (where.note,)
    facts |= {"notes": (*measured.notes, *facts.get("notes", ()), *filter(None, said))}
    facts |= {} if where.length_unit is None else {"length_unit": where.length_unit}
    scan = Scan(
        sinogram=measured.sinogram,
        geometry=where.geometry,
        grid=where.grid,
        variance=measured.variance,
        mask=measured.mask,
        counts=measured.counts,
        white=measured.white,
        matrix=measured.matrix,
        source=str(path),
        **facts,
    )
    if sidecar is not None and (sidecar.bad_columns or sidecar.bad_views):
        bad = mask_of_lines(str(sidecar.path), scan.sinogram.shape, sidecar.bad_columns, sidecar.bad_views)
        scan = scan.without(bad, f"by {sidecar.path.name}")
    return ReadPlane(
        scan=without_stuck(scan), center=measured.center if where.seek_axis else None, rows=measured.rows
    )


def _asked(path: Path, form: Format | None, *, row: int | None, image: int | None, all_rows: bool, cells: int) -> Ask:
    """Raises InputError for what the format has no answer to."""
    if isinstance(cells, bool) or not isinstance(cells, int) or cells < 1:
        raise InputError(f"{path}: bin must be a whole number >= 1, got {cells}")
    if all_rows and row is not None:
        raise InputError(f"{path}: --all-rows reads every detector row, so drop --row {row}")
    stacks = form is None and path.suffix.lower() in HDF5_SUFFIXES  # what is in the file says whether it is one
    stacks = stacks or (cells == 1 and form is None and path.is_dir() and not is_zarr(path))  # of CT projections
    if (all_rows or cells > 1) and not stacks and (form is None or not form.volumes):
        what = "--all-rows" if all_rows else f"--bin {cells}"
        known = ", ".join(one.name for one in all_formats() if one.volumes)
        raise InputError(f"{path}: {what} is for projections of {known}; drop it (arrays [views, rows, detectors] "
                         "need a geometry in space, docs/units.md)")  # fmt: skip
    return Ask(row=row, image=image, all_rows=all_rows, bin=cells)


def _volume_of(folder: Path, z_mm: float | None, patient_position: str | None, every: int) -> Scan:
    # Here, because the import is slow and most runs do without.
    from ctrecon.dicom.raw.projections import read_projections
    from ctrecon.dicom.raw.whole import whole_scan

    if z_mm is not None:
        raise InputError(f"{folder}: --all-rows reads a volume, so drop --z {z_mm:g}")
    return whole_scan(read_projections(folder, patient_position=patient_position), every=every)


def _slice_of(folder: Path, z_mm: float | None, patient_position: str | None) -> Scan:
    # Here, because the import is slow and most runs do without.
    from ctrecon.dicom.raw.projections import read_projections
    from ctrecon.dicom.raw.rebin import rebin, slice_positions

    projections = read_projections(folder, patient_position=patient_position)
    places = slice_positions(projections)
    z = float(places[len(places) // 2]) if z_mm is None else z_mm
    scan = rebin(projections, z)
    note = f"the folder holds slices from z = {places[0]:.3f} to {places[-1]:.3f} mm; this is z = {z:.3f} mm"
    return replace(scan, source=str(folder), notes=(*scan.notes, note))


def _in_space(given: Any, file: Path | None, sidecar: Sidecar | None) -> bool | None:
    """Whether the geometry given, or that beside the data, is one of a volume; None where there is none."""
    if given is not None and file is None:
        return not isinstance(given, str) and len(given.shape) == 3
    return None if sidecar is None or sidecar.geometry is None else measures_in_space(sidecar.geometry)


def _read(path: Path, sidecar: Sidecar | None, ask: Ask, in_space: bool | None) -> Measured:
    row, opened = ask.row, partial(open_file, ahead=ask.ahead)
    arrays: Arrays | None = None if sidecar is None else sidecar.arrays
    suffix = path.suffix.lower()
    if arrays is None and suffix == ".mat":
        with open_mat(path) as mat:
            struct = helsinki_struct(mat)
            blank = blank_of(path)
            sparse = mat.is_sparse("A") and "m" in mat
            if row is not None and (struct is not None or sparse or blank is not None):
                raise InputError(f"{path}: this format has a single detector row; drop --row")
            if struct is not None:
                return read_helsinki(mat, struct)
            if sparse:
                return read_matrix_scan(mat)
            if blank is not None:
                return read_transmission(mat, blank)
            return read_named(mat, None, row, open_file, in_space=in_space)
    if arrays is None and suffix in HDF5_SUFFIXES:
        with Hdf5File(path, ask.ahead) as file:
            detector = image_keys(file)
            if is_data_exchange(file) and not ask.all_rows and ask.bin == 1:
                return read_data_exchange(file, ask)
            if detector is not None:
                return read_nxtomo(file, detector, ask)
            if ask.all_rows or ask.bin > 1:
                raise InputError(f"{path}: --all-rows and --bin are for NXtomo among HDF5 files; drop them, or give a "
                                 "geometry in space for [views, rows, detectors] (docs/units.md)")  # fmt: skip
            if is_cil(file):
                return read_cil(file, ask)
            if is_lodopab(file):
                return read_lodopab(file, ask)
            return read_named(file, None, row, opened, in_space=in_space)
    with opened(path) as named:
        return read_named(named, arrays, row, opened, in_space=in_space)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the rays ran and who says so. ``length_unit`` is None for what the file states, else mm.

    ``own``: whether the file that states the scan's notes states the geometry, too. ``seek_axis``: whether the format's
    own word on the rotation axis counts.
    """

    geometry: Geometry | None
    grid: Grid | None
    note: str = ""
    length_unit: LengthUnit | None = None
    own: bool = False
    seek_axis: bool = True


def _place(measured: Measured, sidecar: Sidecar | None, path: Path, given: Any) -> _Place:
    """What was asked for before the sidecar before the data's own geometry. Raises InputError where none says it."""
    views, detectors = measured.sinogram.shape[0], measured.sinogram.shape[-1]
    if isinstance(given, str):
        rows = measured.sinogram.shape[1] if measured.sinogram.ndim == 3 else None
        turn, square, note = parallel_turn(str(path), given, views, detectors, rows)
        return _Place(geometry=turn, grid=square, note=note + _other(measured, turn), length_unit="cell")
    if given is not None:
        note = "geometry as given" + _other(measured, given)
        return _Place(geometry=given, grid=None, note=note, length_unit="mm", seek_axis=False)
    if sidecar is not None and sidecar.geometry is not None:
        geometry, grid = sidecar.read_geometry(detectors)
        note = f"geometry from {sidecar.path.name}"
        if measured.geometry is not None and (measured.geometry, measured.grid) != (geometry, grid):
            note += "; the data file's own differs and was not used, so check that the JSON file is not an old one"
        return _Place(geometry=geometry, grid=grid, note=note, own="notes" in sidecar.facts, seek_axis=False)
    if measured.geometry is not None or measured.matrix is not None:
        return _Place(
            geometry=measured.geometry, grid=measured.grid, note=measured.geometry_from,
            length_unit=measured.length_unit, own="notes" in measured.facts,
        )
    if measured.angles_deg is None:
        raise InputError(
            f"{path}: nothing says how its {views} views of {detectors} detectors were measured; {ASK}"
        )
    note = "no geometry file: parallel beam with the file's angles, unit pixels (lengths are in detector cells)"
    try:
        angles = tuple(np.deg2rad(measured.angles_deg).tolist())
        if measured.sinogram.ndim == 3:
            levels = ParallelRows(
                angles_rad=angles, detector_count=detectors, detector_rows=measured.sinogram.shape[1]
            )
            return _Place(geometry=levels, grid=None, note=note, length_unit="cell")
        beam = ParallelBeam(angles_rad=angles, detector_count=detectors)
        return _Place(geometry=beam, grid=Grid(rows=detectors, columns=detectors), note=note, length_unit="cell")
    except CtreconError as error:
        raise InputError(
            f"{path}: its sinogram of {views} views and {detectors} detectors cannot be used: {error}"
        ) from None


def _other(measured: Measured, geometry: Geometry) -> str:
    differs = measured.geometry is not None and measured.geometry != geometry
    return "; the data file's own differs and was not used" if differs else ""
