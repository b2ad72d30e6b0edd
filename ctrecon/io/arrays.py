"""Sinogram files in, arrays out: one call for every format, dispatched by the name's suffix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.arc_fan import Beam
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrayfile import ArrayFile
from ctrecon.io.data_exchange import is_data_exchange, read_data_exchange
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.helsinki import helsinki_struct, read_helsinki
from ctrecon.io.matlab import HDF5_SIGNATURE, open_mat
from ctrecon.io.matrix_scan import read_matrix_scan
from ctrecon.io.measured import Measured
from ctrecon.io.named import read_named
from ctrecon.io.npy import NpyFile, NpzFile
from ctrecon.io.sidecar import Arrays, Sidecar, find_sidecar
from ctrecon.io.transmission import blank_of, read_transmission
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_write
from ctrecon.support.limits import check_number_type

__all__ = ["SUFFIXES", "read_scan", "write_array", "write_scan"]

_HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
SUFFIXES = (".npy", ".npz", ".mat", *_HDF5_SUFFIXES)


def read_scan(
    path: str | os.PathLike[str],
    *,
    geometry_file: str | os.PathLike[str] | None = None,
    row: int | None = None,
    every: int = 1,
    size: int | None = None,
    pixel_mm: float | None = None,
    center: float | str | None = None,
    z_mm: float | None = None,
) -> Scan:
    """Read a measured scan; ``docs/units.md`` lists the formats and what each file must hold.

    ``geometry_file``: a JSON file that goes before ``NAME.json`` beside the data and before the data's own geometry.
    ``row``: of the detector, where there are several. ``every``: keep one view in so many.
    ``size``, ``pixel_mm``: of the (square) image. ``center``: column the rotation axis projects to, or "auto".
    ``z_mm``: the slice of a folder of DICOM-CT-PD projections (``docs/projections.md``), by default the middle one.

    What had to be assumed is in ``Scan.notes``. Raises InputError (one line: file, value, remedy) for anything that
    cannot be read whole and sound, GeometryError for an impossible grid.
    """
    path = Path(path)
    if path.is_dir():
        if geometry_file is not None or row is not None:
            raise InputError(f"{path}: projections bring their own geometry; drop --geometry and --row")
        return _with_center(_slice_of(path, z_mm), center).every(every).with_grid(size=size, pixel_mm=pixel_mm)
    if z_mm is not None:
        raise InputError(f"{path}: is a single slice; --z belongs to a folder of projections")
    _check_file(path)
    sidecar = find_sidecar(path, None if geometry_file is None else Path(geometry_file))
    measured = _read(path, sidecar, row)
    geometry, grid, notes = _geometry(measured, sidecar)
    scan = Scan(
        sinogram=measured.sinogram,
        geometry=geometry,
        grid=grid,
        variance=measured.variance,
        counts=measured.counts,
        white=measured.white,
        whitened_mean=measured.whitened_mean,
        matrix=measured.matrix,
        water_mu_per_mm=measured.water_mu_per_mm,
        source=str(path),
        notes=(*measured.notes, *notes),
    )
    if center is None and (sidecar is None or sidecar.geometry is None):
        center = measured.center
    return _with_center(scan, center).every(every).with_grid(size=size, pixel_mm=pixel_mm)


def _slice_of(folder: Path, z_mm: float | None) -> Scan:
    # Here, because the import is slow and most runs do without.
    from ctrecon.dicom.raw.projections import read_projections
    from ctrecon.dicom.raw.rebin import rebin, slice_positions

    projections = read_projections(folder)
    places = slice_positions(projections)
    z = float(places[len(places) // 2]) if z_mm is None else z_mm
    scan = rebin(projections, z)
    note = f"the folder holds slices from z = {places[0]:.3f} to {places[-1]:.3f} mm; this is z = {z:.3f} mm"
    return replace(scan, source=str(folder), notes=(*scan.notes, note))


def _check_file(path: Path) -> None:
    """Raises InputError unless this is a file, not empty, of a known suffix, and not plainly something else."""
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "there is no such file"
            raise InputError(f"{path}: {what}; give a sinogram ({', '.join(SUFFIXES)})")
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not head:
        raise InputError(f"{path}: is empty; copy or write it again")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: files ending in {suffix or 'nothing'} are not known; known are {known}")
    expected = {".npy": b"\x93NUMPY", ".npz": b"PK"}.get(suffix)
    if suffix in _HDF5_SUFFIXES:
        expected = HDF5_SIGNATURE
    if expected is None or head.startswith(expected):
        if suffix != ".mat" or not head.startswith(b"PK"):
            return
    raise InputError(f"{path}: does not hold what its suffix {suffix} says: it {_looks_like(head)}; check the file")


def _looks_like(head: bytes) -> str:
    if head.startswith(b"PK"):
        return "is a zip file"
    if head.startswith(HDF5_SIGNATURE):
        return "is an HDF5 file"
    if head.startswith(b"MATLAB"):
        return "is a MATLAB file"
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a Python pickle, which is never loaded"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return "is text"
    return f"begins with {head[:8]!r}"


@contextmanager
def _open(path: Path) -> Iterator[ArrayFile]:
    """A file of any known format, by its suffix, as named arrays."""
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        yield NpyFile(path)
    elif suffix == ".npz":
        yield NpzFile(path)
    elif suffix == ".mat":
        with open_mat(path) as mat:
            yield mat
    else:
        with Hdf5File(path) as file:
            yield file


def _read(path: Path, sidecar: Sidecar | None, row: int | None) -> Measured:
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
            return read_named(mat, None, row, _open)
    if arrays is None and suffix in _HDF5_SUFFIXES:
        with Hdf5File(path) as file:
            if is_data_exchange(file):
                return read_data_exchange(file, row)
            return read_named(file, None, row, _open)
    with _open(path) as named:
        return read_named(named, arrays, row, _open)


def _geometry(
    measured: Measured, sidecar: Sidecar | None
) -> tuple[Beam | None, Grid | None, tuple[str, ...]]:
    """Sidecar before the data's own geometry before the plainest assumption, which is said."""
    views, detectors = measured.sinogram.shape
    if sidecar is not None and sidecar.geometry is not None:
        geometry, grid = sidecar.read_geometry(detectors)
        note = f"geometry from {sidecar.path.name}"
        own = measured.geometry, measured.grid
        if measured.geometry is not None and own != (geometry, grid):
            note += "; the data file's own differs and was not used, so check that the JSON file is not an old one"
        return geometry, grid, (note,)
    if measured.geometry is not None or measured.matrix is not None:
        return measured.geometry, measured.grid, (measured.geometry_from,) if measured.geometry_from else ()
    if measured.angles_deg is not None:
        angles = np.deg2rad(measured.angles_deg)
        note = "no geometry file: parallel beam with the file's angles, unit pixels (lengths are in detector cells)"
    else:
        angles = np.arange(views) * np.pi / views
        note = "no sidecar: parallel beam, angles over 180 degrees, unit pixels (lengths are in detector cells)"
    try:
        grid = Grid(rows=detectors, columns=detectors)
        return ParallelBeam(angles_rad=tuple(angles.tolist()), detector_count=detectors), grid, (note,)
    except CtreconError as error:
        raise InputError(f"the sinogram of {views} views and {detectors} detectors cannot be used: {error}") from None


def _with_center(scan: Scan, center: float | str | None) -> Scan:
    """``center`` as a column, a text that holds one, or "auto"."""
    if center is None:
        return scan
    if isinstance(center, str) and center.strip().lower() == "auto":
        if scan.geometry is None:
            raise InputError(f"{scan.source}: the rotation axis cannot be sought where only a matrix is given")
        try:
            found = estimate_center(scan.sinogram, scan.geometry)
        except InputError as error:
            raise InputError(f"{scan.source}: {error}") from None
        note = f"rotation axis estimated at column {found.column:.2f} by {found.how}"
        return replace(scan.with_center(found.column), notes=(*scan.notes, note))
    try:
        column = float(center)
    except ValueError:
        raise InputError(f"{scan.source}: --center must be a column or auto, got {center!r}") from None
    return scan.with_center(column)


def write_array(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array of real numbers as ``.npy``, whole or not at all; the same array gives the same bytes.

    Raises InputError for other types, OutputError where it cannot be written.
    """
    values = np.ascontiguousarray(array)
    check_number_type(Path(path), "the array", values.dtype)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        # Not ndarray.tofile: on a full disk it raises an error that does not say so.
        stream.write(values.data if values.size else b"")


def write_scan(path: str | os.PathLike[str], scan: Scan) -> None:
    """Write a scan that ``read_scan`` reads back equal: ``.npz`` whole, or ``.npy`` with its JSON file (no variances).

    Raises InputError for another suffix or a scan without geometry, OutputError where it cannot be written.
    """
    path = Path(path)
    if scan.geometry is None:
        raise InputError(f"{path}: a scan given by a matrix alone cannot be written in this format")
    text = geometry_to_json(scan.geometry, scan.grid)
    if path.suffix == ".npy":
        write_array(path, scan.sinogram)
        with atomic_write(path.with_suffix(".json")) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {"sinogram": scan.sinogram, "geometry": np.array(text)}
        if scan.variance is not None:
            arrays["variance"] = scan.variance
            arrays["whitened_mean"] = np.array(scan.whitened_mean)
        if scan.water_mu_per_mm is not None:
            arrays["water_mu_per_mm"] = np.float64(scan.water_mu_per_mm)
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
    else:
        raise InputError(f"{path}: a scan is written as .npy or .npz, not {path.suffix or 'without a suffix'}")
