"""What lies beyond the double wedge of a sinogram is noise: no object reaches it, however detailed it is.

A point of the object draws a curve of bounded slope, so at the frequency ``w`` along the detector the object reaches
angular frequencies up to about ``w`` times that slope and no further (P. R. Edholm, R. M. Lewitt, B. Lindholm, Proc.
SPIE 671, 1986; for fans S. R. Mazin, N. J. Pelc, Med. Phys. 37, 2010). Of a whole turn in even steps a Fourier
transform over the views shows what is beyond. Of other views, in any order and with any gaps, it is what a
least-squares fit by the angular frequencies within leaves: as many dimensions as there are more views than the fit has.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ctrecon.geometry.base import Orbit
from ctrecon.measurement.noise_likelihood import Everything
from ctrecon.measurement.noise_spectrum import Level, Lines, level_of
from ctrecon.support.arrays import Float64Array

# The wedge is drawn this much narrower and wider, and its edge softer; each serves some objects best, and all err on
# the large side.
# Bessel functions J_n(x), of which sinograms are made, fade beyond n = x over a distance like the cube root of x.
_SHAPES = ((1.0, 2.0), (1.25, 2.0), (1.25, 4.0))
# Of other views: directions that the fit reaches more weakly than this are left to the noise, so many frequencies along
# the detector are looked at, the lowest one by one, and none with more unknowns than this.
_REACHED, _LINES, _LOWEST, _UNKNOWNS = 1e-3, 16, 4, 240
# The ends of the detector differ by more than so many times (squared) what neighbours there do, where it does not see
# all of an object; then it fades over such a share of the cells at either end.
_JUMP, _ENDS = 10.0, 0.25


def beyond_the_wedge(
    values: Float64Array, orbit: Orbit, spacing_mm: float, order: npt.NDArray[np.intp]
) -> Level | None:
    """The noise's root mean square, of a whole turn (parallel: or half of one) of even steps.

    Args:
        values: ``[views, cells]``, the views sorted by angle.
        orbit: How the scanner turns.
        spacing_mm: From cell to cell.
        order: Where the sorted views stand in the orbit.

    Returns:
        None where the views do not close a turn in even steps, or too few coefficients lie beyond the wedge.
    """
    angles, cells = np.asarray(orbit.angles_rad)[order], values.shape[1]
    if not orbit.steady:
        return None  # what moves to and fro is as fast as noise
    turn = _whole_turn(angles, halves=orbit.parallel)
    if turn is None:
        return None
    count, mirrored = turn
    places_mm = (np.arange(cells, dtype=np.float64) - (cells - 1) / 2) * spacing_mm + orbit.detector_offset_mm
    w = 2 * np.pi * np.fft.fftfreq(cells) / spacing_mm
    weight, blunt = _taper(values)
    lines = np.fft.fft(values[:count] * weight, axis=1)
    if mirrored:
        # The other half turn sees the same lines from behind: s becomes -s, counted from the axis.
        lines *= np.exp(-1j * w * places_mm[0])
        lines = np.concatenate([lines, lines.conj()])
    power = np.abs(np.fft.fft(lines, axis=0)) ** 2 / (len(lines) * cells)
    n = (np.fft.fftfreq(len(lines)) * len(lines))[:, None]
    # Along the detector's axis a curve falls more steeply on its near side (seen from the source) than on its far side.
    near, far = _slopes(orbit, float(np.abs(places_mm).max()) + spacing_mm / 2)
    reach = (np.abs(w) + blunt * w[1]) * np.where(n * w >= 0, near, far)
    line = np.abs(np.rint(np.fft.fftfreq(cells) * cells)).astype(int)
    copies = 2 if mirrored else 1

    def lines_of(chosen: npt.NDArray[np.bool_]) -> tuple[Float64Array, Float64Array]:
        sums = (np.where(chosen, power, 0).sum(0), chosen.sum(0, dtype=np.float64))
        return np.bincount(line, sums[0]) / copies, np.bincount(line, sums[1]) / copies

    everything, share = Everything.of(values), np.bincount(line) / cells
    found = []
    for width, fading in _SHAPES:
        beyond = lines_of((np.abs(n) > width * reach + fading * np.cbrt(1 + width * reach)) & (n != 0))
        found.append(Lines(*beyond, share, everything))
    return level_of(found)


def beyond_the_wedge_of_any_views(values: Float64Array, orbit: Orbit, spacing_mm: float) -> Level | None:
    """The same of views at any angles, in the orbit's own order.

    Returns:
        None where too few dimensions are left: of few views only the lowest frequencies along the detector have any.
    """
    if not orbit.steady:
        return None
    angles, cells = np.asarray(orbit.angles_rad), values.shape[1]
    places_mm = (np.arange(cells, dtype=np.float64) - (cells - 1) / 2) * spacing_mm + orbit.detector_offset_mm
    w = 2 * np.pi * np.arange(cells // 2 + 1) / (cells * spacing_mm)
    weight, blunt = _taper(values)
    lines = np.fft.rfft(values * weight, axis=1) * np.exp(-1j * w * places_mm[0]) / math.sqrt(cells)
    line = np.abs(np.rint(np.fft.fftfreq(cells) * cells)).astype(int)
    once = np.bincount(line).astype(np.float64)  # real numbers: one for the lowest frequency, two for others
    everything = Everything.of(values)
    copies = 1
    if orbit.parallel:
        lines, angles, copies = np.concatenate([lines, lines.conj()]), np.concatenate([angles, angles + math.pi]), 2
    near, far = _slopes(orbit, float(np.abs(places_mm).max()) + spacing_mm / 2)
    found = []
    for width, fading in _SHAPES:
        reach = [width * slope * (w + blunt * w[1]) for slope in (near, far)]
        above, below = (np.floor(one + fading * np.cbrt(1 + one)).astype(int) for one in reach)
        unknowns = above + below + 1
        eligible = np.flatnonzero(unknowns <= min(_UNKNOWNS, len(angles) - 1))
        if eligible.size > _LINES:
            spread = np.linspace(_LOWEST, eligible.size - 1, _LINES - _LOWEST).round().astype(int)
            eligible = np.concatenate([eligible[:_LOWEST], eligible[spread]])
        power, free = np.zeros(w.size), np.zeros(w.size)
        for k in eligible:
            power[k], free[k] = _left(lines[:, k], angles, int(above[k]), int(below[k]))
        found.append(Lines(power * once / copies, free * once / copies, once / cells, everything))
    return level_of(found)


def _left(
    line: npt.NDArray[np.complex128], angles: Float64Array, above: int, below: int
) -> tuple[float, int]:
    """The power that no angular frequency from ``-below`` to ``above`` explains, and its dimensions."""
    basis = np.exp(1j * angles[:, None] * np.arange(-below, above + 1))
    squares, v = np.linalg.eigh(basis.conj().T @ basis)
    seen = squares > _REACHED**2 * squares[-1]
    u = basis @ (v[:, seen] / np.sqrt(squares[seen]))
    return float(np.linalg.norm(line - u @ (u.conj().T @ line)) ** 2), len(angles) - int(seen.sum())


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


def _taper(values: Float64Array) -> tuple[Float64Array, float]:
    """A weight for each cell, of mean square 1, that makes an object fade which the detector does not see to its ends.

    And over so many frequencies it spreads what is at one.

    A Fourier transform takes the ends for neighbours, and a jump there is of all frequencies.
    """
    jump = float(np.square(values[:, 0] - values[:, -1]).mean())
    # A missing cell at the end may hold what the next one does, so the next but one is asked as well.
    steps = np.square(np.diff(values, axis=1)).mean(axis=0)
    beside = float(steps[:2].max() + steps[-2:].max())
    cells = values.shape[1]
    if jump <= _JUMP * beside:
        return np.ones(cells), 0.0
    away = np.minimum(np.arange(cells) + 0.5, cells - np.arange(cells) - 0.5) / (_ENDS * cells)
    weight = np.sin(np.minimum(away, 1.0) * math.pi / 2) ** 2
    return np.asarray(weight / math.sqrt(float(np.square(weight).mean()))), 1 / _ENDS


def _slopes(orbit: Orbit, edge_mm: float) -> tuple[float, float]:
    """The largest speeds, in mm of the detector per radian, of points in the disc that a detector to its edge sees."""
    axis, detector = orbit.source_to_axis_mm, orbit.source_to_detector_mm
    if axis is None or detector is None:
        return edge_mm, edge_mm
    radius = axis * math.sin(float(orbit.fan_angle_rad(np.asarray(edge_mm))))
    return detector * radius / (axis - radius), detector * radius / (axis + radius)
