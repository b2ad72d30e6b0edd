"""Where the rotation axis projects on the detector, found from the sinogram.

Three published methods, each where it applies:
- *conjugate rays*: a line measured twice, from its two ends, gives the same value; the axis is where the two halves of
  the data agree best (D. Panetta et al., Phys. Med. Biol. 53, 3841, 2008). For full turns, and for short scans.
- *sinogram metric*: a half turn of parallel views and its mirror image make a full turn, whose Fourier transform is
  empty outside a double wedge only if the mirror stands right (N. T. Vo et al., Opt. Express 22, 19078, 2014).
- *centre of mass*: it follows a sinusoid about the axis (S. G. Azevedo et al., IEEE Trans. Nucl. Sci. 37, 1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ctrecon.errors import GeometryError, InputError
from ctrecon.geometry.base import Geometry, Orbit, orbit_of
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array, Float64Array

_FEWEST_CONJUGATES = 0.05
_MOST_VIEWS = 48
_MOST_FREQUENCIES = 60_000
# The whole detector is looked at but for this share at either end, at so many columns; then by so many steps to either
# side, down to steps of so much; nothing moves further than so many steps.
_MARGIN, _MOST_COLUMNS = 0.03, 300
_BESIDE, _FINEST, _FURTHEST, _MOST_STEPS = 5, 0.02, 6.0, 60
_PARTS, _FEWEST_VIEWS = 8, 5
# No interval is narrower to either side: cells are what the data consist of.
_SUREST = 0.05

Misfit = Callable[[float, int | None], float]
"""Of a column, in one of ``_PARTS`` parts of the data, or in all of them."""


@dataclass(frozen=True, kw_only=True)
class Center:
    """Where the axis projects to, and how sure that is.

    Attributes:
        column: 0-based, whole at a cell's centre.
        how: The method.
        low: With ``high`` the interval that holds it with 95% confidence, by what parts of the data say each.
        high: See ``low``.
        columns: Where the misfit was looked at over the whole detector; empty for the centre of mass, which has none.
        misfits: What it was there.
    """

    column: float
    how: str
    low: float
    high: float
    columns: tuple[float, ...] = ()
    misfits: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"column {self.column:.2f} ({self.low:.2f} to {self.high:.2f} with 95% confidence) by {self.how}"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A column without its interval, the curve, and what finds it ``again`` in one of ``_PARTS`` parts, if anything."""

    column: float
    how: str
    again: Callable[[int], float] | None
    columns: Float64Array
    misfits: Float64Array


def estimate_center(sinogram: Array, geometry: Geometry) -> Center:
    """The column the rotation axis projects to, from the data; the geometry's own offset is not used.

    By rays measured from both ends (Panetta et al. 2008), else by the sinogram's double wedge (Vo et al. 2014), else by
    the centre of mass (Azevedo et al. 1990). The axis is sought over the whole detector but its outermost cells; in
    half a turn of parallel beams the object must lie inside every view.

    Args:
        sinogram: Line integrals ``[views, detectors]``.
        geometry: Of the scan, with an orbit.

    Returns:
        The column, from 0, fractions allowed, how it was found, and how sure it is: each of ``_PARTS`` parts of the
        data is asked by itself, and their scatter is that of the whole by Student's law.

    Raises:
        InputError: Where the data do not show the axis: constant data, too few views, a fan beam over less than half a
            turn, a misfit that is least at an end of the detector.
        GeometryError: For a geometry without an orbit.
    """
    found = _found(sinogram, geometry)
    column, again, curve = found.column, found.again, (found.columns.tolist(), found.misfits.tolist())
    parts = [column - 1, column + 1] if again is None else [again(part) for part in range(_PARTS)]
    low, high = _interval(column, parts)
    return Center(column=column, how=found.how, low=low, high=high, columns=tuple(curve[0]), misfits=tuple(curve[1]))


def axis_column(sinogram: Array, geometry: Geometry) -> float:
    """``estimate_center(sinogram, geometry).column`` alone, in a third of the time.

    Args:
        sinogram: As there.
        geometry: As there.

    Returns:
        The column, from 0.

    Raises:
        InputError: As there.
        GeometryError: As there.
    """
    return _found(sinogram, geometry).column


def _found(sinogram: Array, geometry: Geometry) -> _Found:
    orbit = orbit_of(geometry, "the search for the rotation axis", "its own places say where the axis is")
    values = sinogram.astype(np.float64)
    if values.shape[0] < 3 or values.shape[1] < 8:
        raise InputError(f"the rotation axis cannot be found in {values.shape} values; give --center a column")
    if float(np.ptp(values)) == 0:
        raise InputError("the rotation axis cannot be found in a constant sinogram; give --center a column")
    angles = np.asarray(orbit.angles_rad)
    conjugates = _Conjugates(values, orbit, geometry.detector_spacing_mm)
    n = values.shape[1]
    if conjugates.share((n - 1) / 2) >= _FEWEST_CONJUGATES:
        return _search(conjugates.disagreement, n, "conjugate rays (Panetta et al. 2008)")
    if not orbit.parallel:
        raise InputError(
            "the rotation axis of a fan beam cannot be found without rays measured from both ends "
            "(half a turn and the fan angle); give --center a column"
        )
    half_turn = _uniform_half_turn(angles)
    if half_turn is not None:
        return _search(_sinogram_metric(values[half_turn]), n, "sinogram metric (Vo et al. 2014)")

    def again(part: int) -> float:
        return _center_of_mass(values[part::_PARTS], angles[part::_PARTS])

    nowhere = np.empty(0)
    return _Found(
        column=_center_of_mass(values, angles), how="centre of mass (Azevedo et al. 1990)",
        again=again if len(values) >= _FEWEST_VIEWS * _PARTS else None, columns=nowhere, misfits=nowhere,
    )  # fmt: skip


def _search(misfit: Misfit, cells: int, how: str) -> _Found:
    """The smallest misfit over the whole detector, then nearer and nearer."""
    margin = max(1.0, _MARGIN * cells)
    # In whole steps of half a cell: rays are compared as they were measured, not between two cells.
    half_cells = math.ceil(2 * (cells - 1 - 2 * margin) / _MOST_COLUMNS)
    columns = np.arange(math.ceil(2 * margin), math.floor(2 * (cells - 1 - margin)) + 1, half_cells) / 2
    values = np.array([misfit(float(c), None) for c in columns])
    best = int(np.argmin(values))
    if best in (0, columns.size - 1) or not np.isfinite(values[best]):
        raise InputError(
            "the rotation axis cannot be found: the misfit is least at an end of the detector; give --center a column"
        )
    column = _nearer(misfit, float(columns[best]), float(columns[1] - columns[0]), None)
    finite = np.isfinite(values)
    again = partial(_nearer, misfit, column, 0.5)
    return _Found(column=column, how=how, again=again, columns=columns[finite], misfits=values[finite])


def _interval(column: float, parts: Sequence[float]) -> tuple[float, float]:
    """Where the mean of all parts lies by Student's law, about the column of the whole."""
    off = np.asarray(parts) - column
    size = math.sqrt(float((off**2).sum()) / max(1, off.size - 1) / off.size)
    half = max(_SUREST, float(stdtrit(max(1, off.size - 1), 0.975)) * size)
    return column - half, column + half


def _nearer(misfit: Misfit, column: float, step: float, part: int | None) -> float:
    """From a column that is right to ``step``: by ever smaller steps, then the parabola through the best three."""
    start = column
    for _ in range(_MOST_STEPS):
        at = column + step * np.arange(-_BESIDE, _BESIDE + 1) / _BESIDE
        values = np.array([misfit(float(c), part) for c in at])
        best = int(np.argmin(values))
        column = float(at[best])
        if best in (0, at.size - 1):
            if abs(column - start) >= _FURTHEST * max(step, 1.0):
                return column
            continue
        if step > _BESIDE * _FINEST:
            step = max(2 * step / _BESIDE, _BESIDE * _FINEST)
            continue
        below, here, above = values[best - 1 : best + 2]
        bend = below - 2 * here + above
        return column + (step / _BESIDE * float(0.5 * (below - above) / bend) if 0 < bend < math.inf else 0.0)
    return column


class _Conjugates:
    """The ray (theta, s) is measured again as (theta + pi - 2 gamma, -s); gamma is 0 in parallel beams."""

    def __init__(self, values: Float64Array, orbit: Orbit, spacing_mm: float) -> None:
        turned = np.mod(np.asarray(orbit.angles_rad), 2 * math.pi)
        order = np.argsort(turned, kind="stable")
        turned = turned[order]
        # One turn, closed: the first view stands again behind the last.
        self._angles = np.append(turned, turned[0] + 2 * math.pi)
        self._values = np.concatenate([values[order], values[order[:1]]])
        gaps = np.diff(self._angles)
        typical = float(np.median(gaps[gaps > 1e-9])) if bool((gaps > 1e-9).any()) else 2 * math.pi
        self._known = gaps <= 1.5 * typical
        self._gap = np.maximum(gaps, 1e-12)
        edged = np.pad(self._values, ((0, 0), (1, 1)), mode="edge")
        self._bend = edged[:, 2:] - 2 * self._values + edged[:, :-2]
        self._cells = values.shape[1]
        self._orbit, self._spacing = orbit, spacing_mm
        every = max(1, turned.size // _MOST_VIEWS)
        self._chosen = np.arange(0, turned.size, every)

    def _pairs(
        self, column: float, part: int | None = None
    ) -> tuple[Float64Array, Float64Array, npt.NDArray[np.bool_]]:
        """Values, those of their conjugates, and which were measured: each ``[views, cells]``.

        Of the cells alone whose mirror image lies on the detector: half of them, where the axis is far off.
        """
        n, f = self._cells, self._values
        # A mirrored cell lies on the detector from ``first`` to ``last``, always by the same part b of a cell off one.
        first, last = max(0, math.ceil(2 * column - (n - 1))), min(n - 1, math.floor(2 * column))
        cells = np.arange(first, last + 1)
        whole = math.floor(2 * column)
        b = 2 * column - whole
        mirrored = whole - cells
        # Beyond the last cell stands the last: its weight b is nothing there.
        between = f if b == 0 else (1 - b) * f + b * np.concatenate([f[:, 1:], f[:, -1:]], axis=1)
        chosen = self._chosen if part is None else self._chosen[part::_PARTS]
        gamma = self._orbit.fan_angle_rad((cells - column) * self._spacing)
        start = self._angles[0]
        theta = self._angles[chosen, None] + (math.pi - 2 * gamma)[None, :]
        theta -= 2 * math.pi * (theta >= start + 2 * math.pi)
        theta += 2 * math.pi * (theta < start)
        view = np.minimum(np.maximum(np.searchsorted(self._angles, theta, side="right") - 1, 0), self._gap.size - 1)
        a = np.minimum(np.maximum((theta - self._angles[view]) / self._gap[view], 0), 1)
        before, after = between[view, mirrored], between[view + 1, mirrored]
        conjugate = before + a * (after - before)
        # The measured ray gets the same smoothing across the detector as its conjugate, else noise picks the column.
        rows = f[chosen, first : last + 1]
        own = rows if b == 0 else rows + 0.5 * b * (1 - b) * self._bend[chosen, first : last + 1]
        return own, conjugate, self._known[view]

    def share(self, column: float) -> float:
        """Part of the rays whose conjugate was measured."""
        return float(self._pairs(column)[2].sum()) / float(self._chosen.size * self._cells)

    def disagreement(self, column: float, part: int | None) -> float:
        """``sum (a - b)^2 / sum (a - mean)^2 + (b - mean)^2``: 0 where all agree, 1 for unrelated values."""
        own, conjugate, known = self._pairs(column, part)
        a, b = own[known], conjugate[known]
        if a.size == 0:
            return math.inf
        mean = 0.5 * (a.mean() + b.mean())
        scale = float(((a - mean) ** 2).sum() + ((b - mean) ** 2).sum())
        return float(((a - b) ** 2).sum()) / scale if scale > 0 else math.inf


def _uniform_half_turn(angles: Float64Array) -> npt.NDArray[np.intp] | None:
    """The views in order of their angle where they divide half a turn evenly (a repeated end is left out)."""
    order = np.argsort(angles, kind="stable")
    steps = np.diff(angles[order])
    step = float(np.median(steps))
    if step <= 0 or float(np.abs(steps - step).max()) > 0.05 * step:
        return None
    if abs(angles.size * step - math.pi) <= 0.75 * step:
        return order
    return order[:-1] if abs((angles.size - 1) * step - math.pi) <= 0.75 * step else None


def _sinogram_metric(values: Float64Array) -> Misfit:
    """Mean modulus of the full turn's spectrum where no object inside the field of view can have any.

    At ``k`` periods a turn and ``nu`` periods a cell an object of radius R cells has nothing for ``|k| > 2 pi R |nu|``.
    The turn is the half turn and its mirror image, so its spectrum is ``G1 + exp(2 pi i nu shift) G2``.
    """
    views, n = values.shape
    length = 2 * n
    padded = np.zeros((2, 2 * views, length))
    edge = 0.5 * (float(np.median(values[:, 0])) + float(np.median(values[:, -1])))
    padded[0, :views, :n] = values - edge
    padded[1, views:, :n] = values[:, ::-1] - edge
    spectrum = np.fft.fft2(padded)
    k = np.abs(np.fft.fftfreq(2 * views) * 2 * views)[:, None]
    nu = np.fft.fftfreq(length)[None, :]
    # R is half the detector: an object that fills it; a row at nu = 0 and the slowest turns are as good as any axis.
    empty = (k > 2 * math.pi * (n / 2) * np.abs(nu)) & (np.abs(nu) > 1.5 / length) & (k > max(4, 0.02 * views))
    where = np.flatnonzero(empty)
    where = where[:: max(1, where.size // _MOST_FREQUENCIES)]
    if where.size == 0:
        raise InputError(f"the rotation axis cannot be found in {values.shape} values; give --center a column")
    G1, G2 = spectrum[0].ravel()[where], spectrum[1].ravel()[where]
    turn = 2j * math.pi * np.broadcast_to(nu, empty.shape).ravel()[where]

    def metric(column: float, part: int | None) -> float:
        some = slice(part, None, 1 if part is None else _PARTS)
        return float(np.abs(G1[some] + np.exp(turn[some] * (n - 1 - 2 * column)) * G2[some]).mean())

    return metric


def _center_of_mass(values: Float64Array, angles: Float64Array) -> float:
    """The constant of the least-squares sinusoid ``c + x cos(theta) + y sin(theta)`` through the centres of mass."""
    mass = values.sum(axis=1)
    if float(mass.min()) <= 0.1 * float(mass.max()) or float(np.ptp(np.mod(angles, 2 * math.pi))) < math.pi / 4:
        raise InputError("the rotation axis cannot be found in these views; give --center a column")
    com = values @ np.arange(values.shape[1]) / mass
    basis = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    solution, *_ = np.linalg.lstsq(basis, com, rcond=None)
    column = float(solution[0])
    if not 0 <= column <= values.shape[1] - 1:
        raise InputError(f"the rotation axis was found outside the detector, at {column:.1f}; give --center a column")
    return column


def with_center(scan: Scan, center: float | str | None) -> Scan:
    """The scan with its rotation axis at ``center``: a column, a text that holds one, or "auto"; None changes nothing.

    Raises InputError for anything else, and where the data do not show the axis.
    """
    if center is None:
        return scan
    if isinstance(center, str) and center.strip().lower() == "auto":
        if scan.geometry is None:
            raise InputError(f"{scan.source}: the rotation axis cannot be sought where only a matrix is given")
        if scan.in_space:
            raise InputError(
                f"{scan.source}: the rotation axis is sought in one plane, not in a volume; state detector_offset_mm "
                "in its geometry, or --center COLUMN"
            )
        scan.with_center((scan.sinogram.shape[1] - 1) / 2)  # a geometry whose axis cannot be moved says so at once
        try:
            found = estimate_center(scan.sinogram, scan.geometry)
        except (InputError, GeometryError) as error:
            raise InputError(f"{scan.source}: {error}") from None
        note = f"rotation axis estimated at {found}"
        return replace(scan.with_center(found.column), notes=(*scan.notes, note))
    try:
        column = float(center)
    except ValueError:
        raise InputError(f"{scan.source}: --center must be a column or auto, got {center!r}") from None
    return scan.with_center(column)
