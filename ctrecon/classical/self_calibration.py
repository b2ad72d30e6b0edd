"""Geometry from the data: how each view stood, refined together with an image by the misfit itself.

Where ``A(g) u`` is differentiable in a number ``g_v`` of a view, ``A(g + h) (u + w) ~ A u + A w + J h`` with ``J`` the
derivative of the view's projection: along the detector for a shift, by central differences of the projector for the
others. So image and geometry are found by Gauss-Newton steps, each some conjugate gradients on the joint least-squares
problem ``min || W^(1/2) (A w + J h - (f - A u)) ||`` (variable projection in its joint form: G. Golub, V. Pereyra,
Inverse Problems 19, R1, 2003; for CT: T. van Leeuwen, S. Maretzke, K. J. Batenburg, Inverse Problems 34, 2018).
Alternating between image and geometry would creep, since each hides the other's error.

What no data tell is left out: shifts that follow the sine and the cosine of the angle move the object, and where all
sources stand further away the object is as much larger.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.measurement.scan import Scan
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.support.arrays import Float64Array

KINDS = ("shifts", "distances", "turn")
"""Shifts along the detector and distances of the source, view by view; one turn of the detector."""

# Conjugate gradients for the image alone, and for both.
_IMAGE_STEPS, _JOINT_STEPS = 12, 15
# Steps of differences: of the source's distance, and of the detector's turn in radians. No Gauss-Newton step goes
# further than so many cells, for what a projection shows of a larger shift is not linear.
_DISTANCE_STEP, _TURN_STEP, _FURTHEST = 0.002, 0.005, 1.5
# A round that leaves more of the misfit than this is the last one.
_ENOUGH = 0.999


@dataclass(frozen=True, kw_only=True)
class Refined:
    """A geometry refined.

    Attributes:
        geometry: View by view.
        shifts: Of the detector along itself, in cells, ``[views]``.
        distances_mm: Of the source from the axis, ``[views]``; None in parallel beams.
        turn_rad: Of the detector about its middle.
        misfits: ``||W^(1/2) (A u - f)||`` of an image by a fixed number of steps, before and after each round.
    """

    geometry: VectorGeometry
    shifts: Float64Array
    distances_mm: Float64Array | None
    turn_rad: float
    misfits: tuple[float, ...]


@dataclass(frozen=True)
class _State:
    shifts: Float64Array
    distances: Float64Array | None
    turn: float

    def geometry(self, start: VectorGeometry) -> VectorGeometry:
        moved = start.with_detector_turn(np.full(len(self.shifts), self.turn)) if self.turn else start
        if self.distances is not None:
            moved = moved.with_source_distance(self.distances)
        return moved.with_detector_shift(self.shifts * start.detector_spacing_mm)


def refine(
    scan: Scan, what: tuple[str, ...] = ("shifts",), *, rounds: int = 6,
    watch: Callable[[int, float], None] | None = None,
) -> Refined:
    """Refine the geometry of a scan in the plane.

    Args:
        scan: With a geometry; its grid is used, else one for its object. Missing rays have no weight.
        what: Some of ``KINDS``.
        rounds: The most Gauss-Newton steps; it ends earlier where nothing moves.
        watch: Hears of each round's number and misfit.

    Returns:
        The geometry and how it was found.

    Raises:
        InputError: For a matrix alone, a volume, or parallel beams whose sources should have distances.
        SettingError: For another kind, or no rounds.
    """
    if not what or not set(what) <= set(KINDS):
        raise SettingError(f"{', '.join(what) or 'nothing'} cannot be calibrated; use {', '.join(KINDS)}")
    if rounds < 1:
        raise SettingError(f"rounds must be >= 1, got {rounds}")
    if scan.geometry is None or scan.in_space:
        where = "only a matrix" if scan.geometry is None else "a geometry in space"
        raise InputError(f"{scan.source}: has {where}; views are calibrated in one plane")
    start = VectorGeometry.of(scan.geometry)
    grid = scan.with_grid().grid
    assert grid is not None
    distances = None if start.parallel else np.hypot(*np.array(start.source).T)
    if distances is None and "distances" in what:
        raise InputError(f"{scan.source}: parallel rays have no source whose distance could be found; drop distances")
    state = _State(np.zeros(len(start.source)), distances, 0.0)
    data = torch.from_numpy(scan.sinogram.astype(np.float32))[None, None]
    counted = scan.weights(whitened=True)
    weights = torch.ones_like(data) if counted is None else torch.from_numpy(counted.astype(np.float32))[None, None]
    problem = _Joint(start, grid, data, weights / weights.max())
    u, misfit = problem.image(state)
    misfits = [misfit]
    for number in range(1, rounds + 1):
        moved = problem.step(state, u, what)
        u, misfit = problem.image(moved)
        if misfit >= misfits[-1]:
            break
        state = moved
        misfits.append(misfit)
        if watch is not None:
            watch(number, misfit)
        if misfit > _ENOUGH * misfits[-2]:
            break
    return Refined(
        geometry=state.geometry(start), shifts=state.shifts, distances_mm=state.distances, turn_rad=state.turn,
        misfits=tuple(misfits),
    )  # fmt: skip


class _Joint:
    """The joint problem about one geometry after the other."""

    def __init__(self, start: VectorGeometry, grid: Grid, data: Tensor, weights: Tensor) -> None:
        self._start, self._grid, self._data, self._weights = start, grid, data, weights

    def _operator(self, state: _State) -> LinearOperator:
        return choose_operator(state.geometry(self._start), self._grid, uses="few")

    def image(self, state: _State) -> tuple[Tensor, float]:
        """An image from scratch by a fixed number of steps, so that misfits compare, and its misfit."""
        A = self._operator(state)
        u, _, r = _joint_cgls(A, {}, self._data, self._weights, _IMAGE_STEPS)
        return u, float((self._weights * r**2).sum().double().sqrt())

    def step(self, state: _State, u: Tensor, what: tuple[str, ...]) -> _State:
        A = self._operator(state)
        p = A(u)
        fields = {name: _FIELDS[name](self._start, self._grid, state, u, p) for name in what}
        _, found, _ = _joint_cgls(A, fields, self._data - p, self._weights, _JOINT_STEPS)
        return _moved(self._start, state, found)


def _moved(start: VectorGeometry, state: _State, found: Mapping[str, Float64Array]) -> _State:
    shifts, distances, turn = state.shifts, state.distances, state.turn
    if "shifts" in found:
        step = np.clip(found["shifts"], -_FURTHEST, _FURTHEST)
        shifts = _without_motion(start, shifts + step)
    if "distances" in found and distances is not None:
        own = distances * (1 + np.clip(found["distances"] - found["distances"].mean(), -0.1, 0.1))
        distances = own * (state.distances.mean() / own.mean())  # type: ignore[union-attr]
    if "turn" in found:
        turn = float(np.clip(turn + found["turn"].mean(), -0.5, 0.5))
    return dataclasses.replace(state, shifts=shifts, distances=distances, turn=turn)


def _without_motion(start: VectorGeometry, shifts: Float64Array) -> Float64Array:
    """Less what moving the object would do, by least squares over the views."""
    axis = np.array(start.detector_axis)
    return np.asarray(shifts - axis @ np.linalg.lstsq(axis, shifts, rcond=None)[0])


def _along_detector(start: VectorGeometry, grid: Grid, state: _State, u: Tensor, p: Tensor) -> Tensor:
    """A detector that slides one cell on reads what the next cell did."""
    slope = torch.zeros_like(p)
    slope[..., 1:-1] = (p[..., 2:] - p[..., :-2]) / 2
    return slope


def _by_distance(start: VectorGeometry, grid: Grid, state: _State, u: Tensor, p: Tensor) -> Tensor:
    """Per relative change of the distance."""
    assert state.distances is not None

    def at(factor: float) -> Tensor:
        assert state.distances is not None
        moved = dataclasses.replace(state, distances=state.distances * factor)
        return choose_operator(moved.geometry(start), grid, uses="few")(u)

    return (at(1 + _DISTANCE_STEP) - at(1 - _DISTANCE_STEP)) / (2 * _DISTANCE_STEP)


def _by_turn(start: VectorGeometry, grid: Grid, state: _State, u: Tensor, p: Tensor) -> Tensor:
    def at(turn: float) -> Tensor:
        moved = dataclasses.replace(state, turn=state.turn + turn)
        return choose_operator(moved.geometry(start), grid, uses="few")(u)

    return (at(_TURN_STEP) - at(-_TURN_STEP)) / (2 * _TURN_STEP)


_FIELDS = {"shifts": _along_detector, "distances": _by_distance, "turn": _by_turn}
_ONE_FOR_ALL = ("turn",)


def _joint_cgls(
    A: LinearOperator, fields: Mapping[str, Tensor], data: Tensor, weights: Tensor, steps: int
) -> tuple[Tensor, dict[str, Float64Array], Tensor]:
    """CGLS on ``min ||W^(1/2) (A w + sum_k J_k h_k - f)||``: the image, the numbers of each view, and the residual.

    Columns of ``J`` are scaled to the norm of ``A``, so that both move at one pace.
    """
    norm = A.norm() if fields else 1.0
    scales: dict[str, Tensor] = {}
    for name, field in fields.items():
        size = (weights * field**2).sum(dim=-1, keepdim=True).sqrt()
        if name in _ONE_FOR_ALL:
            size = (size**2).sum().sqrt().expand_as(size)
        scales[name] = torch.where(size > 1e-3 * size.max(), norm / size.clamp_min(1e-30), 0.0)

    def back(r: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        weighted = weights * r
        numbers = {}
        for name, field in fields.items():
            own = (field * weighted).sum(dim=-1, keepdim=True) * scales[name]
            numbers[name] = own.sum().expand_as(own) if name in _ONE_FOR_ALL else own
        return A.adjoint(weighted), numbers

    def forth(w: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
        projected = A(w)
        for name, field in fields.items():
            projected = projected + field * scales[name] * numbers[name]
        return projected

    def square(z: Tensor, numbers: Mapping[str, Tensor]) -> float:
        own = sum(
            float((one.double() ** 2).sum()) / (one.numel() if name in _ONE_FOR_ALL else 1)
            for name, one in numbers.items()
        )
        return float((z.double() ** 2).sum()) + own

    w = torch.zeros((1, 1, *A.domain_shape[1:]))
    h = {name: torch.zeros_like(scale) for name, scale in scales.items()}
    r = data.clone()
    z, zh = back(r)
    d, dh, gamma = z, zh, square(z, zh)
    for _ in range(steps):
        q = forth(d, dh)
        bend = float((weights * q**2).sum().double())
        if bend <= 0 or gamma <= 0:
            break
        tau = gamma / bend
        w, h, r = w + tau * d, {name: h[name] + tau * dh[name] for name in h}, r - tau * q
        z, zh = back(r)
        last, gamma = gamma, square(z, zh)
        d, dh = z + gamma / last * d, {name: zh[name] + gamma / last * dh[name] for name in zh}
    found = {name: (scales[name] * h[name])[0, 0, :, 0].double().numpy() for name in h}
    return w, found, r


def remaining(geometry: VectorGeometry, truth: VectorGeometry) -> float:
    """How far the detectors of two geometries lie apart, in cells rms, less what moving the object would do.

    Args:
        geometry: One.
        truth: The other, of as many views.

    Returns:
        The root mean square over the views.
    """
    axis = np.array(truth.detector_axis)
    apart = ((np.array(geometry.detector_mm) - np.array(truth.detector_mm)) * axis).sum(axis=1)
    apart = _without_motion(truth, apart / truth.detector_spacing_mm)
    return math.sqrt(float((apart**2).mean()))
