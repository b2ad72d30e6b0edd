"""How often noise lies within delta's part for noise: ``||n|| <= delta(q)`` should hold in a share q of all scans.

What else keeps a true image from explaining its data is the subject of ``image_coverage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ctrecon.corrections.zingers import zingers
from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.measurement.counts import add_poisson_noise
from ctrecon.measurement.delta import Delta, delta_for, mean_of_repeats
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

QUANTILES = (0.5, 0.9, 0.95, 0.99)

Measure = Callable[[Scan, int], Scan]
Bound = Callable[[Scan, int, Measure], Callable[[float], tuple[Scan, Delta]]]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """``within``: the share of ``scans`` in which the noise lay within the delta of ``quantile``."""

    noise: str
    delta: str
    quantile: float
    within: float
    scans: int
    mean_delta_over_residual: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def gaussian(relative: float) -> Measure:
    """White noise of the standard deviation ``relative`` times the root mean square of the line integrals."""

    def measure(clean: Scan, seed: int) -> Scan:
        f = clean.sinogram
        sigma = relative * float(np.sqrt(np.mean(f**2)))
        return replace(clean, sinogram=f + sigma * np.random.default_rng(seed).standard_normal(f.shape))

    return measure


def shared(relative: float) -> Measure:
    """Such noise of a detector that blurs: three neighbours share it as 0.3 : 1 : 0.3."""
    kernel = np.array([0.3, 1.0, 0.3]) / math.sqrt(1.18)

    def measure(clean: Scan, seed: int) -> Scan:
        f = clean.sinogram
        sigma = relative * float(np.sqrt(np.mean(f**2)))
        white = np.random.default_rng(seed).standard_normal((f.shape[0], f.shape[1] + 2))
        blurred = sum(weight * white[:, k : k + f.shape[1]] for k, weight in enumerate(kernel))
        return replace(clean, sinogram=f + sigma * blurred)

    return measure


def hit(measure: Measure, share: float) -> Measure:
    """With zingers in a ``share`` of the rays, by 0.3 to 1 times the largest value, and ``--correct zingers``."""

    def spoil(clean: Scan, seed: int) -> Scan:
        scan, rng = measure(clean, seed), np.random.default_rng(seed)
        size = rng.choice([-1.0, 1.0], scan.sinogram.shape) * rng.uniform(0.3, 1, scan.sinogram.shape)
        stray = np.where(rng.random(size.shape) < share, size * float(clean.sinogram.max()), 0.0)
        return zingers(replace(scan, sinogram=scan.sinogram + stray))

    return spoil


def counted(photons: float, electronic_sigma: float = 0.0, *, keep_variance: bool = True) -> Measure:
    """Poisson counts; without ``keep_variance`` the line integrals alone, as many files hold them."""

    def measure(clean: Scan, seed: int) -> Scan:
        found = add_poisson_noise(clean.sinogram, photons, seed, electronic_sigma=electronic_sigma)
        if not keep_variance:
            return replace(clean, sinogram=found.values)
        return replace(
            clean, sinogram=found.values, variance=found.variance, mask=found.mask, whitened_mean=found.whitened_mean,
            whitened_spread=found.whitened_spread,
        )

    return measure


def automatic(clean: Scan, seed: int, measure: Measure) -> Callable[[float], tuple[Scan, Delta]]:
    """``--delta auto``: a scan, and its delta for each quantile."""
    scan = measure(clean, 2 * seed)
    return lambda q: (scan, delta_for(scan, "auto", q, model_error="0"))


def repeated(clean: Scan, seed: int, measure: Measure) -> Callable[[float], tuple[Scan, Delta]]:
    """``--repeat``: the mean of two scans, and its delta for each quantile."""
    first, second = measure(clean, 2 * seed), measure(clean, 2 * seed + 1)
    return lambda q: mean_of_repeats(first, second, q, model_error="0")


CASES: tuple[tuple[str, Measure, str, Bound], ...] = (
    ("counts, 100,000 photons per ray", counted(1e5), "auto", automatic),
    ("counts, 10,000 photons per ray", counted(1e4), "auto", automatic),
    ("counts, 10,000 photons, electronic noise of 10", counted(1e4, 10.0), "auto", automatic),
    ("Gaussian, 1%", gaussian(0.01), "two scans", repeated),
    ("counts, 10,000 photons, variances known", counted(1e4), "two scans", repeated),
    ("counts, 10,000 photons, variances lost", counted(1e4, keep_variance=False), "two scans", repeated),
    ("Gaussian, 1%", gaussian(0.01), "sinogram alone", automatic),
)


def coverage(
    sinogram: Array,
    geometry: Geometry,
    *,
    scans: int,
    cases: Sequence[tuple[str, Measure, str, Bound]] = CASES,
    quantiles: Sequence[float] = QUANTILES,
    seed: int = 0,
) -> Iterator[Coverage]:
    """A row per case and quantile, for the true line integrals ``sinogram [views, detectors]``.

    Raises SettingError for no scans, and what ``delta_for`` raises.
    """
    if scans < 1:
        raise SettingError(f"the scans must be at least 1, got {scans}")
    clean = Scan(sinogram=np.asarray(sinogram, dtype=np.float64), geometry=geometry, source="a simulated scan")
    for noise, measure, name, bound in cases:
        within, ratio = np.zeros(len(quantiles)), np.zeros(len(quantiles))
        for k in range(scans):
            bounded = bound(clean, seed + k, measure)
            for at, q in enumerate(quantiles):
                scan, delta = bounded(q)
                error = scan.sinogram - clean.sinogram
                if scan.mask is not None:
                    error = np.where(scan.mask, error, 0)
                if delta.norm == "whitened" and scan.variance is not None:
                    error = error / np.sqrt(scan.variance)
                residual = float(np.linalg.norm(error))
                within[at] += residual <= delta.value
                ratio[at] += delta.value / residual
        for at, q in enumerate(quantiles):
            yield Coverage(
                noise=noise, delta=name, quantile=q, within=within[at] / scans, scans=scans,
                mean_delta_over_residual=ratio[at] / scans,
            )
