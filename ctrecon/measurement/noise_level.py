"""How strong the noise is, from the sinogram alone: what no object can have made is noise.

Four ways, the first that serves: beyond the double wedge of a whole turn, beyond that of any views (``wedge.py``; of a
focal spot that flies to and fro, views with the spot at one place are a scan by themselves);
where too few views leave nothing beyond, what short windows hold between edges (``noise_spectrum.py``), and since
detail there may as well be noise that neighbours share, it is made wide; or, where only a matrix is given, short
windows along the detector less the cubics through them, which are noise wherever no edge passes and else too large.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry, Orbit
from ctrecon.measurement.held_power import largest_shared
from ctrecon.measurement.noise_spectrum import CAUTION, Level, level_of_white
from ctrecon.measurement.wedge import beyond_the_wedge, beyond_the_wedge_of_any_views
from ctrecon.support.arrays import Float64Array

WEAK = "the highest frequencies along the detector, a weak way and wide: detail may be noise that neighbours share"
WEAKEST = "what local cubics along the detector leave, the weakest way"

# So many times what local cubics leave of it is noise that neighbours share as 0.3 : 1 : 0.3.
_SHARED = 1.35
# Windows of so many cells, fitted by a cubic, in so many classes of brightness.
_CELLS, _DEGREE, _CLASSES = 10, 3, 5
# Of a detector with more rows so many are looked at.
_ROWS = 8
# A focal spot has at most so many places, each the same to such a share of its distance.
_STATES, _SAME = 4, 1e-6


def estimate_sigma(
    sinogram: npt.NDArray[np.floating], geometry: Geometry | None = None
) -> tuple[Level, str]:
    """Root mean square of the noise, and where it was looked for.

    Flickering and other noise that cells share is counted beyond the wedge; windows miss it.

    Of a volume it is that of single rows of the detector, evenly spread, each taken for one of a fan.

    Args:
        sinogram: ``[views, detectors]``, of a volume ``[views, rows, detectors]``.
        geometry: Without it there are only windows.

    Returns:
        The estimate as it is and with ``CAUTION``, then rather too large than too small; and the way in words.

    Raises:
        InputError: For fewer than 10 detectors.
    """
    if sinogram.ndim == 3 and sinogram.shape[1] > 0:
        return _of_rows(sinogram, geometry)
    if sinogram.ndim != 2 or sinogram.shape[1] < _CELLS:
        raise InputError(f"noise cannot be estimated from shape {sinogram.shape}: {_CELLS} detectors are needed")
    values = sinogram.astype(np.float64, copy=False)
    orbit = None if geometry is None else geometry.orbit
    if geometry is not None and orbit is not None and not orbit.steady:
        flying = _of_states(values, geometry, orbit)
        if flying is not None:
            return flying
    if geometry is not None and orbit is not None:
        order = np.argsort(np.asarray(orbit.angles_rad), kind="stable")
        beyond = beyond_the_wedge(values[order], orbit, geometry.detector_spacing_mm, order)
        if beyond is not None:
            return beyond, "angular frequencies that no object reaches"
        beyond = beyond_the_wedge_of_any_views(values, orbit, geometry.detector_spacing_mm)
        if beyond is not None:
            why = "a fit since the views close no turn in even steps"
            return beyond, f"angular frequencies that no object reaches, by {why}"
    windows = _in_windows(values)
    if geometry is None:
        return windows, WEAKEST
    white, shared = level_of_white(values), largest_shared(values)
    # Cubics take detail for noise, so this much it is at most; and an image is not to be fitted to a third of it.
    most = min(max(white.most, shared), _SHARED * windows.most)
    return Level(min(max(white.likely, most / 3), windows.likely, most), most), WEAK


def _of_states(values: Float64Array, geometry: Geometry, orbit: Orbit) -> tuple[Level, str] | None:
    """Of a focal spot that flies to and fro, the views with the spot at each of its places are a steady scan.

    Returns:
        The root mean square over these scans; None where places do not recur, or nothing of a scan lies beyond.
    """
    count = _recurring(geometry, np.asarray(orbit.angles_rad))
    if count is None:
        return None
    levels = []
    for first in range(count):
        views = slice(first, None, count)
        steady = replace(orbit, angles_rad=orbit.angles_rad[views], steady=True)
        order = np.argsort(np.asarray(steady.angles_rad), kind="stable")
        beyond = beyond_the_wedge(values[views][order], steady, geometry.detector_spacing_mm, order)
        if beyond is None:
            beyond = beyond_the_wedge_of_any_views(values[views], steady, geometry.detector_spacing_mm)
        if beyond is None:
            return None
        levels.append(beyond)
    where = f"angular frequencies that no object reaches, in {count} scans, one for each place of the focal spot"
    return Level.together(levels), where


def _recurring(geometry: Geometry, angles_rad: Float64Array) -> int | None:
    """After how many views source and detector stand as they did, as seen by the turning scanner; None beyond a few."""
    vectors = geometry.to_vectors()
    cos, sin = np.cos(angles_rad), np.sin(angles_rad)
    seen = [
        np.stack([cos * place[:, 0] + sin * place[:, 1], cos * place[:, 1] - sin * place[:, 0]], axis=1)
        for place in (vectors.source, vectors.detector)
    ]
    largest = float(np.abs(seen[0]).max())
    for count in range(2, min(_STATES, len(angles_rad) // 2) + 1):
        if all(np.abs(place[count:] - place[:-count]).max() < _SAME * largest for place in seen):
            return count
    return None


def _of_rows(values: npt.NDArray[np.floating], geometry: Geometry | None) -> tuple[Level, str]:
    """The root mean square over some of a detector's rows."""
    if geometry is not None and (geometry.orbit is None or not geometry.orbit.steady):
        geometry = None  # a row of a scanner that climbs closes no turn
    count = values.shape[1]
    rows = np.unique(np.linspace(0, count - 1, min(count, _ROWS)).round().astype(int))
    # A row of one number, as simulated air is, holds neither object nor noise.
    rows = np.array([row for row in rows if np.ptp(values[:, row]) > 0], dtype=int)
    if not rows.size:
        raise InputError("noise cannot be estimated from rows that hold one number each; give --delta")
    found = [estimate_sigma(values[:, row], geometry) for row in rows]
    together = Level.together([level for level, _ in found])
    return together, f"{len(found)} of {count} rows: {found[len(found) // 2][1]}"


def _in_windows(values: Float64Array) -> Level:
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
    likely = math.sqrt(mean)
    return Level(likely, likely * (1 + CAUTION / math.sqrt(2 * max(1.0, squares.size / 2))))


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
