"""How strong the noise is, from the sinogram alone: what no object can have made is noise.

Of a whole turn two things are known. A point of the object draws a curve of bounded slope, so at the frequency ``w``
along the detector the object reaches angular frequencies up to about ``w`` times that slope and no further: the double
wedge (P. R. Edholm, R. M. Lewitt, B. Lindholm, Proc. SPIE 671, 1986; for fans S. R. Mazin, N. J. Pelc, Med. Phys. 37,
2010). Beyond it there is noise alone, however detailed the object is. Where the views close no turn, short windows
less the cubics through them are noise wherever no edge passes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry, Orbit
from ctrecon.support.arrays import Float64Array

CAUTION = 2.0
"""The estimate is the value found plus so many of its standard errors: a bound on the noise must not be too small."""

# The wedge is drawn this much narrower and wider; each serves some objects best, and all err on the large side.
_WIDTHS = (0.9, 1.0, 1.1, 1.25, 1.5)
# Bessel functions J_n(x), of which sinograms are made, fade beyond n = x over a distance like the cube root of x.
_FADING = 2.0
_FEWEST = 50
# Up to so many of the lowest frequencies along the detector are looked at one by one, where a beam that flickers is.
_FLICKER = 4
# Windows of so many cells, fitted by a cubic, in so many classes of brightness.
_CELLS, _DEGREE, _CLASSES = 10, 3, 5


def estimate_sigma(
    sinogram: npt.NDArray[np.floating], geometry: Geometry | None = None
) -> tuple[float, str]:
    """Root mean square of the noise in ``[views, detectors]``, with ``CAUTION``, and where it was looked for.

    ``geometry`` lets a whole turn (parallel: half of one) of even steps be used as such.
    Flickering and other noise that cells share is then counted, and smooth noise rather too high; windows miss it.
    Raises InputError for fewer than 10 detectors.
    """
    if sinogram.ndim != 2 or sinogram.shape[1] < _CELLS:
        raise InputError(f"noise cannot be estimated from shape {sinogram.shape}: {_CELLS} detectors are needed")
    values = sinogram.astype(np.float64, copy=False)
    orbit = None if geometry is None else geometry.orbit
    if geometry is not None and orbit is not None:
        order = np.argsort(np.asarray(orbit.angles_rad), kind="stable")
        values = values[order]
        beyond = _beyond_the_wedge(values, orbit, geometry.detector_spacing_mm, order)
        if beyond is not None:
            return beyond, "angular frequencies that no object reaches"
    return _in_windows(values), "what local cubics along the detector leave"


def _beyond_the_wedge(
    values: Float64Array, orbit: Orbit, spacing_mm: float, order: npt.NDArray[np.intp]
) -> float | None:
    """None where the views do not close a turn in even steps, or too few coefficients lie beyond the wedge."""
    angles, cells = np.asarray(orbit.angles_rad)[order], values.shape[1]
    if not orbit.steady:
        return None  # a focal spot that flies to and fro is as fast as noise
    turn = _whole_turn(angles, halves=orbit.parallel)
    if turn is None:
        return None
    count, mirrored = turn
    places_mm = (np.arange(cells, dtype=np.float64) - (cells - 1) / 2) * spacing_mm + orbit.detector_offset_mm
    w = 2 * np.pi * np.fft.fftfreq(cells) / spacing_mm
    lines = np.fft.fft(values[:count], axis=1)
    if mirrored:
        # The other half turn sees the same lines from behind: s becomes -s, counted from the axis.
        lines *= np.exp(-1j * w * places_mm[0])
        lines = np.concatenate([lines, lines.conj()])
    power = np.abs(np.fft.fft(lines, axis=0)) ** 2 / (len(lines) * cells)
    n = (np.fft.fftfreq(len(lines)) * len(lines))[:, None]
    # Along the detector's axis a curve falls more steeply on its near side (seen from the source) than on its far side.
    near, far = _slopes(orbit, float(np.abs(places_mm).max()) + spacing_mm / 2)
    reach = np.abs(w) * np.where(n * w >= 0, near, far)
    found = []
    for width in _WIDTHS:
        noise = (np.abs(n) > width * reach + _FADING * np.cbrt(1 + width * reach)) & (n != 0)
        if noise.sum() >= _FEWEST * (2 if mirrored else 1):
            found.append(_root_mean_square(power, noise, 2 if mirrored else 1))
    return min(found, default=None)


def _root_mean_square(power: Float64Array, noise: npt.NDArray[np.bool_], copies: int) -> float:
    """Over all frequencies along the detector, from the coefficients ``noise``; each is there ``copies`` times.

    White, but for the lowest frequencies while they stand out by 5 standard errors: they count for themselves.
    """
    cells = power.shape[1]
    column = np.abs(np.rint(np.fft.fftfreq(cells) * cells))[None, :]
    total, share = 0.0, 1.0
    for lowest in range(_FLICKER):
        own, rest = noise & (column == lowest), noise & (column > lowest)
        if rest.sum() < _FEWEST * copies or not own.any():
            break
        error = math.sqrt(2 * copies / own.sum())
        if power[own].mean() <= power[rest].mean() * (1 + 5 * error):
            break
        part = np.count_nonzero(column == lowest) / cells
        total, share, noise = total + part * float(power[own].mean()) * (1 + CAUTION * error), share - part, rest
    white = float(power[noise].mean()) * (1 + CAUTION * math.sqrt(2 * copies / noise.sum()))
    return math.sqrt(total + share * white)


def _whole_turn(angles: Float64Array, *, halves: bool) -> tuple[int, bool] | None:
    """How many of the sorted views make a whole turn, and whether only half of one (where ``halves`` will do)."""
    steps = np.diff(angles)
    if steps.size == 0 or not steps.mean() > 0 or np.ptp(steps) > 0.01 * steps.mean():
        return None
    for turn in (2 * math.pi, math.pi) if halves else (2 * math.pi,):
        count = round(turn / float(steps.mean()))
        if 1 < count <= angles.size and abs(count * steps.mean() - turn) <= 0.05 * steps.mean():
            return count, turn == math.pi
    return None


def _slopes(orbit: Orbit, edge_mm: float) -> tuple[float, float]:
    """The largest speeds, in mm of the detector per radian, of points in the disc that a detector to its edge sees."""
    axis, detector = orbit.source_to_axis_mm, orbit.source_to_detector_mm
    if axis is None or detector is None:
        return edge_mm, edge_mm
    radius = axis * math.sin(float(orbit.fan_angle_rad(np.asarray(edge_mm))))
    return detector * radius / (axis - radius), detector * radius / (axis + radius)


def _in_windows(values: Float64Array) -> float:
    """Ten neighbours on the detector, less the cubic through them, are noise wherever no edge passes.

    Their sum of squares is then ``sigma^2 chi2(6)``. Starting from the smallest tenth, the windows that fit one sigma
    are averaged until nothing changes, with the mean of the cut chi-square law as divisor. Noise that grows with
    attenuation is followed by doing so in classes of equal numbers of windows by their mean.
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, _CELLS, axis=1)[:, ::2]
    # An orthonormal basis of what no cubic can be; the first columns of a complete QR span the cubics.
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, _CELLS), _DEGREE + 1), mode="complete")[0][:, _DEGREE + 1 :]
    squares = ((windows @ basis) ** 2).sum(axis=-1).ravel()
    order = np.argsort(windows.mean(axis=-1).ravel(), kind="stable")
    classes = np.array_split(squares[order], min(_CLASSES, max(1, squares.size // 100)))
    mean = sum(_variance_of_clean(part) * part.size for part in classes) / squares.size
    # Windows overlap five times, and the cut leaves about half: a number in each of six is good for half of one.
    return math.sqrt(mean) * (1 + CAUTION / math.sqrt(2 * max(1.0, squares.size / 2)))


def _variance_of_clean(squares: Float64Array) -> float:
    """``s`` such that those of ``squares`` below the 60% quantile of ``s chi2(k)`` have the mean they should have."""
    k = _CELLS - _DEGREE - 1
    start, cut = 2 * float(gammaincinv(k / 2, 0.1)), 2 * float(gammaincinv(k / 2, 0.6))
    mean = k * float(gammainc(k / 2 + 1, cut / 2)) / 0.6
    s = float(np.quantile(squares, 0.1)) / start
    for _ in range(100):
        last, s = s, float(squares[squares <= cut * s].mean()) / mean if s > 0 else 0.0
        if abs(s - last) <= 1e-6 * last:
            break
    return s
