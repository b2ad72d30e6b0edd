"""Least squares with Huber total variation: ``min 1/2 ||W^(1/2) (A u - f)||^2 + alpha TV_eps(u)``, ``u >= 0``.

With a given weight, or with the largest one that still explains the data to within delta.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.energies.least_squares import LeastSquares, values_that_count
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, Within

# epsilon over the range of the image: small beside the edges worth keeping; PSNR hardly depends on it (oracle.py).
RELATIVE_EPSILON = 0.004
TRIALS = 30


def minimise_huber_tv(
    operator: LinearOperator,
    data: Tensor,
    *,
    alpha: float | Tensor,
    epsilon: float | Tensor,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    nonnegative: bool = True,
    tolerance: float = 1e-4,
    most_iterations: int = 400,
    watch: Callable[[Tensor], None] | None = None,
) -> TVResult:
    """The minimiser of ``1/2 ||W^(1/2) (A u - f)||^2 + alpha TV_eps(u)`` over ``u >= 0`` (or over all ``u``).

    Args:
        operator: A, on one image.
        data: f, ``[batch, 1, views, detectors]``.
        alpha: > 0, data^2 over 1/mm, one number or ``[batch]``.
        epsilon: > 0, 1/mm, one number or ``[batch]``.
        weights: W, >= 0, usually 1 / variance; None for 1.
        start: ``[batch, 1, rows, columns]``; None for zero.
        nonnegative: Whether ``u >= 0``.
        tolerance: It stops where ``TVResult.distance``, the relative distance to the minimiser, is at most this.
        most_iterations: At most.
        watch: Hears after each iteration of ``||W^(1/2) (A u - f)||``, float64, of the images still on their way.

    Returns:
        The images and, per sample, settings, energy, discrepancy and why it ended.

    Raises:
        SettingError: For settings out of range.
        OperatorError: For an operator that is not on one image.
    """
    return HuberTVSolver(operator, data).solve(
        data, alpha=alpha, epsilon=epsilon, weights=weights, start=start, nonnegative=nonnegative,
        tolerance=tolerance, most_iterations=most_iterations, watch=watch,
    )


def tv_at_discrepancy(
    operator: LinearOperator,
    data: Tensor,
    delta: float | Tensor,
    *,
    epsilon: float | Tensor | None = None,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    nonnegative: bool = True,
    tolerance: float = 1e-4,
    closeness: float = 0.01,
    watch: Callable[[Tensor], None] | None = None,
    state: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> TVResult:
    """The largest ``alpha`` whose image has ``||W^(1/2) (A u - f)|| <= delta``: V. A. Morozov's principle (1966).

    The discrepancy grows with ``alpha``, so ``log alpha`` is bracketed and then found along the secant, each trial
    starting from the last image, until the discrepancy lies in ``[(1 - closeness) delta, delta]``; roughly first, then
    to ``tolerance``.

    Args:
        operator: A, on one image.
        data: f, ``[batch, 1, views, detectors]``.
        delta: > 0, one number or ``[batch]``.
        epsilon: Huber parameter; None for 0.004 of the image's range, as a few steps of CGLS show it.
        weights: W, >= 0, usually 1 / variance; None for 1.
        start: ``[batch, 1, rows, columns]``; None for a few steps of CGLS.
        nonnegative: Whether ``u >= 0``.
        tolerance: As of ``minimise_huber_tv``.
        closeness: How far below delta the discrepancy may end, relatively.
        watch: As of ``minimise_huber_tv``, in each trial.
        state: What ``checkpoint`` was offered, to go on from there with the same numbers.
        checkpoint: Is offered that after each iteration.

    Returns:
        As ``minimise_huber_tv``. ``iterations`` counts those of the trial that gave the image; ``reason`` is
        "discrepancy met" or "no weight meets delta", with the smallest discrepancy found.

    Raises:
        SettingError: For a delta that is not finite and > 0.
    """
    batch, device = data.shape[0], data.device
    bound = torch.as_tensor(delta, dtype=torch.float64, device=device).expand(batch)
    if not bool((bound > 0).all()) or not bool(torch.isfinite(bound).all()):
        raise SettingError(f"delta must be finite and > 0, got {float(bound.min())}")
    solver = HuberTVSolver(operator, data)
    mean_weight = bound.new_ones(1)
    if weights is not None:
        LeastSquares(operator, data, weights)
        weights = weights.expand(batch, *weights.shape[1:])
        mean_weight = weights.double().flatten(1).mean(1)
    image = cgls(operator, data, most_iterations=8, weights=weights).image if start is None else start.clone()
    if epsilon is None:
        span = image.flatten(1).amax(1).clamp_min(0) - image.flatten(1).amin(1).clamp_min(0)
        epsilon = (RELATIVE_EPSILON * span).clamp_min(1e-12)
    each = torch.as_tensor(epsilon, dtype=torch.float64, device=device).expand(batch)
    # If delta is noise, this is about the noise's pull at a pixel, the scale on which alpha works.
    count = torch.as_tensor(values_that_count(data, weights), dtype=torch.float64, device=device)
    unit = bound / count.sqrt() * solver.column * mean_weight.sqrt()
    log_alpha = unit.clamp_min(1e-30).log()
    begun, at = (0, None) if state is None else (state["number"], state["round"])
    rounds = ((max(tolerance, 1e-3), 4.0), (tolerance, 1.05))
    for number, (accuracy, growth) in list(enumerate(rounds))[begun:]:

        def solve(
            rows: Tensor, alpha: Tensor, first: Tensor, state: Mapping[str, Any] | None, checkpoint: Checkpoint,
            accuracy: float = accuracy,
        ) -> TVResult:
            return solver.solve(
                data[rows],
                alpha=alpha,
                epsilon=each[rows],
                weights=None if weights is None else weights[rows],
                start=first,
                nonnegative=nonnegative,
                tolerance=accuracy,
                watch=watch,
                state=state,
                checkpoint=checkpoint,
            )

        looking = _Looking.begin(bound, log_alpha, image) if at is None else _Looking.resumed(at["search"])
        best = _search(
            solve, bound, looking, math.log(growth), closeness,
            Within(checkpoint, "round", partial(dict, number=number)), None if at is None else at["trying"],
        )  # fmt: skip
        at = None
        log_alpha, image = best.alpha.double().log(), best.image
    met = (best.discrepancy <= bound).tolist()
    return replace(best, reason=tuple("discrepancy met" if m else "no weight meets delta" for m in met))


@dataclass(kw_only=True)
class _Looking:
    """A search for weights, after ``trial`` trials; ``rows`` are the samples that still look, each tensor per sample.

    ``low`` is the largest log alpha known to fit, ``high`` the smallest known not to, a gap log(discrepancy / delta).
    """

    trial: int
    image: Tensor
    log_alpha: Tensor
    low: Tensor
    high: Tensor
    low_gap: Tensor
    high_gap: Tensor
    last_gap: Tensor
    rows: Tensor
    best: TVResult | None = None

    @staticmethod
    def begin(bound: Tensor, log_alpha: Tensor, image: Tensor) -> _Looking:
        """Where nothing was tried."""
        low, high = torch.full_like(bound, -math.inf), torch.full_like(bound, math.inf)
        low_gap, high_gap, last_gap = (torch.full_like(bound, math.nan) for _ in range(3))
        return _Looking(
            trial=0, image=image.clone(), log_alpha=log_alpha.clone(), low=low, high=high, low_gap=low_gap,
            high_gap=high_gap, last_gap=last_gap, rows=torch.arange(bound.shape[0], device=bound.device),
        )  # fmt: skip

    @property
    def state(self) -> dict[str, Any]:
        """What ``resumed`` makes the same of."""
        return {**vars(self), "best": None if self.best is None else vars(self.best)}

    @staticmethod
    def resumed(state: Mapping[str, Any]) -> _Looking:
        """The search whose ``state`` it is."""
        best = state["best"]
        found = None if best is None else TVResult(**{**best, "reason": tuple(best["reason"])})
        return _Looking(**{**state, "best": found})


def _search(
    solve: Callable[[Tensor, Tensor, Tensor, Mapping[str, Any] | None, Checkpoint], TVResult],
    bound: Tensor,
    at: _Looking,
    growth: float,
    closeness: float,
    checkpoint: Checkpoint,
    trying: Mapping[str, Any] | None,
) -> TVResult:
    """``solve(rows, alpha, start, ...)`` for the samples still looking, until none is or ``TRIALS`` are spent."""
    # The middle of what will do, not its end.
    aim = math.log1p(-closeness / 2)
    for trial in range(at.trial, TRIALS):
        at.trial = trial
        rows = at.rows
        part = Within(checkpoint, "trying", lambda: {"search": at.state})
        now = solve(rows, at.log_alpha[rows].exp(), at.image[rows], trying, part)
        trying = None
        at.image[rows] = now.image
        at.best = now if at.best is None else _improve(at.best, now, rows, bound)
        gap, before = (now.discrepancy / bound[rows]).clamp_min(1e-30).log(), at.last_gap[rows]
        fits = gap <= 0
        at.low[rows] = torch.where(fits, at.log_alpha[rows], at.low[rows])
        at.low_gap[rows] = torch.where(fits, gap, at.low_gap[rows])
        at.high[rows] = torch.where(fits, at.high[rows], at.log_alpha[rows])
        at.high_gap[rows] = torch.where(fits, at.high_gap[rows], gap)
        at.last_gap[rows] = gap
        between = torch.isfinite(at.low[rows]) & torch.isfinite(at.high[rows])
        # Neither more nor less weight changes the fit any more: delta is out of reach, or beyond a constant image.
        stuck = ~between & ((gap - before).abs() < 0.002 * growth)
        settled = (
            (fits & (gap >= math.log1p(-closeness))) | stuck | (between & (at.high[rows] - at.low[rows] < 1e-4))
        )
        at.rows = rows = rows[~settled]
        if not rows.numel():
            break
        lo, hi = at.low[rows], at.high[rows]
        low_gap, high_gap = at.low_gap[rows], at.high_gap[rows]
        secant = lo + (hi - lo) * ((aim - low_gap) / (high_gap - low_gap)).clamp(0.1, 0.9)
        stride = growth * (1 + trial // 2)
        outward = torch.where(torch.isfinite(lo), lo + stride, hi - stride)
        at.log_alpha[rows] = torch.where(torch.isfinite(lo) & torch.isfinite(hi), secant, outward)
    assert at.best is not None
    return at.best


def _improve(best: TVResult, now: TVResult, rows: Tensor, bound: Tensor) -> TVResult:
    """Sample by sample the larger alpha of those within the bound, else the smaller discrepancy."""
    delta, old_alpha, old = bound[rows], best.alpha[rows], best.discrepancy[rows]
    fits, fitted = now.discrepancy <= delta, old <= delta
    take = fits & (~fitted | (now.alpha > old_alpha)) | (~fits & ~fitted & (now.discrepancy < old))
    names = ("image", "alpha", "epsilon", "iterations", "value", "discrepancy", "distance")
    fields = {name: getattr(best, name).clone() for name in names}
    for name, values in fields.items():
        values[rows[take]] = getattr(now, name)[take]
    return replace(best, **fields)
