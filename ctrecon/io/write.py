"""Arrays and scans out, whole or not at all."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.io.facts import ARRAYS, facts_of
from ctrecon.io.matrix_scan import MATRIX_PARTS
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import Files, atomic_files, atomic_write
from ctrecon.support.limits import check_number_type


def write_array(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array of real numbers as ``.npy``, whole or not at all; the same array gives the same bytes.

    Args:
        path: Of the file.
        array: Of any shape.

    Raises:
        InputError: For other types.
        OutputError: Where it cannot be written.
    """
    with atomic_write(path) as temporary:
        put_array(temporary, array, Path(path))


def put_array(place: Path, array: Array, path: Path) -> None:
    """Write ``array`` to the temporary file ``place`` that will become ``path``. Raises InputError for other types."""
    values = np.ascontiguousarray(array)
    check_number_type(path, "the array", values.dtype)
    with place.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        # Not ndarray.tofile: on a full disk it raises an error that does not say so.
        stream.write(values.data if values.size else b"")


def write_scan(path: str | os.PathLike[str], scan: Scan) -> None:
    """Write a scan that ``read_scan`` reads back equal, in every field but ``source``, which is then the file.

    ``.npz`` holds all there is. ``.npy`` holds the sinogram, with the rest in ``NAME.json`` beside it; variances,
    counts and a matrix have no place there.

    Args:
        path: ``NAME.npz`` or ``NAME.npy``.
        scan: What to write.

    Raises:
        InputError: For another suffix, or a scan with more than the format holds.
        OutputError: Where it cannot be written.
    """
    with atomic_files() as place:
        put_scan(place, Path(path), scan)


def put_scan(place: Files, path: Path, scan: Scan) -> None:
    """The same as part of what ``place`` writes together."""
    writers = {".npy": _put_npy, ".npz": _put_npz}
    if path.suffix not in writers:
        raise InputError(f"{path}: a scan is written as .npy or .npz, not {path.suffix or 'without a suffix'}")
    writers[path.suffix](place, path, scan)


def _put_npy(place: Files, path: Path, scan: Scan) -> None:
    more = [name for name in (*ARRAYS[1:], "matrix") if getattr(scan, name) is not None]
    if more:
        raise InputError(f"{path}: cannot hold the {', '.join(more)} of this scan; write it as .npz")
    put_array(place(path), scan.sinogram, path)
    assert scan.geometry is not None  # there is no matrix
    stated = json.loads(geometry_to_json(scan.geometry, scan.grid))
    text = json.dumps({**stated, "scan": facts_of(scan)}, allow_nan=False)
    place(path.with_suffix(".json")).write_text(text + "\n", encoding="utf-8")


def _put_npz(place: Files, path: Path, scan: Scan) -> None:
    place(path).write_bytes(npz_bytes(scan))


def npz_bytes(scan: Scan) -> bytes:
    """What ``write_scan`` puts into a ``.npz`` file."""
    arrays: dict[str, Any] = {name: getattr(scan, name) for name in ARRAYS if getattr(scan, name) is not None}
    if scan.geometry is not None:
        arrays["geometry"] = np.array(geometry_to_json(scan.geometry, scan.grid))
    elif scan.grid is not None:
        arrays["image"] = np.array(json.dumps(scan.grid.to_dict()))
    if scan.matrix is not None:
        m = scan.matrix
        arrays |= dict(zip(MATRIX_PARTS, (m.data, m.indices, m.indptr, np.int64(m.shape[1])), strict=True))
    arrays["scan"] = np.array(json.dumps(facts_of(scan), allow_nan=False))
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
