"""Noise in one place: from counts to line integrals and variances.

A detector that counts N photons where it would count W without an object gives the line integral ``f = log(W / N)``
with ``var(f) = (N + sigma_e^2) / N^2``, ``sigma_e`` the electronic noise in counts (delta method; e.g. J. A. Fessler,
Statistical image reconstruction methods for transmission tomography, SPIE Handbook of Medical Imaging 2, 2000). For
few counts see ``few_counts.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.dead import MOST_DEAD, dead_rays
from ctrecon.measurement.few_counts import FEWEST_COUNTS, noise_law
from ctrecon.measurement.given import LARGEST_VALUE
from ctrecon.measurement.mask import as_mask, missing_note
from ctrecon.support.arrays import Array, BoolArray, Float64Array

# Counts less the dark field may be negative by so many sigma of the electronic noise.
_BELOW_SIGMAS = 8.0
_ABOVE_SIGMAS = 5.0
_ABOVE_FACTOR = 1.5
_ABOVE_SHARE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class LineIntegrals:
    """What ``line_integrals`` gives: all arrays ``[views, detectors]`` in float64, and what had to be assumed.

    ``mask``: which rays are usable, None where all are; the values of the others mean nothing.

    ``whitened_mean``: mean over the rays of the expected ``(f - E f)^2 / var(f)``. It would be 1, were counts
    Gaussian and their variance known; for counts below a thousand the difference decides about delta.
    ``whitened_spread``: the standard deviation of their sum over that of a chi-square variable of the same mean, above
    1 for few counts. ``counts`` are 0 where noise brought them below.
    """

    values: Float64Array
    variance: Float64Array
    counts: Float64Array
    white: Float64Array
    mask: BoolArray | None
    whitened_mean: float
    whitened_spread: float
    notes: tuple[str, ...]


def _field(name: str, field: Any, shape: tuple[int, int]) -> Float64Array:
    """A white or dark field as ``shape``: a number, one per detector, one per ray, or frames of these to average."""
    values = np.asarray(field, dtype=np.float64)
    if values.ndim == 3 and values.shape[1:] == shape:
        values = values.mean(axis=0)
    elif values.ndim == 2 and values.shape != shape and values.shape[1] == shape[1]:
        values = values.mean(axis=0)
    if values.shape not in ((), (shape[1],), shape):
        raise InputError(
            f"the {name} field has shape {values.shape}, the counts {shape}; give one value per detector, "
            "one per ray, or frames of these"
        )
    return np.broadcast_to(values, shape)


def _first(bad: npt.NDArray[np.bool_]) -> str:
    view, detector = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return f"the first at view {view}, detector {detector}"


def line_integrals(
    counts: Any, white: Any, dark: Any = 0.0, *, electronic_sigma: float = 0.0, gain: float = 1.0, mask: Any = None
) -> LineIntegrals:
    """``log(white / counts)`` after the dark field, and its variance.

    Rays are missing where ``mask`` says so, at NaN, and where cells are dead in the white field or in the counts
    (``dead.py``), a few of them at most; a note names them.

    No other ray is lost: one below ``FEWEST_COUNTS`` after the dark field is taken to have that many, with the variance
    of its neighbourhood, and a note counts such rays. Rays brighter than the white field are kept where noise
    explains them; a few more (refraction at edges does it) are kept with a note.

    Args:
        counts: ``[views, detectors]``.
        white: A number, ``[detectors]``, ``[views, detectors]``, or frames of one of these, averaged.
        dark: The same.
        electronic_sigma: Standard deviation of the electronic noise, in counts.
        gain: Variance of a count over its mean: 1 where photons are counted, another number where a camera counts
            digital units.
        mask: Which rays are usable, ``[views, detectors]``, where that is known.

    Returns:
        Line integrals and variances ``[views, detectors]``, float64, the counts behind them, and notes.

    Raises:
        InputError: Where a white field is not above the dark one, a count is negative by more than electronic noise
            explains or not finite, or rays are above the white field by more than that: one by 50% and 5 sigma, or 5%
            of all by 5 sigma.
        SettingError: For an impossible noise or gain.
    """
    measured = np.asarray(counts, dtype=np.float64)
    if measured.ndim != 2 or measured.size == 0:
        raise InputError(f"counts must be [views, detectors], got shape {measured.shape}")
    if not (math.isfinite(electronic_sigma) and electronic_sigma >= 0):
        raise SettingError(f"electronic_sigma must be a finite number >= 0, got {electronic_sigma}")
    if not (math.isfinite(gain) and gain > 0):
        raise SettingError(f"gain must be a finite number > 0, got {gain}")
    shape = (measured.shape[0], measured.shape[1])
    blank, black = _field("white", white, shape), _field("dark", dark, shape)
    known = np.ones(shape, dtype=np.bool_) if mask is None else as_mask("the counts", mask, shape)
    alive = known & np.isfinite(measured) & np.isfinite(blank) & np.isfinite(black) & ~(blank <= black)
    alive = known if alive.sum() < (1 - MOST_DEAD) * known.sum() else alive
    measured, blank, black = np.where(alive, measured, 0), np.where(alive, blank, 1), np.where(alive, black, 0)
    for name, values in (("counts", measured), ("white field", blank), ("dark field", black)):
        bad = ~np.isfinite(values)
        if bad.any():
            raise InputError(f"the {name} holds {int(bad.sum())} values that are not finite, {_first(bad)}")
        largest = float(np.abs(values).max())
        if largest > LARGEST_VALUE:
            raise InputError(f"the {name} holds {largest:.3g}, which nothing counts; check the file's format")
    negative = measured < -_BELOW_SIGMAS * electronic_sigma
    if negative.any():
        raise InputError(
            f"{int(negative.sum())} counts are negative"
            f"{f' by more than {_BELOW_SIGMAS:g} sigma of the electronic noise' if electronic_sigma else ''}, "
            f"{_first(negative)} ({measured[negative][0]:g}); give raw counts and the dark field apart, or the "
            "electronic noise where it brought them below zero, or line integrals as a sinogram"
        )
    W, N = blank - black, measured - black
    dim = W <= 0
    if dim.any():
        raise InputError(
            f"the white field is not above the dark field on {int(dim.sum())} rays, {_first(dim)}; "
            "leave those detectors out or check which field is which"
        )
    alive &= dead_rays(N, np.where(alive, W, 0), electronic_sigma)
    N = np.where(alive, N, W)
    notes = []
    if not bool((alive == known).all()):
        notes.append(f"dead in counts, white or dark field: {missing_note(alive | ~known)}")
    spread = np.sqrt(gain * W + electronic_sigma**2)
    above = N > W + _ABOVE_SIGMAS * spread
    gross = above & (N > _ABOVE_FACTOR * W)
    share = float(above.mean())
    if gross.any() or share > _ABOVE_SHARE:
        worst = gross if gross.any() else above
        brightest = float((N / W)[worst].max())
        raise InputError(
            f"counts above the white field on {int(worst.sum())} of {N.size} rays, {_first(worst)}, up to "
            f"{brightest:.3g} times: check that white field and counts are not exchanged and have the same exposure; "
            "replace single hot pixels"
        )
    if above.any():
        notes.append(
            f"{int(above.sum())} of {N.size} rays count more than the white field by over {_ABOVE_SIGMAS:g} sigma "
            f"(up to {float((N / W)[above].max()):.3g} times); kept as negative line integrals"
        )
    few = N < FEWEST_COUNTS
    if few.any():
        notes.append(
            f"{int(few.sum())} of {N.size} rays counted less than {FEWEST_COUNTS} and are taken as {FEWEST_COUNTS}"
        )
    law = noise_law(N / gain, electronic_sigma / gain, alive, FEWEST_COUNTS / gain)
    return LineIntegrals(
        values=np.log(W / np.maximum(N, FEWEST_COUNTS)),
        variance=law.variance,
        counts=np.maximum(N, 0.0),
        white=np.ascontiguousarray(W),
        mask=None if bool(alive.all()) else alive,
        whitened_mean=law.mean,
        whitened_spread=law.spread,
        notes=tuple(notes),
    )


def line_integrals_from_counts(
    counts: Any, white: Any, dark: Any = 0.0, electronic_sigma: float = 0.0
) -> tuple[Float64Array, Float64Array]:
    """``line_integrals`` for who wants the values and the variances only."""
    result = line_integrals(counts, white, dark, electronic_sigma=electronic_sigma)
    return result.values, result.variance


def photon_transfer(white: Any, dark: Any) -> tuple[float, float]:
    """``(gain, electronic_sigma)`` of a camera from frames ``[frames, detectors]`` of the white and the dark field.

    The slope of variance over mean (J. R. Janesick, Photon Transfer, SPIE 2007), pooled over the detectors by the
    median; changes of the beam from frame to frame are divided out. Gives ``(1, 0)`` for fewer than 4 frames.
    """
    bright, black = np.asarray(white, dtype=np.float64), np.asarray(dark, dtype=np.float64)
    sigma_e = float(np.sqrt(np.median(black.var(axis=0, ddof=1)))) if black.ndim == 2 and len(black) >= 4 else 0.0
    if bright.ndim != 2 or len(bright) < 4:
        return 1.0, sigma_e
    signal = bright - (black.mean(axis=0) if black.ndim == 2 else black)
    signal = signal * (signal.mean() / signal.mean(axis=1, keepdims=True))
    frames = len(signal)
    # The median of a chi-square law over its degrees of freedom is not 1; this brings it back.
    unbiased = 2 * float(gammaincinv((frames - 1) / 2, 0.5)) / (frames - 1)
    variance = np.median(signal.var(axis=0, ddof=1) / np.maximum(signal.mean(axis=0), 1e-12)) / unbiased
    gain = float(variance) - sigma_e**2 / float(np.median(signal.mean(axis=0)))
    return (gain, sigma_e) if math.isfinite(gain) and gain > 1e-6 else (1.0, sigma_e)


def add_gaussian_noise(sinogram: Array, relative: float, seed: int) -> Array:
    """``f + n`` with white noise of exactly ``||n|| = relative * ||f||`` in the 2-norm.

    Args:
        sinogram: f, of any shape.
        relative: 0.01 is 1%.
        seed: Of the noise.

    Returns:
        Of the same shape and type.

    Raises:
        SettingError: Where ``relative`` is not a finite number >= 0.
    """
    if not (math.isfinite(relative) and relative >= 0):
        raise SettingError(f"the relative noise must be a finite number >= 0 (0.01 is 1%), got {relative}")
    noise = np.random.default_rng(seed).standard_normal(sinogram.shape)
    noise *= relative * np.linalg.norm(sinogram.astype(np.float64)) / np.linalg.norm(noise)
    noisy: Array = (sinogram + noise).astype(sinogram.dtype)
    return noisy


def add_poisson_noise(
    sinogram: Array, photons_per_ray: float, seed: int, *, electronic_sigma: float = 0.0
) -> LineIntegrals:
    """Counts of photons sent along each ray, ``N ~ Poisson(N0 exp(-f))``, and line integrals from them.

    Electronic noise stands on a dark field high enough that no reading is negative.

    Args:
        sinogram: f, line integrals ``[views, detectors]``.
        photons_per_ray: N0, without an object.
        seed: Of the noise.
        electronic_sigma: Standard deviation of the electronic noise, in counts.

    Returns:
        As ``line_integrals``.

    Raises:
        SettingError: Where the number of photons is not finite and > 0, or the electronic noise not finite and >= 0.
    """
    if not (math.isfinite(photons_per_ray) and 0 < photons_per_ray <= 1e15):
        raise SettingError(f"photons per ray must be a number > 0 and at most 1e15, got {photons_per_ray}")
    if not (math.isfinite(electronic_sigma) and 0 <= electronic_sigma <= 1e15):
        raise SettingError(f"electronic noise must be a number >= 0 of counts and at most 1e15, got {electronic_sigma}")
    rng = np.random.default_rng(seed)
    counts = rng.poisson(photons_per_ray * np.exp(-sinogram.astype(np.float64))).astype(np.float64)
    if electronic_sigma == 0:
        return line_integrals(counts, photons_per_ray)
    dark = 10 * electronic_sigma
    readings = np.maximum(counts + dark + electronic_sigma * rng.standard_normal(sinogram.shape), 0)
    return line_integrals(readings, photons_per_ray + dark, dark, electronic_sigma=electronic_sigma)
