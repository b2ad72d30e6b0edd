"""Replace rays through metal by those of a body without it (normalised interpolation).

Rays through metal as a body without metal would have them: normalised metal artefact reduction.

E. Meyer, R. Raupach, M. Lell, B. Schmidt, M. Kachelriess, Med. Phys. 37, 5482, 2010. A first image, of rays that are
interpolated, is cut into air, soft tissue and the rest, and this is projected. Divided by it, the data are nearly flat
where the body is, so that interpolation across the metal's shadow keeps what bones and borders it crosses; then the
division is undone. The image so shows the body with tissue in the metal's place.

What stands there afterwards is a guess, and weighs as such: its variance is as large as what the guess changed against
the plain interpolation. ``metal`` guesses nothing and leaves these rays out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ctrecon.classical.inversion import inversion
from ctrecon.corrections.metal import above_limit, widened
from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.mask import Mask
from ctrecon.measurement.scan import Scan
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.support.arrays import Array, Float64Array

PLACE = 100
"""Where among the corrections it is applied."""

# Metal begins at so many times water: 3000 HU.
_TIMES_WATER = 4.0
# A ray that runs through less metal than this share of a pixel runs beside it.
_TOUCHED = 0.5
# Where the prior is below this share of its largest line integral the ray is beside the body, and its quotient noise.
_BODY = 0.02
# Values within this share of soft tissue's are soft tissue.
_ALIKE = 0.2
_SMOOTH_PIXELS = 1.0
# Below this share of soft tissue there is air, and what is seen there are streaks.
_AIR = 0.1


def nmar(scan: Scan, *, above: float | None = None, mu: float | None = None, border: float = 1) -> Scan:
    """The scan with rays through metal replaced, their variance with them; unchanged without metal.

    Args:
        scan: Of one slice, by a scanner that filtered back projection knows.
        above: The line integral above which a ray runs through metal, > 0; None to find metal in a first image.
        mu: Without ``above``: from what attenuation a pixel is metal, in 1/mm; None for four times water (3000 HU).
        border: Cells beside the metal's shadow that are replaced, too.

    Raises:
        SettingError: For a limit that is not > 0 or most of the object is above, or none where lengths are not in mm.
        InputError: For a volume, a matrix alone, or a scan in which metal hides all of a view.
        GeometryError: For a scanner without an inversion formula.
    """
    for name, value in (("above", above), ("mu", mu)):
        if value is not None and not value > 0:
            raise SettingError(f"nmar:{name} must be > 0, got {value:g}")
    if border < 0:
        raise SettingError(f"nmar:border must be 0 cells or more, got {border:g}")
    if scan.geometry is None or scan.in_space:
        raise InputError(f"{scan.source}: nmar needs one slice and its geometry; give --row, or use metal in its place")
    gridded = scan.with_grid()
    assert gridded.geometry is not None
    assert gridded.grid is not None
    pixel = min(gridded.grid.spacing_mm)
    operator = choose_operator(gridded.geometry, gridded.grid)
    inverse = inversion(gridded.geometry, gridded.grid, window="hann")

    def image_of(values: Array) -> Float64Array:
        data = torch.from_numpy(np.array(values, dtype=np.float32))[None, None]
        return inverse(data)[0, 0].numpy().astype(np.float64)

    if above is not None:
        rays = above_limit("nmar", scan, above)
    else:
        limit = _limit(scan, mu)
        rays = _projected(operator, image_of(scan.sinogram) > limit) > _TOUCHED * pixel
    if not rays.any():
        return scan
    rays = widened(rays, border)
    if rays.all(axis=1).any():
        view = int(np.flatnonzero(rays.all(axis=1))[0])
        raise InputError(f"{scan.source}: metal hides all of view {view}, nothing can be interpolated; raise the limit")
    f = scan.sinogram.astype(np.float64)
    linear = across(f, rays)
    found = normalised(f, rays, _projected(operator, prior(image_of(linear))))
    sinogram = np.where(rays, found, f).astype(scan.sinogram.dtype)
    variance = scan.variance
    if variance is not None:
        guessed = across(variance.astype(np.float64), rays) + (found - linear) ** 2
        variance = np.where(rays, guessed, variance).astype(variance.dtype)
    # They stand for no count any more, and are there where they were missing.
    mask = None if scan.mask is None else scan.mask | rays
    return replace(scan, sinogram=sinogram, variance=variance, mask=mask, counts=None, white=None)


def normalised(f: Float64Array, rays: Mask, expected: Float64Array) -> Float64Array:
    """``f`` with ``rays`` interpolated after division by ``expected``, beside the body without it."""
    body = expected > _BODY * expected.max()
    quotient = np.where(body, f / np.where(body, expected, 1.0), 1.0)
    guess = across(quotient, rays) * expected
    return np.where(rays, np.where(body, guess, across(f, rays)), f)


def across(values: Float64Array, rays: Mask) -> Float64Array:
    """``values`` with ``rays`` in straight lines between the others of their view."""
    filled = values.copy()
    cells = np.arange(values.shape[1])
    for view in np.flatnonzero(rays.any(axis=1)):
        lost = rays[view]
        filled[view, lost] = np.interp(cells[lost], cells[~lost], values[view, ~lost])
    return filled


def prior(image: Float64Array) -> Float64Array:
    """Air as 0, what lies within a fifth of soft tissue as one value, and bone and lung as they are.

    Soft tissue is the value about which most of the body's pixels lie.
    """
    smooth = gaussian_filter(image, _SMOOTH_PIXELS).clip(0)
    inside = np.sort(smooth[smooth > _AIR * np.quantile(smooth, 0.995)])
    if inside.size == 0:
        return np.zeros_like(smooth)
    first, last = (np.searchsorted(inside, factor * inside) for factor in (1 - _ALIKE, 1 + _ALIKE))
    most = int((last - first).argmax())
    soft = float(np.median(inside[first[most] : last[most]]))
    found = np.where(np.abs(smooth - soft) < _ALIKE * soft, soft, smooth)
    return np.where(smooth < _AIR * soft, 0.0, found)


def _limit(scan: Scan, mu: float | None) -> float:
    if mu is not None:
        return mu
    water = scan.water_mu_per_mm
    if not scan.in_mm or water is None:
        lacks = "a scan without the attenuation of water" if scan.in_mm else f"lengths in {scan.units.length}"
        raise SettingError(f"what metal is does not follow from {lacks}; give nmar:above=NUMBER, a line integral")
    return _TIMES_WATER * water


def _projected(operator: LinearOperator, image: Array) -> Float64Array:
    return operator(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy().astype(np.float64)
