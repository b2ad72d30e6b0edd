"""How far the pixel means of an object lie from its exact line integrals: ``||A u* - f||``, from the scan itself.

Were there no noise, the true image on a grid (the mean of the object over each pixel) would still not explain the data.
The operator blurs: it takes means over pixels and interpolates between them. The detector blurs less: it takes means
over cells. And whatever of the object is finer than the pixels comes back as coarser (aliasing). All of it is a linear,
known response to the object's spectrum, and of that spectrum the scan shows all but the finest part:

    d^2  =  integral S(w) R(w) dw,      S(w): the object's power at the frequency w along the detector,

    R(w) =  (sinc^3(h w c) sinc(h w s) - sinc(q w))^2  +  w sum_G < b(k)^2 sinc^4(h (k - G)_max) / |k - G| >

with ``h`` the pixel, ``q`` the spacing of the rays at the axis, ``c >= s`` the cosines between detector and image axes,
``G`` the frequencies of the grid, ``b`` the pixel's own response and ``< >`` the mean over the directions of ``k``,
``|k| = w``. The first part is the mismatch of the blurs (Joseph's projector: P. M. Joseph, IEEE Trans. Med. Imaging 1,
1982), the second what is finer than the pixels. ``S`` is the sinogram's own power less the noise's, which is known.
Beyond what the detector resolves, ``S`` falls like a power of ``w``, whose exponent is fitted to the upper half of
what it resolves and to its aliases there: near 3 for objects with edges, less for those of the size of a pixel.

No image is reconstructed, so few views, gaps and any order of angles are as good as a whole turn, and the cost is a few
Fourier transforms of the sinogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.filling import filling
from ctrecon.measurement.object_spectrum import LIKELY, LIKELY_WITHIN, RAGGED, folded
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.cosine import dct, idct

FEWEST_CELLS = 16
"""With fewer detector cells there is no spectrum to speak of."""

SPREAD = 0.06
"""Relative standard deviation of estimate over truth, for the norm: 0.05 to 0.06 over six families of phantoms of 48 to
256 pixels, about a mean of 1.06 (``docs/units.md`` has the shares of true images within delta)."""

# The exponent of the spectrum: where the fit looks, as shares of the highest frequency of the detector, and the
# exponents it tries.
_BANDS = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.97)
_EXPONENTS = np.arange(1.3, 3.55, 0.1)
# The spectrum is followed up to so many times the detector's highest frequency; beyond 3 hardly anything comes.
_REACH = 8
# Where noise hides an object's edges their weight is not known; then rays across it count for so much at least.
_LEAST_ACROSS = 0.2
# So many standard deviations of its noise the power along edges must have, unweighted, to say what these weigh.
_CERTAIN = 3.0
# Rays of a larger variance, known to no better than a factor of e, say nothing of detail and hide that of others.
_LOST = 1.0
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Discretisation:
    """``square``: an estimate of ``||W^(1/2) (A u* - f)||^2`` without noise; ``exponent``: of the object's spectrum.

    ``spread``: the relative standard deviation of the norm's estimate.
    """

    square: float
    exponent: float
    spread: float = SPREAD


@dataclass(frozen=True)
class _Rays:
    """How the rays lie: their ``spacing_mm`` at the axis, what it gains per mm of way, and cosines of each view."""

    spacing_mm: float
    spread: float
    cosine: Float64Array
    sine: Float64Array

    @classmethod
    def of(cls, geometry: Geometry) -> _Rays:
        points, directions = geometry.rays()
        middle = geometry.detector_count // 2
        pair = [middle - 1, middle]
        p, e = points[:, pair], directions[:, pair] / np.linalg.norm(directions[:, pair], axis=-1, keepdims=True)
        foot = p[:, 0] - (p[:, 0] * e[:, 0]).sum(-1, keepdims=True) * e[:, 0]
        away = np.abs(_cross(foot - p[:, 1], e[:, 1]))
        turn = np.abs(_cross(e[:, 0], e[:, 1]))
        along = np.abs(e[:, 0])
        return cls(float(np.median(away)), float(np.median(turn)), along.max(-1), along.min(-1))


def _cross(a: Float64Array, b: Float64Array) -> Float64Array:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def discretisation(
    sinogram: Array, geometry: Geometry, grid: Grid, variance: Array | float, *, whitened: bool = False
) -> Discretisation:
    """The discretisation error of the true image on ``grid``, estimated from a noisy sinogram.

    Args:
        sinogram: Line integrals ``[views, detectors]``.
        geometry: Where the rays are.
        grid: The image's pixels.
        variance: Of the noise of each ray, ``[views, detectors]``, or one number for all.
        whitened: Whether the norm weighs each ray with ``1 / variance``; else it is the 2-norm.

    Returns:
        The square of the norm, 0 where the noise hides the object, or where there are too few cells to tell.
    """
    views, cells = sinogram.shape
    if cells < FEWEST_CELLS:
        return Discretisation(square=0.0, exponent=LIKELY)
    noise = np.broadcast_to(np.asarray(variance, dtype=np.float64), sinogram.shape)
    weights = 1 / noise if whitened else np.ones((1, 1))
    if whitened:
        sinogram, noise = _without_lost(sinogram, noise, geometry)
    scan = _Spectrum(sinogram, noise, np.broadcast_to(weights, sinogram.shape))
    rays = _Rays.of(geometry)
    # Rays of a fan are closer on the source's side of the axis: the mean over the image's disc takes two points.
    gain = min(0.9, rays.spread * max(grid.size_mm) / 4 / rays.spacing_mm)
    pixel_mm = max(grid.spacing_mm)  # the longer side of pixels that are not square loses most
    plain = scan.plain()
    level, exponent = plain.fit()
    x = (np.arange(_REACH * cells) + 0.5) / cells  # frequencies, as shares of the detector's highest
    own = x**-exponent * np.sinc(x / 2) ** 2 / folded(x, exponent)
    w = x / (2 * rays.spacing_mm)
    fine = np.zeros_like(x)
    for side in (1 - gain, 1 + gain):
        fine += _finer_than_pixels(w / side * pixel_mm) * side / 2
    inside = (own / np.sinc(x / 2) ** 2)[:cells]
    aliases = np.sqrt(fine[:cells] * inside)[None]
    along = scan.weight_along(plain, aliases) if whitened else 1.0
    level *= along
    outside = level * x[cells:] ** -exponent
    blurred, aliased = 0.0, float((outside * fine[cells:]).sum())
    for part in scan.blocks():
        c, s = rays.cosine[part, None], rays.sine[part, None]
        response = np.zeros((c.shape[0], x.size))
        for side in (1 - gain, 1 + gain):
            v = w / side * pixel_mm
            seen = np.sinc(v * c) ** 3 * np.sinc(v * s)
            response += (seen - np.sinc(x / 2)) ** 2 / 2
        blurred += float((outside * response[:, cells:].sum(0)).sum()) / views
        blurred += scan.power(part, np.sqrt(response[:, :cells] * inside))
        aliased += scan.power(part, aliases)
    if whitened:
        aliased *= scan.weight_across(along)
    return Discretisation(square=max(blurred + aliased, 0.0), exponent=exponent)


def _without_lost(sinogram: Array, noise: Float64Array, geometry: Geometry) -> tuple[Array, Float64Array]:
    """With starved rays, which counted hardly anything, as their neighbours suggest; and the noise that they then have.

    Their own values are no line integrals with noise of this variance: of no counts the logarithm is a convention.
    """
    lost = noise > _LOST
    if not lost.any() or lost.all():
        return sinogram, noise
    found = filling(~lost, geometry)
    spread = found(noise)
    spread.flat[found.missing] = found.matrix.multiply(found.matrix) @ noise.ravel()
    return found(sinogram), spread


class _Spectrum:
    """The object's power along the detector: that of the sinogram less that of the noise, rays weighted."""

    def __init__(self, sinogram: Array, noise: Float64Array, weights: Float64Array) -> None:
        self.values, self.noise, self.weights = sinogram, noise, weights
        self.views, self.cells = sinogram.shape

    def plain(self) -> _Spectrum:
        return _Spectrum(self.values, self.noise, np.ones_like(self.weights))

    def blocks(self) -> Iterator[slice]:
        step = max(1, _BLOCK // (_REACH * self.cells))
        for first in range(0, self.views, step):
            yield slice(first, min(first + step, self.views))

    def power(self, part: slice, amplitude: Float64Array) -> float:
        """``sum_i w_i (D f)_i^2`` less what the noise has in it, ``D`` the filter of ``amplitude [views or 1, cells]``.

        Cosine transforms, since they continue the sinogram by its mirror image, without a jump.
        """
        filtered = idct(dct(self.values[part].astype(np.float64)) * amplitude)
        expected = idct(dct(self.noise[part]) * self._spread(amplitude))
        return float((self.weights[part] * (filtered**2 - expected)).sum())

    def weight_along(self, plain: _Spectrum, amplitude: Float64Array) -> float:
        """The mean weight of the rays along an object's edges, which the filter of ``amplitude`` finds.

        A narrow band of frequencies is of no place, so it would be weighed by all that is near an edge: the level of
        the spectrum is found without weights, and weighed by what a filter of few cells finds. Of all rays where noise
        hides the edges.
        """
        found, of = (sum(one.power(part, amplitude) for part in one.blocks()) for one in (self, plain))
        ratio, mean = found / of if min(found, of) > 0 else math.inf, float(self.weights.mean())
        # A ratio to what noise may have left by chance would be anything.
        return ratio if of > _CERTAIN * plain.chance(amplitude) else min(ratio, mean)

    def chance(self, amplitude: Float64Array) -> float:
        """The standard deviation of ``power`` over all views by noise alone."""
        spread = self._spread(amplitude)
        return math.sqrt(2 * sum(
            float(np.square(self.weights[part] * idct(dct(self.noise[part]) * spread)).sum()) for part in self.blocks()
        ))  # fmt: skip

    def _spread(self, amplitude: Float64Array) -> Float64Array:
        """What the filter of ``amplitude`` makes of the noise's variances, as a filter of these."""
        kernel = np.fft.irfft(np.concatenate([amplitude, amplitude[:, -1:]], axis=1), axis=1)
        return np.asarray(np.fft.rfft(kernel**2, axis=1).real[:, : self.cells])

    def weight_across(self, along: float) -> float:
        """How much less the rays across an object weigh than those along its edges, whose weight is ``along``.

        A view shows what the object has of edges along its own rays. What is finer than pixels is of all edges, and met
        by every ray that crosses one: a ray's part of that would be its way in the object, for which its value stands,
        did edges at a slant not count for more. The truth lies between, and six families of phantoms have it in the
        (geometric) middle.
        """
        way = np.maximum(self.values, 0)
        if not way.any():
            return 1.0
        across = float((self.weights * way).sum() / way.sum())
        return min(1.0, max(_LEAST_ACROSS, math.sqrt(across / along)))

    def fit(self) -> tuple[float, float]:
        """``(level, exponent)``: the power of a frequency, summed over the views, is ``level x^-exponent``."""
        x = (np.arange(self.cells) + 0.5) / self.cells
        edges = [round(share * self.cells) for share in _BANDS]
        bands = [slice(a, b) for a, b in pairwise(edges) if b > a]
        widths = np.array([b.stop - b.start for b in bands])
        found = np.zeros(len(bands))
        for part in self.blocks():
            for k, band in enumerate(bands):
                one = np.zeros((1, self.cells))
                one[0, band] = 1
                found[k] += self.power(part, one)
        found /= widths
        error = np.sqrt(2 * float(np.square(self.weights * self.noise).sum()) / self.cells / widths)
        best = (math.inf, 0.0, LIKELY)
        for exponent in _EXPONENTS:
            shape = folded(x, exponent)
            law = np.array([shape[band].mean() for band in bands])
            level, spread = 0.0, error**2 + 1e-12 * float(np.square(found).max(initial=0)) + 1e-300
            for _ in range(5):
                level = max(float((found * law / spread).sum() / (law * law / spread).sum()), 0.0)
                spread = error**2 + (RAGGED * level * law) ** 2 + 1e-300
            cost = float(((found - level * law) ** 2 / spread + np.log(spread)).sum())
            cost += ((exponent - LIKELY) / LIKELY_WITHIN) ** 2
            best = min(best, (cost, level, float(exponent)))
        return best[1], best[2]


def _finer_than_pixels(v: Float64Array) -> Float64Array:
    """The second part of ``R``, over ``v = h w``: it depends on nothing else, so a table serves all scans."""
    at, table = _alias_table()
    return np.asarray(np.interp(v, at, table, right=0.0))


@lru_cache(maxsize=1)
def _alias_table() -> tuple[Float64Array, Float64Array]:
    v = np.linspace(0, _REACH, 40 * _REACH + 1)
    phi = (np.arange(60) + 0.5) * math.pi / 240  # an eighth of a turn stands for all
    kx, ky = v[:, None] * np.cos(phi), v[:, None] * np.sin(phi)
    total = np.zeros_like(kx)
    whole = range(-2, _REACH + 3)
    # sinc^4 of each coordinate once, not of each pair's larger one.
    near_x, near_y = ([(np.abs(k - g), np.sinc(k - g) ** 4) for g in whole] for k in (kx, ky))
    for gx, (x, x_sinc) in zip(whole, near_x, strict=True):
        for gy, (y, y_sinc) in zip(whole, near_y, strict=True):
            if gx or gy:
                # A ray at right angles to k - G sees it; near G itself (1 / 0) the pixel has no response.
                total += np.where(x > y, x_sinc, y_sinc) / np.maximum(np.sqrt(x * x + y * y), 0.02)
    return v, v * ((np.sinc(kx) * np.sinc(ky)) ** 2 * total).mean(axis=1)
