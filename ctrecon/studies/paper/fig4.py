"""Figure 4: PSNR and data term over the iterations, with and without the network, on plain and regularised energies.

One network (``ct-default``) for all curves; only the energy that it dissipates changes. Gradient descent is that of
Algorithm 1, with backtracking. No curve stops at delta: the question is where each would end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv import minimise_huber_tv
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import Direction, NegativeGradient
from ctrecon.descent.step import Armijo, StepSearch, Subspace
from ctrecon.energies.base import Energy, Point
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.direction import NetworkDirection
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.paper.claims import Claim, Figure, at_least, at_most
from ctrecon.support.metrics import psnr
from ctrecon.training.card import noisy

# Weights of Huber-TV in units of the noise's pull at a pixel (classical/smooth.py); the best by PSNR lies around 0.7.
STRENGTHS = (0.2, 0.7, 2.0)
LEVELS = (0.01, 0.03)
PLAIN = "data term alone"
PEAK_WITHIN, SAME_LIMIT = 10, 1e-3
# c well above 0: with c = 0 a step of 2 / L, which only bounces along the steepest axis, would be good enough.
BACKTRACKING = Armijo(c=0.3)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One method on one energy at one noise level; per iteration from 0: PSNR in dB, E, and the data term.

    ``minimum`` is E's, where it has a unique minimiser, and ``minimizer_psnr`` that image's.
    """

    level: float
    energy: str
    network: bool
    psnr: list[float]
    value: list[float]
    data_term: list[float]
    minimum: float | None
    minimizer_psnr: float | None

    @property
    def peak(self) -> int:
        """The iteration of the highest PSNR."""
        return max(range(len(self.psnr)), key=self.psnr.__getitem__)

    @property
    def name(self) -> str:
        return f"{'energy dissipation' if self.network else 'gradient descent'}, {self.energy}"

    def rows(self) -> Iterator[dict[str, Any]]:
        """The curve as a table.

        Yields:
            For each iteration: noise, method, iteration, PSNR in dB, energy and data term.
        """
        for k, (db, value, term) in enumerate(zip(self.psnr, self.value, self.data_term, strict=True)):
            yield {
                "noise": self.level, "method": self.name, "iteration": k, "psnr_db": db, "energy": value,
                "data_term": term,
            }


class Steepest(NegativeGradient):
    """The negative gradient in units where ``tau = 1`` is a long step, from which backtracking comes down."""

    def __init__(self, energy: Energy) -> None:
        self._energy = energy

    def __call__(self, point: Point) -> Tensor:
        return 8 / self._energy.lipschitz_at(point.u) * super().__call__(point)


def curves(
    network: nn.Module,
    problem: Scanner,
    truth: Tensor,
    *,
    levels: Sequence[float] = LEVELS,
    strengths: Sequence[float] = STRENGTHS,
    iterations: int = 100,
    seed: int = 0,
    watch: Callable[[Curve], None] | None = None,
) -> list[Curve]:
    """Every curve of figure 4: PSNR and energy by iteration, learned and classical, on plain and regularised energies.

    Args:
        network: Gives the learned directions.
        problem: The scanner.
        truth: ``[1, 1, rows, columns]``, 1/mm; its data are the operator's plus noise.
        levels: Of the noise, relative to ``||f||``.
        strengths: Of the regulariser, in units of the noise's pull at a pixel.
        iterations: Of each curve.
        seed: Of the noise.
        watch: Hears of each curve.

    Returns:
        The curves.
    """
    solver = HuberTVSolver(problem.operator, truth)
    found = []
    for level in levels:
        data = noisy(problem.operator(truth), level, seed)
        plain = LeastSquares(problem.operator, data)
        delta = plain.at(truth).discrepancy
        assert delta is not None
        smooth = smooth_image(solver, data, delta)
        direction = NetworkDirection(network, plain, problem.precondition, smooth)
        epsilon = 0.004 * float(truth.max() - truth.min())
        pull = float(delta) / data[0].numel() ** 0.5 * solver.column
        energies: list[tuple[str, Energy, Tensor | None]] = [(PLAIN, plain, None)]
        for strength in strengths:
            alpha = strength * pull
            energy = 1.0 * plain + alpha * HuberTV(epsilon)
            best = minimise_huber_tv(
                problem.operator, data, alpha=alpha, epsilon=epsilon, nonnegative=False, tolerance=1e-6,
                most_iterations=2000,
            ).image
            energies.append((f"Huber-TV, weight {strength:g}", energy, best))
        for name, energy, best_image in energies:
            methods: tuple[tuple[bool, Direction, StepSearch], ...] = (
                (False, Steepest(energy), BACKTRACKING), (True, direction, Subspace(own_length=True))
            )
            for learned, where_to, step in methods:
                curve = _run(energy, where_to, step, truth, iterations, (level, name, learned, best_image))
                found.append(curve)
                if watch is not None:
                    watch(curve)
    return found


def _run(
    energy: Energy, direction: Direction, step: StepSearch, truth: Tensor, iterations: int,
    facts: tuple[float, str, bool, Tensor | None],
) -> Curve:
    quality, values, terms = [], [], []
    for iterate in descend(energy, direction, torch.zeros_like(truth), step=step, most_iterations=iterations):
        discrepancy = iterate.point.discrepancy
        assert discrepancy is not None
        quality.append(float(psnr(iterate.u, truth)))
        values.append(float(iterate.point.value))
        terms.append(0.5 * float(discrepancy) ** 2)
    level, name, learned, best = facts
    return Curve(
        level=level, energy=name, network=learned, psnr=quality, value=values, data_term=terms,
        minimum=None if best is None else float(energy.at(best).value),
        minimizer_psnr=None if best is None else float(psnr(best, truth)),
    )


def claims_of(found: Sequence[Curve]) -> list[Claim]:
    """What the paper says of figure 4, for every pair of curves on the same energy.

    Args:
        found: As ``curves`` gives them.

    Returns:
        Each claim with what was found.
    """
    claims = []
    for level in dict.fromkeys(curve.level for curve in found):
        here = [curve for curve in found if curve.level == level]
        learned = [curve for curve in here if curve.network]
        classical = [curve for curve in here if not curve.network]
        for ours, theirs in zip(learned, classical, strict=True):
            head = f"{level:.0%} noise, {ours.energy}"
            if ours.minimum is None:
                claims.append(at_most(f"{head}: iteration of the highest PSNR", ours.peak, PEAK_WITHIN))
            claims.append(at_most(
                f"{head}: data term over gradient descent's, at worst of all iterations",
                _worst_ratio(ours.data_term, theirs.data_term), 1,
            ))
            if ours.minimum is None:
                continue
            claims.append(at_most(
                f"{head}: energy over gradient descent's, at worst of all iterations",
                _worst_ratio(ours.value, theirs.value), 1,
            ))
            claims.append(at_most(
                f"{head}: dB that the best of {PEAK_WITHIN} iterations lacks to the highest PSNR",
                max(ours.psnr) - max(ours.psnr[: PEAK_WITHIN + 1]), 0.5,
            ))
            claims.append(at_most(
                f"{head}: energy above the minimum at the end, relative",
                abs(ours.value[-1] - ours.minimum) / ours.minimum, SAME_LIMIT,
            ))
        best_classical = max(max(*curve.psnr, curve.minimizer_psnr or 0.0) for curve in classical)
        within = max(max(curve.psnr[: PEAK_WITHIN + 1]) for curve in learned)
        claims.append(at_least(
            f"{level:.0%} noise: dB gained within {PEAK_WITHIN} iterations over every classical iterate and minimiser",
            within - best_classical, 0.5,
        ))
    return claims


def _worst_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """At k >= 1; both start at the same image. A run that came to rest early stays where it is."""
    longest = max(len(ours), len(theirs))
    a, b = ([*one, *[one[-1]] * (longest - len(one))] for one in (ours, theirs))
    return max(x / max(y, 1e-300) for x, y in zip(a[1:], b[1:], strict=True))


def figure4(found: Sequence[Curve], settings: dict[str, Any]) -> Figure:
    return Figure(
        name="fig4", settings=settings, claims=claims_of(found), table=[row for curve in found for row in curve.rows()]
    )
