"""The feasible certificate: ``||W^(1/2) (A u - f)|| <= delta`` for the image as written to its file.

The residual is recomputed from the image by the checker's own operator (``verify.py``) in float64, with a bound on
its rounding; nothing of the solver's state enters. A certificate is several files that share a stem ``S``:
``S.npy``, ``S.data.npy``, where needed ``S.weights.npy`` and ``S.matrix.npz``, and ``S.certificate.json``.
"""

from __future__ import annotations

import hashlib
import io
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.sparse

from ctrecon.atomic import atomic_write
from ctrecon.certificates import verify
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.geometry import Geometry, ImageGrid

Array = npt.NDArray[Any]

# Another machine sums in another order: the bound it finds may differ in its last digits, and must not be refused.
ROOM = 1e-9


@dataclass(frozen=True, kw_only=True)
class NotCertified:
    """The image misses delta (or rounding cannot decide): its true residual, as float64 finds it, and the reason."""

    residual: float
    residual_upper_bound: float
    delta: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class FeasibleCertificate:
    """Proof that an image explains the data. ``files`` maps the part's name to its bytes; ``write`` puts them down."""

    statement: str
    delta: float
    residual: float
    residual_upper_bound: float
    values: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def write(self, image_path: str | Path) -> dict[str, Path]:
        """Write all files beside ``image_path`` (``S.npy``); returns their paths by part, the certificate as ``""``.

        Each goes to a temporary name first, and none is renamed before all are complete; the certificate comes last.
        Raises OutputError where the name does not end in .npy or the disk does not take them.
        """
        image_path = Path(image_path)
        if image_path.suffix != ".npy":
            raise OutputError(f"a certified image is written as S.npy, got {image_path.name!r}")
        stem = image_path.name.removesuffix(".npy")
        paths = {name: image_path.with_name(stem + verify.FILES[name]) for name in self.files}
        with ExitStack() as stack:
            # What is opened last is renamed first: the certificate replaces an older one after all it speaks of.
            waiting = {name: stack.enter_context(atomic_write(paths[name])) for name in reversed(list(self.files))}
            for name, raw in self.files.items():
                waiting[name].write_bytes(raw)
        return paths


def certify(
    image: Array,
    data: Array,
    geometry: Geometry | None,
    grid: ImageGrid | None,
    delta: float,
    *,
    weights: Array | None = None,
    matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix | None = None,
    source: str | Path | None = None,
) -> FeasibleCertificate | NotCertified:
    """Prove that ``image [rows, columns]`` (1/mm) explains ``data [views, detectors]`` to within ``delta``.

    The operator is Joseph's projector for ``geometry`` and ``grid``, or ``matrix [data.size, image.size]`` (then both
    may be None). ``weights >= 0`` (the shape of ``data``, usually 1 / variance) make it the whitened norm. Arrays keep
    their float32 or float64. ``source`` is the file that the data came from: its name and hash are noted.
    Raises SettingError for an impossible delta, InputError for arrays that do not fit or a problem beyond the checker.
    """
    packed = None
    if matrix is not None:
        csr = scipy.sparse.csr_matrix(matrix)
        packed = _npz(csr)
        claim = {"sha256": _hash(packed), "shape": list(csr.shape), "entries": int(csr.nnz)}
        operator: dict[str, Any] = {"projector": "matrix", "matrix": claim}
    elif geometry is not None and grid is not None:
        operator = {"projector": "joseph", "geometry": geometry.to_dict(), "grid": grid.to_dict()}
    else:
        raise SettingError("a certificate needs a geometry and a grid, or a matrix")
    norm = "2-norm" if weights is None else "whitened"
    unit = "1/mm" if packed is None else None
    return prove(image, data, operator, norm, delta, weights=weights, packed=packed, unit=unit, source=source)


def prove(
    image: Array,
    data: Array,
    operator: dict[str, Any],
    norm: str,
    delta: float,
    *,
    weights: Array | None = None,
    packed: bytes | None = None,
    unit: str | None = None,
    source: str | Path | None = None,
    bound: str = "delta",
) -> FeasibleCertificate | NotCertified:
    """The certificate for an operator as the certificate itself describes it, ``packed`` the matrix file if it has one.

    ``bound`` is what the caller calls delta. Raises SettingError, InputError as ``certify``.
    """
    real = isinstance(delta, int | float | np.floating) and not isinstance(delta, bool)
    if not (real and 0 < delta <= verify.BOUND[1]):
        raise SettingError(f"{bound} must be a finite number > 0, got {delta!r}")
    u, f = _plain(image, "image"), _plain(data, "data")
    w = None if weights is None else _plain(weights, "weights")
    if w is not None and (w.shape != f.shape or bool((w < 0).any())):
        raise InputError(f"the weights must be >= 0 and have the shape of the data {f.shape}, got {w.shape}")
    files = {"image": _npy(u), "data": _npy(f)}
    if w is not None:
        files["weights"] = _npy(w)
    # What is certified is what the file gives back.
    csr = None if packed is None else verify.parse_matrix(packed)
    if packed is not None:
        files["matrix"] = packed
    try:
        name = verify.check_operator(operator, list(u.shape), list(f.shape))
    except verify.Refused as why:
        raise InputError(f"this problem cannot be certified: {why}") from None
    found, upper = verify.residual(verify.apply(operator, u, csr), f, w, norm)
    stated = upper * (1 + ROOM)
    if not stated <= delta:
        reason = f"the residual is {found:.6g}, above {bound} {delta:.6g}"
        if found <= delta:
            reason = f"the residual {found!r} is so close to {bound} {float(delta)!r} that rounding cannot decide"
        return NotCertified(residual=found, residual_upper_bound=upper, delta=float(delta), reason=reason)
    values: dict[str, Any] = {
        "format": verify.FORMAT,
        "kind": "feasible",
        "limits": verify.LIMITS,
        "norm": norm,
        "delta": float(delta),
        "residual": found,
        "residual_upper_bound": stated,
        "operator": operator,
        "image": {
            **_claim(u, files["image"]),
            "unit": unit,
            "pixel_mm": operator["grid"]["pixel_mm"] if "grid" in operator else None,
        },
        "data": _claim(f, files["data"]),
        "weights": None if w is None else _claim(w, files["weights"]),
        "source": None if source is None else _source(Path(source)),
        "made_with": _versions(),
    }
    values["statement"] = verify.feasible_statement(values, name, 0 if w is None else int(np.sum(w == 0)))
    raw = verify.encode(values)
    if len(raw) > verify.MAX_BYTES:
        raise InputError(f"the certificate would have {len(raw)} bytes, more than {verify.MAX_BYTES}; use fewer views")
    return FeasibleCertificate(
        statement=values["statement"],
        delta=float(delta),
        residual=found,
        residual_upper_bound=stated,
        values=values,
        files={**files, "": raw},
    )


def _plain(values: Array, what: str) -> Array:
    """Little-endian, rows first, float32 or float64, finite: what the checker reads."""
    array = np.asarray(values)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise InputError(f"the {what} must be float32 or float64, got {array.dtype}")
    if not 1 <= array.ndim <= 4 or not 0 < array.size <= verify.MAX_VALUES:
        raise InputError(f"the {what} must have 1 to 4 axes and at most {verify.MAX_VALUES} values, got {array.shape}")
    if not bool(np.isfinite(array).all()):
        raise InputError(f"the {what} holds {int((~np.isfinite(array)).sum())} values that are not finite")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _npz(matrix: scipy.sparse.csr_matrix) -> bytes:
    if not 0 < matrix.nnz <= verify.MAX_VALUES:
        raise InputError(f"the matrix must have 1 to {verify.MAX_VALUES} entries, got {matrix.nnz}")
    stream = io.BytesIO()
    np.savez(
        stream,
        indptr=matrix.indptr.astype("<i8"),
        indices=matrix.indices.astype("<i4" if matrix.shape[1] < 2**31 else "<i8"),
        data=_plain(matrix.data, "matrix"),
        shape=np.asarray(matrix.shape, dtype="<i8"),
    )
    return stream.getvalue()


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def data_hash(data: Array) -> str:
    """SHA-256 of the ``.npy`` file of ``data`` beside a certificate; raises InputError as ``certify``."""
    return _hash(_npy(_plain(data, "data")))


def _claim(array: Array, raw: bytes) -> dict[str, Any]:
    return {"sha256": _hash(raw), "shape": list(array.shape), "dtype": array.dtype.str}


def _source(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            return {"name": path.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except OSError as why:
        raise InputError(f"cannot read {path}: {why.strerror or why}") from None


def _versions() -> dict[str, str]:
    try:
        own = version("ctrecon-edn")
    except PackageNotFoundError:
        own = "unknown"
    return {"ctrecon": own, "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
