"""How large ``||Au - f||`` may be: given, from counts, from the sinogram alone, or from two scans of the same object.

Two things keep the true image from explaining the data: the noise, and that the image has pixels. The second is
estimated from the scan (``discretisation.py``) and added in squares, since noise knows nothing of it. What a scanner
does that no operator models (scatter, beam hardening, motion) is a ``model_error`` that has to be given; it takes the
place of the estimate and is added by the triangle inequality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import fdtri, gammaincinv

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.discretisation import FEWEST_CELLS, SPREAD, discretisation
from ctrecon.measurement.discretisation_in_space import discretisation_in_space
from ctrecon.measurement.mask import together
from ctrecon.measurement.noise_level import estimate_sigma
from ctrecon.measurement.noise_spectrum import Level
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.without_zingers import without_zingers
from ctrecon.support.arrays import Array, Float64Array

Norm = Literal["2-norm", "whitened"]

# The quantile of the residual, the least share of that at which images are best, and the share of the pixels' error (in
# squares) that an image may explain: the means over pixels are not the image of a grid that fits best (docs/units.md).
AIM_QUANTILE, AIM_SHARE, OF_PIXELS = 0.1, 0.985, 0.5

_NUMBER = "a number, a percentage like 1.5% or auto"


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A bound on ``||Au - f||``: its value, the norm it is meant in, and where it comes from.

    The whitened norm weighs each ray with ``1 / variance``. ``model_error`` is the part of ``value`` that was given for
    what is no noise; ``discretisation`` is the estimate of what the pixels cost, 0 where there is none.

    ``aim``, at most ``value``, is where a method ends whose image is the smoother the larger its residual may be. A
    bound has to be rather too large; an image is best where its residual is a little less than the true image's own
    (``docs/units.md``). None where ``value`` was given.
    """

    value: float
    norm: Norm
    how: str
    model_error: float = 0.0
    discretisation: float = 0.0
    aim: float | None = None

    @property
    def aims(self) -> tuple[float, ...]:
        """``aim`` where there is one, then ``value``, for where ``aim`` is out of reach."""
        return (self.value,) if self.aim is None or self.aim >= self.value else (self.aim, self.value)


def delta_from_variance(m: int, q: float = 0.95) -> float:
    """``sqrt(chi2 quantile(m, q))``: with probability q the whitened noise of m rays is no larger."""
    if m < 1 or not 0 < q < 1:
        raise SettingError(f"the quantile must lie in (0, 1) and the rays be at least 1, got {q} and {m}")
    return math.sqrt(_scaled_chi_square(m, 2 * m, q))


def delta_for(scan: Scan, text: str, quantile: float = 0.95, *, model_error: str = "auto") -> Delta:
    """Read ``VALUE``, ``PERCENT`` (``1.5%``, of ``||f||``) or ``auto``.

    Args:
        scan: What was measured.
        text: A value and a percentage mean the 2-norm over the whole sinogram in the data's units. ``auto`` means the
            whitened norm where the scan has variances (from counts), else the 2-norm with an estimated sigma.
        quantile: With ``auto``, the share of scans in which the true image (the object's means over the pixels) meets
            delta, as far as the noise is what it is taken for and nothing but the pixels keeps the operator from being
            the scanner.
        model_error: With ``auto``, the discretisation error is estimated where it is ``auto``, too. A value or a
            percentage of ``||f||``, in delta's norm, takes its place and is added; ``0`` leaves noise alone.

    Returns:
        The bound, with where it comes from.

    Raises:
        SettingError: For anything that is no number > 0, or a model error that is none >= 0.
        InputError: Where the data do not allow an estimate.
    """
    if text.strip().lower() == "auto":
        scan, said = without_zingers(scan)
        found = _bound(scan, _noise(scan, quantile), quantile, model_error)
        return replace(found, how=found.how + said)
    number, is_percentage = _number(text, "delta", _NUMBER)
    if number == 0:
        raise SettingError(f"delta must be a finite number > 0, got {text!r}; give a value, 1.5% or auto")
    delta = Delta(value=number, norm="2-norm", how="given")
    if is_percentage:
        norm = _size(scan, "2-norm")
        delta = Delta(value=number * norm, norm="2-norm", how=f"{100 * number:g}% of ||f|| = {norm:.6g}")
    return _with_model_error(delta, scan, model_error)


def mean_of_repeats(
    first: Scan, second: Scan, quantile: float = 0.95, *, model_error: str = "auto"
) -> tuple[Scan, Delta]:
    """The mean of two scans of the same object with the same geometry, and its delta from their difference.

    The noise of the mean ``f`` and half the difference ``h`` have the same law and, being Gaussian, do not depend on
    each other. So ``||Au - f||^2 / ||h||^2`` at the true image follows the F distribution, whose quantile bounds it
    without any model of the detector. Where rays differ in variance the degrees of freedom are those that match the
    first two moments (F. E. Satterthwaite, Biometrics Bulletin 2, 1946), ``(sum h^2)^2 / (sum h^4 / 3)``. Rays are
    weighted by ``1 / variance`` where both scans have one. Drift between the scans counts as noise, too.

    Args:
        first: A scan.
        second: Another of the same object, measured alike.
        quantile: As for ``delta_for``.
        model_error: As for ``delta_for``.

    Returns:
        The mean of the scans, and the bound for it.

    Raises:
        InputError: Where the scans do not belong together or are one and the same.
        SettingError: For a quantile outside (0, 1), or a model error that is no number >= 0.
    """
    _check_quantile(quantile)
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
    mask = together(first.mask, second.mask)
    squares = ((f - g) / 2) ** 2 / (1.0 if variance is None else variance)
    if mask is not None:
        squares = squares[mask]
    total = float(squares.sum())
    if total == 0:
        raise InputError(f"{second.source}: holds the same values as {first.source}; a repeat has noise of its own")
    freedom = max(1.0, 3 * total * (total / float(np.square(squares).sum())))
    notes: tuple[str, ...] = (*first.notes, "the mean of two scans of the same object")
    if variance is not None:
        times = math.sqrt(total / squares.size)
        notes = (*notes, f"the two scans differ by {times:.3g} times what their variances explain")
    mean = replace(
        first, sinogram=(f + g) / 2, variance=variance, mask=mask, counts=None, white=None, whitened_mean=1.0,
        whitened_spread=1.0, notes=notes
    )
    noise = _Noise(
        mean=total,
        variance=4 * total**2 / freedom,
        largest=total * float(fdtri(freedom, freedom, quantile)),
        norm="2-norm" if variance is None else "whitened",
        each=total / squares.size * (np.ones((1, 1)) if variance is None else variance),
        how=f"from two scans: half their difference has norm {math.sqrt(total):.6g}, F quantile {quantile:g}",
    )
    return mean, _bound(mean, noise, quantile, model_error)


@dataclass(frozen=True, kw_only=True)
class _Noise:
    """What is known of ``||n||^2`` in ``norm``: its mean and variance, and ``largest``, its quantile.

    ``each``: the variance of each ray, or ``[1, 1]`` for all. ``likely``: the mean without caution, as a share of it.
    """

    mean: float
    variance: float
    largest: float
    norm: Norm
    each: Float64Array
    how: str
    likely: float = 1.0


def _noise(scan: Scan, quantile: float) -> _Noise:
    m = scan.usable_count
    if scan.variance is not None:
        mean, how = m * scan.whitened_mean, f"from counts: chi-square quantile {quantile:g} for {m} rays"
        variance = 2 * m * (scan.whitened_mean * scan.whitened_spread) ** 2
        if scan.whitened_spread > 1:
            how += f", of {scan.whitened_spread:.3g} times the spread since there are rays of few counts"
        return _Noise(
            mean=mean, variance=variance, largest=_scaled_chi_square(mean, variance, quantile), norm="whitened",
            each=scan.variance.astype(np.float64) * scan.whitened_mean, how=f"{how}, each weighted by 1 / variance",
        )  # fmt: skip
    level, where = _sigma(scan)
    sigma = level.most
    # What is left of data without noise is their rounding.
    if sigma <= 1e-12 * float(np.linalg.norm(scan.sinogram)) / math.sqrt(m) or not scan.sinogram.any():
        raise InputError(
            f"{scan.source}: no noise was found in the sinogram, so delta cannot be estimated; give a value or 0.1%"
        )
    how = (
        f"estimated from the sinogram: sigma = {sigma:.4g} from {where}, times the root of the chi-square quantile "
        f"{quantile:g} for {m} rays"
    )
    return _Noise(
        mean=m * sigma**2, variance=2 * m * sigma**4, norm="2-norm",
        largest=delta_from_variance(m, quantile) ** 2 * sigma**2,
        each=np.full((1, 1), sigma**2), how=how, likely=(level.likely / sigma) ** 2,
    )  # fmt: skip


def _sigma(scan: Scan) -> tuple[Level, str]:
    """The noise of a usable ray, and where it was looked for: of views that are there, the gaps in them filled."""
    if scan.mask is None or scan.geometry is None:
        return estimate_sigma(scan.sinogram, scan.geometry)
    seen = scan.mask.any(axis=tuple(range(1, scan.mask.ndim)))
    level, where = estimate_sigma(scan.sinogram[seen], scan.geometry.views(np.flatnonzero(seen).tolist()))
    # White noise loses strength where a ray is a mean of its neighbours.
    there = np.repeat(seen, scan.mask[0].size)
    squares = scan.mask.ravel().astype(np.float64)
    filled = scan.filling()
    squares[filled.missing] = np.asarray(filled.matrix.multiply(filled.matrix).sum(axis=1)).ravel()
    share = math.sqrt(float(squares[there].mean()))
    return Level(level.likely / share, level.most / share), where


def _bound(scan: Scan, noise: _Noise, quantile: float, model_error: str) -> Delta:
    """The quantile of ``||n + d||^2``, ``d`` the discretisation error, or that of ``||n||^2`` plus a given error.

    Noise and ``d`` know nothing of each other, so the squares add; ``2 <n, d>`` has mean 0 and variance ``4 d^2`` times
    a ray's share of the noise; and the estimate of ``d`` is off by ``SPREAD``. By how much these raise the quantile is
    taken from the multiple of a chi-square variable that has this mean and variance (P. B. Patnaik, Biometrika 36,
    1949, for the noncentral law).
    """
    alone = Delta(value=math.sqrt(noise.largest), norm=noise.norm, how=noise.how, aim=_aim(noise, scan, 0.0))
    if model_error.strip().lower() != "auto":
        return _with_model_error(alone, scan, model_error)
    why = ""
    if scan.geometry is None:
        why = "only a matrix is given"
    elif scan.sinogram.ndim != 2 and (scan.geometry.orbit is None or not scan.geometry.orbit.steady):
        why = "in space its estimate is for a source on a circle"
    elif scan.geometry.detector_count < FEWEST_CELLS:
        why = f"there are fewer than {FEWEST_CELLS} cells"
    grid = None if why else scan.with_grid().grid
    if scan.geometry is None or grid is None:
        how = f"{alone.how}; nothing for the discretisation error, since {why}"
        # There is one all the same.
        return replace(alone, how=how, aim=AIM_SHARE * _aim(noise, scan, 0.0))
    estimate = discretisation if scan.sinogram.ndim == 2 else discretisation_in_space
    of_pixels = estimate(scan.sinogram, scan.geometry, grid, noise.each, whitened=noise.norm == "whitened")
    found = of_pixels.square * scan.usable_count / scan.sinogram.size
    spread = noise.variance + 4 * found * noise.mean / scan.usable_count + (2 * of_pixels.spread * found) ** 2
    added = _scaled_chi_square(noise.mean + found, spread, quantile)
    added -= _scaled_chi_square(noise.mean, noise.variance, quantile)
    value, pixels = math.sqrt(noise.largest + added), math.sqrt(found)
    how = f"{alone.how}; {alone.value:.6g} for noise, and a discretisation error of {pixels:.6g} by the spectrum of f"
    return replace(alone, value=value, discretisation=pixels, how=how, aim=_aim(noise, scan, found, of_pixels.spread))


def _aim(noise: _Noise, scan: Scan, pixels: float, relative: float = SPREAD) -> float:
    """A little less than ``||n + d||`` is likely to be, for noise that is ``likely`` and the ``pixels``' error ``d^2``.

    Too little is better than too much: beside the true residual an image gains from a smaller aim, as long as noise is
    not fitted, and loses from a larger one. Where the error of the pixels decides, whose estimate is off by a few per
    cent, the quantile leaves more room than where noise does. What is taken off it is of the pixels' error alone:
    where noise decides and there are many rays, a residual that is 2% too small costs several dB.
    """
    mean, variance = noise.likely * noise.mean, noise.likely**2 * noise.variance
    spread = variance + 4 * pixels * mean / scan.usable_count + (2 * relative * pixels) ** 2
    square = _scaled_chi_square(mean + pixels, spread, AIM_QUANTILE)
    return math.sqrt(square - min(OF_PIXELS * pixels, (1 - AIM_SHARE**2) * square))


def _with_model_error(delta: Delta, scan: Scan, text: str) -> Delta:
    if text.strip().lower() == "auto":
        return delta
    number, is_percentage = _number(text, "the model error", "auto, a number or a percentage like 0.5%")
    if number == 0:
        return delta
    error = number * _size(scan, delta.norm) if is_percentage else number
    how = f"{delta.how}; {delta.value:.6g} for noise and {error:.6g} for model error"
    aim = None if delta.aim is None else delta.aim + error
    return replace(delta, value=delta.value + error, model_error=error, how=how, aim=aim)


def _scaled_chi_square(mean: float, variance: float, q: float) -> float:
    """The q-quantile of a multiple of a chi-square variable with this mean and variance."""
    _check_quantile(q)
    freedom = 2 * mean**2 / variance
    return mean * 2 * float(gammaincinv(freedom / 2, q)) / freedom


def _check_quantile(q: float) -> None:
    if not 0 < q < 1:
        raise SettingError(f"the quantile must lie in (0, 1), got {q}")


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
    weights = scan.weights(whitened=norm == "whitened")
    f = scan.sinogram.astype(np.float64)
    size = float(np.linalg.norm(f if weights is None else f * np.sqrt(weights)))
    if size == 0:
        raise InputError(f"{scan.source}: the sinogram is zero everywhere, so is a percentage of it; give a value")
    return size
