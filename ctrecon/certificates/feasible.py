"""The feasible certificate: ``||W^(1/2) (A u - f)|| <= delta`` for the image as written to its file.

The residual is recomputed from the image by the checker's own operator (``verify.py``) in float64, of a volume by its
compiled twin (``in_space.py``), with a bound on its rounding; nothing of the solver's state enters. A certificate is
several files that share a stem ``S``:
``S.npy``, ``S.data.npy``, where needed ``S.weights.npy`` and ``S.matrix.npy``, and ``S.certificate.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from ctrecon.certificates import verify
from ctrecon.certificates.parts import Certificate, as_checked, operator_claim, plain, plain_weights, seal
from ctrecon.certificates.together import Product
from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.units import LengthUnit, units_of
from ctrecon.support.arrays import Array

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
class FeasibleCertificate(Certificate):
    """Proof that an image explains the data."""

    residual: float
    residual_upper_bound: float


def certify(
    image: Array,
    data: Array,
    geometry: Geometry | None,
    grid: Grid | None,
    delta: float,
    *,
    weights: Array | None = None,
    matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix | None = None,
    length_unit: LengthUnit = "mm",
    source: str | Path | None = None,
    z_mm: float | None = None,
    product: Product | None = None,
) -> FeasibleCertificate | NotCertified:
    """Prove that an image explains data: ``||W^(1/2) (A u - f)|| <= delta``, every rounding counted.

    The operator A is Joseph's projector for ``geometry`` and ``grid``, or ``matrix``. Arrays keep their float32 or
    float64.

    Args:
        image: ``[rows, columns]``, of a volume ``[slices, rows, columns]``: 1/mm, or 1/cell where lengths are in cells.
        data: ``[views, detectors]``, in space ``[views, rows, detectors]``.
        geometry: Of the scan; None with a matrix.
        grid: Of the image; None with a matrix.
        delta: The bound, in units of the data, or of the whitened data.
        weights: >= 0, of the shape of ``data``, usually 1 / variance; None for the plain 2-norm.
        matrix: ``[data.size, image.size]`` in the place of a projector.
        length_unit: What the lengths of geometry and grid count; the certificate says it as the image's unit.
        source: The file that the data came from: its name and hash are noted.
        z_mm: Where a slice of a series stands along the axis; noted, so that it can be compared.
        product: What ``together.products`` gave for this image, where there are many.

    Returns:
        The certificate, or ``NotCertified`` with the residual and what could be proved of it.

    Raises:
        SettingError: For an impossible delta.
        InputError: For arrays that do not fit, or a problem beyond the checker.
    """
    operator, entries = operator_claim(geometry, grid, matrix)
    norm = "2-norm" if weights is None else "whitened"
    unit = units_of(length_unit).attenuation if entries is None else None
    return prove(image, data, operator, norm, delta, weights=weights, entries=entries, unit=unit, source=source,
                 z_mm=z_mm, product=product)  # fmt: skip


def _product(operator: dict[str, Any], image: Array, matrix: scipy.sparse.csr_matrix | None) -> Product:
    if "slices" in operator.get("grid", {}):
        # Here, because numba is slow to import and slices do without.
        from ctrecon.certificates.in_space import product_in_space

        return product_in_space(operator, image)
    return verify.apply(operator, image, matrix)


def prove(
    image: Array,
    data: Array,
    operator: dict[str, Any],
    norm: str,
    delta: float,
    *,
    weights: Array | None = None,
    entries: Array | None = None,
    unit: str | None = None,
    source: str | Path | None = None,
    z_mm: float | None = None,
    bound: str = "delta",
    product: Product | None = None,
) -> FeasibleCertificate | NotCertified:
    """The certificate for an operator as the certificate itself describes it, ``entries`` those of its matrix.

    ``bound`` is what the caller calls delta. Raises SettingError, InputError as ``certify``.
    """
    real = isinstance(delta, int | float | np.floating) and not isinstance(delta, bool)
    if not (real and 0 < delta <= verify.BOUND[1]):
        raise SettingError(f"{bound} must be a finite number > 0, got {delta!r}")
    u, f = plain(image, "image"), plain(data, "data")
    w = plain_weights(weights, f)
    csr = as_checked(operator, entries, list(u.shape), list(f.shape))
    with np.errstate(all="ignore"):  # what overflows ends as inf or NaN, which no bound accepts
        projected = _product(operator, u, csr) if product is None else product
        found, upper = verify.residual(projected, f, w, norm)
    stated = upper * (1 + ROOM)
    if not stated <= delta:
        reason = f"the residual is {found:.6g}, above {bound} {delta:.6g}"
        if found <= delta:
            reason = f"the residual {found!r} is so close to {bound} {float(delta)!r} that rounding cannot decide"
        return NotCertified(residual=found, residual_upper_bound=upper, delta=float(delta), reason=reason)
    numbers = {"norm": norm, "delta": float(delta), "residual": found, "residual_upper_bound": stated}
    label = {"unit": unit, "pixel_mm": operator["grid"]["pixel_mm"] if "grid" in operator else None}
    label |= {} if z_mm is None else {"z_mm": float(z_mm)}
    arrays = {"image": u, "data": f, **({} if w is None else {"weights": w})}
    values, files = seal(
        "feasible", {**numbers, "image": label}, operator, arrays, shape=list(u.shape), entries=entries, source=source
    )
    return FeasibleCertificate(
        statement=values["statement"],
        delta=float(delta),
        residual=found,
        residual_upper_bound=stated,
        values=values,
        files=files,
    )
