"""What every kind of certificate is made of: arrays as the checker reads them, their hashes, the files."""

from __future__ import annotations

import hashlib
import io
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.sparse

from ctrecon.certificates import verify
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import Files, atomic_files
from ctrecon.support.places import check_places


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A proved ``statement``. ``values`` are what the JSON file says; ``files`` maps a part's name to its bytes."""

    statement: str
    delta: float
    values: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def write(self, image_path: str | Path, *, overwrite: bool = False) -> dict[str, Path]:
        """Write all files beside an image; all appear together or none (``atomic_files``).

        Args:
            image_path: ``S.npy``.
            overwrite: Whether files that are there may be replaced.

        Returns:
            The paths by part, the certificate's as ``""``.

        Raises:
            OutputError: The name does not end in .npy, a file is there already, or the disk does not take them.
        """
        there = [path for path in self._paths(Path(image_path)).values() if path.exists()]
        check_places(there, overwrite=overwrite)
        with atomic_files() as place:
            return self.put(place, Path(image_path))

    def put(self, place: Files, image_path: Path) -> dict[str, Path]:
        """The same as part of what ``place`` writes together; the certificate comes after all that it speaks of.

        Args:
            place: Takes each file's path, and gives where to write it meanwhile.
            image_path: ``S.npy``.

        Returns:
            The paths by part, the certificate's as ``""``.

        Raises:
            OutputError: The name does not end in .npy.
        """
        paths = self._paths(image_path)
        for name, raw in self.files.items():
            place(paths[name]).write_bytes(raw)
        return paths

    def _paths(self, image_path: Path) -> dict[str, Path]:
        if image_path.suffix != ".npy":
            raise OutputError(f"certificates are written beside an image S.npy, got {image_path.name!r}")
        stem = image_path.name.removesuffix(".npy")
        return {name: image_path.with_name(stem + verify.FILES[name]) for name in self.files}


def operator_claim(
    geometry: Geometry | None,
    grid: Grid | None,
    matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix | None,
) -> tuple[dict[str, Any], Array | None]:
    """The operator as a certificate describes it, and the entries of its matrix ``[n, 3]`` where it has one.

    Raises SettingError where there is neither a matrix nor geometry and grid, InputError for a matrix too large.
    """
    if matrix is not None:
        coo = scipy.sparse.coo_matrix(scipy.sparse.csr_matrix(matrix, copy=True))
        coo.sum_duplicates()
        if not 0 < coo.nnz <= verify.MAX_VALUES // 3:
            raise InputError(f"the matrix must have 1 to {verify.MAX_VALUES // 3} entries, got {coo.nnz}")
        entries = plain(np.stack([coo.row, coo.col, coo.data], axis=1).astype(np.float64), "matrix")
        claim = _claim(entries, npy_bytes(entries))
        return {"projector": "matrix", "shape": list(coo.shape), "entries": claim}, entries
    if geometry is not None and grid is not None:
        return {"projector": "joseph", "geometry": geometry_claim(geometry), "grid": grid.to_dict()}, None
    raise SettingError("a certificate needs a geometry and a grid, or a matrix")


def geometry_claim(geometry: Geometry) -> dict[str, Any]:
    """The geometry as a certificate states it: by its own numbers where the checker knows its kind, else by vectors."""
    if len(geometry.shape) == 3:
        return VectorsInSpace.of(geometry).to_dict()
    values = geometry.to_dict()
    if values["geometry"] in verify.GEOMETRIES and values["geometry"] != VectorGeometry.kind:
        return values
    return VectorGeometry.from_vectors(geometry.to_vectors()).to_dict()


def seal(
    kind: str, values: Mapping[str, Any], operator: dict[str, Any], arrays: Mapping[str, Array], *, shape: list[int],
    entries: Array | None = None, source: str | Path | None = None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Put a certificate together: all its entries, and the bytes of all its files.

    Args:
        kind: ``feasible``, ``infeasible`` or ``interval``.
        values: The entries of this kind.
        operator: As certificates describe it.
        arrays: What it speaks of, by the part's name, as ``plain`` gives them.
        shape: Of the image.
        entries: Those of the matrix, where the operator has one.
        source: The file that the data came from.

    Returns:
        The entries, and the files by part; the certificate itself is ``""``.

    Raises:
        InputError: Where the certificate would be larger than the checker reads.
    """
    files = {name: npy_bytes(array) for name, array in arrays.items()}
    weights = arrays.get("weights")
    claims = {name: _claim(array, files[name]) for name, array in arrays.items()}
    for name, claim in claims.items():
        claim.update(values.get(name, {}))
    whole: dict[str, Any] = {
        "weights": None,
        **{name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
        **claims,
        "format": verify.FORMAT,
        "kind": kind,
        "limits": verify.LIMITS[kind],
        "operator": operator,
        "source": None if source is None else _source(Path(source)),
        "made_with": versions(),
    }
    name = verify.check_operator(operator, shape, list(arrays["data"].shape))
    whole["statement"] = verify.statement(whole, name, 0 if weights is None else int(np.sum(weights == 0)))
    raw = verify.encode(whole)
    if len(raw) > verify.MAX_BYTES:
        raise InputError(f"the certificate would have {len(raw)} bytes, more than {verify.MAX_BYTES}; use fewer views")
    if entries is not None:
        files["matrix"] = npy_bytes(entries)
    return whole, {**files, "": raw}


def plain(values: Array, what: str) -> Array:
    """Little-endian, rows first, float32 or float64, finite: what the checker reads. Raises InputError."""
    array = np.asarray(values)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise InputError(f"the {what} must be float32 or float64, got {array.dtype}")
    if not 1 <= array.ndim <= 4 or not 0 < array.size <= verify.MAX_VALUES:
        raise InputError(f"the {what} must have 1 to 4 axes and at most {verify.MAX_VALUES} values, got {array.shape}")
    if not bool(np.isfinite(array).all()):
        raise InputError(f"the {what} holds {int((~np.isfinite(array)).sum())} values that are not finite")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def plain_weights(weights: Array | None, data: Array) -> Array | None:
    """Weights as ``plain`` gives them; raises InputError where they are negative or do not fit the data."""
    if weights is None:
        return None
    w = plain(weights, "weights")
    if w.shape != data.shape or bool((w < 0).any()):
        raise InputError(f"the weights must be >= 0 and have the shape of the data {data.shape}, got {w.shape}")
    return w


def as_checked(
    operator: dict[str, Any], entries: Array | None, shape: list[int], measured: list[int]
) -> scipy.sparse.csr_matrix | None:
    """The matrix as the checker reads it, if there is one. Raises InputError where it would refuse the operator."""
    try:
        verify.check_operator(operator, shape, measured)
        verify.afford(operator, shape, math.prod(measured), "feasible")
        return None if entries is None else verify.sparse(entries, operator["shape"])
    except verify.Refused as why:
        raise InputError(f"this problem cannot be certified: {why}") from None


def npy_bytes(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def data_hash(data: Array) -> str:
    """SHA-256 of the ``.npy`` file of ``data`` beside a certificate. Raises InputError as ``plain``."""
    return hashlib.sha256(npy_bytes(plain(data, "data"))).hexdigest()


def _claim(array: Array, raw: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(raw).hexdigest(), "shape": list(array.shape), "dtype": array.dtype.str}


def _source(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            return {"name": path.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except OSError as why:
        raise InputError(f"cannot read {path}: {why.strerror or why}") from None


def versions() -> dict[str, str]:
    """Of this program and those that its numbers come from, as certificates state them."""
    try:
        own = version("ctrecon-edn")
    except PackageNotFoundError:
        own = "unknown"
    return {"ctrecon": own, "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
