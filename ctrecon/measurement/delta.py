"""How large ``||Au - f||`` may be: given, from counts, from the sinogram alone, or from two scans of the same object.

All are statements about the noise. What a scanner does that no operator models (scatter, beam hardening, motion) is a
term of its own, ``model_error``, added by the triangle inequality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import fdtri, gammaincinv

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.noise_level import estimate_sigma
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

Norm = Literal["2-norm", "whitened"]


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A bound on ``||Au - f||``: its value, the norm it is meant in, and where it comes from.

    The whitened norm weighs each ray with ``1 / variance``. ``model_error`` is the part of ``value`` that is not noise.
    """

    value: float
    norm: Norm
    how: str
    model_error: float = 0.0


def delta_from_variance(m: int, q: float = 0.95) -> float:
    """``sqrt(chi2 quantile(m, q))``: with probability q the whitened residual of the true image is no larger."""
    if m < 1 or not 0 < q < 1:
        raise SettingError(f"the quantile must lie in (0, 1) and the rays be at least 1, got {q} and {m}")
    return math.sqrt(2 * float(gammaincinv(m / 2, q)))


def delta_for(scan: Scan, text: str, quantile: float = 0.95) -> Delta:
    """Read ``VALUE``, ``PERCENT`` (``1.5%``, of ``||f||``) or ``auto``.

    A value and a percentage mean the 2-norm over the whole sinogram in the data's units. ``auto`` means the whitened
    norm where the scan has variances (from counts), else the 2-norm with an estimated sigma.
    Raises SettingError for anything that is no number > 0, InputError where the data do not allow an estimate.
    """
    if text.strip().lower() == "auto":
        return _delta_auto(scan, quantile)
    number, is_percentage = _number(text, "delta", "a number, a percentage like 1.5% or auto")
    if number == 0:
        raise SettingError(f"delta must be a finite number > 0, got {text!r}; give a value, 1.5% or auto")
    if not is_percentage:
        return Delta(value=number, norm="2-norm", how="given")
    norm = _size(scan, "2-norm")
    return Delta(value=number * norm, norm="2-norm", how=f"{100 * number:g}% of ||f|| = {norm:.6g}")


def delta_with_model_error(delta: Delta, scan: Scan, text: str) -> Delta:
    """``delta`` and room for what the operator does not model: a ``VALUE`` or ``PERCENT`` of ``||f||``, in its norm.

    Raises SettingError for anything that is no number >= 0.
    """
    number, is_percentage = _number(text, "the model error", "a number or a percentage like 0.5%")
    error = number * _size(scan, delta.norm) if is_percentage else number
    how = f"{delta.how}; {delta.value:.6g} for noise and {error:.6g} for model error"
    return replace(delta, value=delta.value + error, model_error=delta.model_error + error, how=how)


def mean_of_repeats(first: Scan, second: Scan, quantile: float = 0.95) -> tuple[Scan, Delta]:
    """The mean of two scans of the same object with the same geometry, and its delta from their difference.

    The noise of the mean ``f`` and half the difference ``h`` have the same law and, being Gaussian, do not depend on
    each other. So ``||Au - f||^2 / ||h||^2`` at the true image follows the F distribution, whose quantile bounds it
    without any model of the detector. Where rays differ in variance the degrees of freedom are those that match the
    first two moments (F. E. Satterthwaite, Biometrics Bulletin 2, 1946), ``(sum h^2)^2 / (sum h^4 / 3)``. Rays are
    weighted by ``1 / variance`` where both scans have one. Drift between the scans counts as noise, too.

    Raises InputError where the scans do not belong together or are one and the same, SettingError for a quantile
    outside (0, 1).
    """
    if not 0 < quantile < 1:
        raise SettingError(f"the quantile must lie in (0, 1), got {quantile}")
    if first.sinogram.shape != second.sinogram.shape:
        raise InputError(
            f"{second.source}: has shape {second.sinogram.shape}, {first.source} has {first.sinogram.shape}; a repeat "
            "must be measured alike"
        )
    if first.geometry != second.geometry or (first.matrix is None) != (second.matrix is None):
        raise InputError(f"{second.source}: has another geometry than {first.source}; a repeat must be measured alike")
    f, g = first.sinogram.astype(np.float64), second.sinogram.astype(np.float64)
    variance: Array | None = None
    if first.variance is not None and second.variance is not None:
        variance = (first.variance.astype(np.float64) + second.variance) / 4
    squares = ((f - g) / 2) ** 2 / (1.0 if variance is None else variance)
    total = float(squares.sum())
    if total == 0:
        raise InputError(f"{second.source}: holds the same values as {first.source}; a repeat has noise of its own")
    freedom = max(1.0, 3 * total * (total / float(np.square(squares).sum())))
    largest = math.sqrt(total * float(fdtri(freedom, freedom, quantile)))
    how = f"from two scans: half their difference has norm {math.sqrt(total):.6g}, F quantile {quantile:g}"
    note = "the mean of two scans of the same object"
    notes: tuple[str, ...] = (*first.notes, note)
    if variance is not None:
        notes = (*notes, f"the two scans differ by {math.sqrt(total / f.size):.3g} times what their variances explain")
    mean = replace(
        first, sinogram=(f + g) / 2, variance=variance, counts=None, white=None, whitened_mean=1.0, notes=notes
    )
    return mean, Delta(value=largest, norm="2-norm" if variance is None else "whitened", how=how)


def _number(text: str, what: str, forms: str) -> tuple[float, bool]:
    """A finite number >= 0 and whether it was a percentage (then as a fraction)."""
    word = text.strip()
    try:
        number = float(word.removesuffix("%"))
    except ValueError:
        raise SettingError(f"{what} must be {forms}, got {text!r}") from None
    if not (math.isfinite(number) and number >= 0):
        raise SettingError(f"{what} must be a finite number >= 0, got {text!r}; give {forms}")
    return (number / 100, True) if word.endswith("%") else (number, False)


def _size(scan: Scan, norm: Norm) -> float:
    f = scan.sinogram.astype(np.float64)
    size = float(np.linalg.norm(f if norm == "2-norm" or scan.variance is None else f / np.sqrt(scan.variance)))
    if size == 0:
        raise InputError(f"{scan.source}: the sinogram is zero everywhere, so is a percentage of it; give a value")
    return size


def _delta_auto(scan: Scan, quantile: float) -> Delta:
    m = scan.sinogram.size
    largest = delta_from_variance(m, quantile)
    if scan.variance is not None:
        how = f"from counts: chi-square quantile {quantile:g} for {m} rays, each weighted by 1 / variance"
        return Delta(value=largest * math.sqrt(scan.whitened_mean), norm="whitened", how=how)
    sigma, where = estimate_sigma(scan.sinogram, scan.geometry)
    # What is left of data without noise is their rounding.
    if sigma <= 1e-12 * float(np.linalg.norm(scan.sinogram)) / math.sqrt(m):
        raise InputError(
            f"{scan.source}: no noise was found in the sinogram, so delta cannot be estimated; give a value or 0.1%"
        )
    how = (
        f"estimated from the sinogram: sigma = {sigma:.4g} from {where}, times the root of the chi-square quantile "
        f"{quantile:g} for {m} rays"
    )
    return Delta(value=sigma * largest, norm="2-norm", how=how)
