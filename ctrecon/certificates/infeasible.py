"""The infeasible certificate: no image ``lo <= u <= hi`` has ``||W^(1/2) (A u - f)|| <= delta``.

Any vector ``y`` proves a lower bound on that misfit, over all images in the box at once; the best one is the residual
of the image in the box that fits best (``classical/box.py``). What is stated is what the checker's own operator
(``verify.py``) proves with it in float64, rounding taken off. Beside ``S.certificate.json`` lie ``S.data.npy``,
``S.dual.npy``, where needed ``S.weights.npy`` and ``S.matrix.npy``; it speaks of no single image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse

from ctrecon.certificates import verify
from ctrecon.certificates.parts import Certificate, as_checked, operator_claim, plain, plain_weights, seal
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Array

# Another machine's sum is off by as much in the other direction, and takes its own bound off once more.
ROOM = 4.0


@dataclass(frozen=True, kw_only=True)
class NotExcluded:
    """The dual vector proves no more than ``lower_bound``, which delta exceeds; a larger one is not excluded by it."""

    lower_bound: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class InfeasibleCertificate(Certificate):
    """Proof that no image in the box ``lo <= u <= hi`` explains the data: all miss them by ``lower_bound`` at least."""

    lower_bound: float
    lo: float
    hi: float


def exclude(
    dual: Array,
    data: Array,
    geometry: Geometry | None,
    grid: Grid | None,
    delta: float,
    *,
    lo: float,
    hi: float,
    shape: tuple[int, ...],
    weights: Array | None = None,
    matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix | None = None,
    source: str | Path | None = None,
) -> InfeasibleCertificate | NotExcluded:
    """Prove that no image between ``lo`` and ``hi`` explains data to within delta, by a dual vector.

    For any ``y`` of length one and any such ``u``, ``||W^(1/2) (A u - f)|| >= <y, W^(1/2) (A u - f)>``, whose minimum
    over the box is a sum (``docs/guarantees.md``).

    Args:
        dual: Of the shape of ``data``, of any length; in whitened coordinates where there are ``weights``.
        data: ``[views, detectors]``, in space ``[views, rows, detectors]``.
        geometry: Of the scan; None with a matrix.
        grid: Of the image; None with a matrix.
        delta: The bound that is missed.
        lo: The box's lower end, in units of the image.
        hi: Its upper end.
        shape: Of the images that are excluded.
        weights: As for ``certify``.
        matrix: As for ``certify``.
        source: As for ``certify``.

    Returns:
        The certificate, or ``NotExcluded`` with the bound that the vector proves.

    Raises:
        SettingError: For an impossible delta or box.
        InputError: For arrays that do not fit.
    """
    if not 0 < delta <= verify.BOUND[1]:
        raise SettingError(f"delta must be a finite number > 0, got {delta!r}")
    if not -verify.BOUND[1] <= lo <= hi <= verify.BOUND[1]:
        raise SettingError(f"the box must have finite ends, lo <= hi, got {lo!r} and {hi!r}")
    f, y = plain(data, "data"), plain(np.asarray(dual, dtype=np.float64), "dual vector")
    if y.shape != f.shape:
        raise InputError(f"the dual vector must have the shape of the data {f.shape}, got {y.shape}")
    w = plain_weights(weights, f)
    operator, entries = operator_claim(geometry, grid, matrix)
    csr = as_checked(operator, entries, list(shape), list(f.shape))
    bound = 0.0
    if bool(y.any()):
        with np.errstate(all="ignore"):  # what overflows ends as inf or NaN, which proves nothing
            found, proved = verify.misfit(verify.Problem(operator, csr, (f, w), lo, hi), shape, y)
        bound = max(0.0, found - ROOM * (found - proved))
    if not bound > delta:
        return NotExcluded(lower_bound=bound, delta=float(delta))
    numbers = {"norm": "2-norm" if w is None else "whitened", "delta": float(delta), "lower_bound": bound,
               "lo": float(lo), "hi": float(hi), "image_shape": list(shape)}  # fmt: skip
    arrays = {"data": f, "dual": y, **({} if w is None else {"weights": w})}
    values, files = seal("infeasible", numbers, operator, arrays, shape=list(shape), entries=entries, source=source)
    return InfeasibleCertificate(
        statement=values["statement"], delta=float(delta), lower_bound=bound, lo=float(lo), hi=float(hi),
        values=values, files=files,
    )  # fmt: skip
