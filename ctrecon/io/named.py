"""Arrays by name: what a sidecar's ``arrays`` points to, and the names that need no sidecar."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.as_json import geometry_from_dict, grid_from_dict, measures_in_space
from ctrecon.io.arrayfile import ArrayFile, Describing, Plane, number
from ctrecon.io.facts import read_facts
from ctrecon.io.matrix_scan import MATRIX_PARTS, csr_from_parts
from ctrecon.io.measured import Measured, from_counts
from ctrecon.io.sidecar import Arrays
from ctrecon.measurement.units import LengthUnit
from ctrecon.support.arrays import Array
from ctrecon.support.limits import as_rays

T = TypeVar("T")
Open = Callable[[Path], AbstractContextManager[ArrayFile]]

_MOST_NAMED = 12
_WHITE_NAMES = ("white", "blank", "flat")
_NUMBERS = ("detector_spacing_mm", "detector_offset_mm", "source_to_axis_mm", "source_to_detector_mm")


def read_named(
    file: ArrayFile, arrays: Arrays | None, row: int | None, open_file: Open, *, in_space: bool | None = None
) -> Measured:
    """The arrays a sidecar names, else ``sinogram``, else ``counts`` with ``white``, else the only array there is.

    ``open_file`` opens files beside this one. ``in_space``: whether the geometry that was given is one of a volume, so
    that all rows are wanted; None where none was, then the file's own says it. Raises InputError where nothing fits.
    """
    if arrays is None:
        arrays = _guess(file)
    in_space = _says_space(file) if in_space is None else in_space
    if in_space and arrays.detectors_first:
        raise InputError(f"{file.path}: detectors_first is for data in the plane; store [views, rows, detectors]")
    if arrays.sinogram is not None:
        sinogram, rows = _plane(file, arrays.sinogram, arrays, row, open_file, in_space)
        mask = _mask(file, arrays, row, open_file, in_space)
        if arrays.variance is None:
            bare = not arrays.detectors_first
            return _with_geometry(file, Measured(sinogram=sinogram, mask=mask, rows=max(1, rows), bare=bare))
        variance = _rays(file, arrays.variance, arrays, row, open_file, in_space)
        mean, spread = (number(file, name) if name in file else 1.0 for name in ("whitened_mean", "whitened_spread"))
        measured = Measured(
            sinogram=sinogram, variance=variance, mask=mask, whitened_mean=mean, whitened_spread=spread,
            bare=not arrays.detectors_first, rows=max(1, rows),
        )
        return _with_geometry(file, measured)
    assert arrays.counts is not None
    assert arrays.white is not None
    counts, rows = _plane(file, arrays.counts, arrays, row, open_file, in_space)
    white = _field(file, arrays.white, arrays, row, counts, open_file)
    dark = 0.0 if arrays.dark is None else _field(file, arrays.dark, arrays, row, counts, open_file)
    notes = ("no dark field: taken as zero",) if arrays.dark is None else ()
    measured = from_counts(
        file.path, counts, white, dark, electronic_sigma=arrays.electronic_sigma,
        gain=arrays.gain, notes=notes, mask=_mask(file, arrays, row, open_file, in_space),
        rows=max(1, rows),
    )
    return _with_geometry(file, measured)


def _says_space(file: ArrayFile) -> bool:
    return isinstance(file, Describing) and "geometry" in file and measures_in_space(file.json("geometry"))


def _guess(file: ArrayFile) -> Arrays:
    names = file.names()
    mask = "mask" if "mask" in names else None
    if "sinogram" in names:
        return Arrays(sinogram="sinogram", variance="variance" if "variance" in names else None, mask=mask)
    white = next((name for name in _WHITE_NAMES if name in names), None)
    if "counts" in names and white is not None:
        return Arrays(counts="counts", white=white, dark="dark" if "dark" in names else None, mask=mask)
    one = [name for name in names if name != mask]
    if len(one) == 1:
        return Arrays(sinogram=one[0], mask=mask)
    said = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    raise InputError(
        f"{file.path}: it is not clear which of its arrays ({said or 'none of numbers'}) is the sinogram; "
        'name it by "arrays" in the JSON file beside it (docs/units.md)'
    )


def _load(file: ArrayFile, reference: str, open_file: Open, row: int | None = None) -> tuple[Path, str, Plane]:
    """What ``VARIABLE``, ``FILE:VARIABLE`` or ``FILE.npy`` names, or its ``row``; files only from the same folder."""
    name, colon, variable = reference.partition(":")
    if not colon and not (name.endswith(".npy") and name not in file):
        return file.path, reference, file.read_plane(reference, row)
    beside = file.path.with_name(name) if name and Path(name).name == name and "\\" not in name else None
    if beside is None:
        raise InputError(f"{file.path}: {reference!r} must name a file in the same folder, without a path")
    if not beside.is_file():
        raise InputError(f"{beside}: there is no such file, but the JSON file of {file.path.name} names it")
    with open_file(beside) as other:
        return beside, variable or name, other.read_plane(variable or name, row)


def _rays(
    file: ArrayFile, reference: str, arrays: Arrays, row: int | None, open_file: Open, in_space: bool
) -> Array:
    return _plane(file, reference, arrays, row, open_file, in_space).values


def _plane(
    file: ArrayFile, reference: str, arrays: Arrays, row: int | None, open_file: Open, in_space: bool
) -> Plane:
    path, name, found = _load(file, reference, open_file, None if in_space else row)
    values = as_rays(path, name, found.values, None if found.rows else row, all_rows=in_space)
    return Plane(np.ascontiguousarray(values.T) if arrays.detectors_first else values, found.rows)


def _mask(
    file: ArrayFile, arrays: Arrays, row: int | None, open_file: Open, in_space: bool
) -> Array | None:
    return None if arrays.mask is None else _rays(file, arrays.mask, arrays, row, open_file, in_space)


def _field(
    file: ArrayFile, reference: str, arrays: Arrays, row: int | None, counts: Array, open_file: Open
) -> Array:
    """A white or dark field: one number, one per detector, frames ``[frames, detectors]``, or one per ray.

    Of a volume with the detector's rows side by side.
    """
    path, name, (values, _) = _load(file, reference, open_file)
    if values.size == 1:
        return np.asarray(values, dtype=np.float64).reshape(())
    if counts.ndim == 3:
        if values.shape[-2:] != counts.shape[1:] or values.ndim > 3:
            raise InputError(
                f"{path}: {name} has shape {values.shape}, the counts {counts.shape}; rows and detectors must agree"
            )
        flat = values.reshape(*values.shape[:-2], -1)
        return np.ascontiguousarray(flat, dtype=np.float64)
    if values.ndim == 1 or (values.ndim == 2 and 1 in values.shape):
        return np.asarray(values, dtype=np.float64).reshape(-1)
    # Frames of one row, [frames, detectors], may stand beside counts of several.
    values = as_rays(path, name, values, row if values.ndim == 3 else None)
    turned = values.T if arrays.detectors_first else values
    if turned.shape[1] != counts.shape[1]:
        raise InputError(f"{path}: {name} has shape {turned.shape}, the counts {counts.shape}; detectors must agree")
    return np.ascontiguousarray(turned)


def _with_geometry(file: ArrayFile, measured: Measured) -> Measured:
    """That of an ``.npz`` file or a zarr store: ``geometry`` as JSON text, or a sidecar's entries as arrays."""
    if not isinstance(file, Describing):
        return measured
    if "water_mu_per_mm" in file:
        measured = replace(measured, water_mu_per_mm=number(file, "water_mu_per_mm"))
    if "scan" in file:
        # Our own file: its counts have the dark field taken off, and are kept beside what was made of them.
        kept = [name for name in ("counts", "white") if name in file]
        space = measured.sinogram.ndim == 3
        own: dict[str, Any] = {name: as_rays(file.path, name, file.read(name), all_rows=space) for name in kept}
        measured = replace(measured, facts=read_facts(str(file.path), file.json("scan")), **own)
    if MATRIX_PARTS[0] in file:
        data, indices, indptr, columns = (file.read(part) for part in MATRIX_PARTS)
        matrix = csr_from_parts(file.path, data, indices, indptr, columns, measured.sinogram.size)
        measured = replace(measured, matrix=matrix)
    values: object
    unit: LengthUnit | None = None
    note = "geometry from the file"
    if "geometry" in file:
        values = file.json("geometry")
    elif "image" in file:
        return replace(measured, grid=_checked(file, lambda: grid_from_dict(file.json("image"))))
    elif "angles_deg" in file or "angles_rad" in file:
        key = "angles_deg" if "angles_deg" in file else "angles_rad"
        if "detector_spacing_mm" not in file:
            if "source_to_axis_mm" in file:
                raise InputError(f"{file.path}: gives source_to_axis_mm but no detector_spacing_mm; add it")
            note += "; it gives no detector_spacing_mm, so lengths are in detector cells"
            unit = "cell"
        entries: dict[str, object] = {key: file.read(key).reshape(-1).tolist(), "detector_spacing_mm": 1.0}
        entries |= {name: number(file, name) for name in _NUMBERS if name in file}
        entries["geometry"] = "fan" if "source_to_axis_mm" in entries else "parallel"
        values = entries
    else:
        return measured
    geometry, grid = _checked(
        file,
        lambda: geometry_from_dict(values, detector_count=measured.sinogram.shape[-1]),  # type: ignore[arg-type]
    )
    return replace(measured, geometry=geometry, grid=grid, geometry_from=note, length_unit=unit)


def _checked(file: ArrayFile, make: Callable[[], T]) -> T:
    """What ``make`` gives; its errors name the file."""
    try:
        return make()
    except CtreconError as error:
        raise InputError(f"{file.path}: {error}") from None
