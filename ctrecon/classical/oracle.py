"""What the classical methods could reach if someone told them their best settings: the yardstick of every claim.

Each oracle looks at the truth, image by image. No user can; a method that beats it owes that to no tuning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls_iterates
from ctrecon.classical.fbp import WINDOWS, FilteredBackProjection, Window
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.support.metrics import psnr

# alpha over (sigma * column norm), where the search begins: from 0.5% to 3% noise the best for CT slices and phantoms
# lay between 0.35 and 1.2.
ALPHAS: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
# epsilon over the truth's range: 0.001 was best for phantoms (0.0003 no better), 0.004 or 0.016 for CT slices.
EPSILONS: tuple[float, ...] = (0.001, 0.004, 0.016)


@dataclass(frozen=True, kw_only=True)
class OracleTV:
    """The best image per sample, ``psnr`` in dB, its alpha and epsilon (absolute).

    ``at_border`` says whether the best weight is the smallest or the largest one tried.
    """

    image: Tensor
    psnr: Tensor
    alpha: Tensor
    epsilon: Tensor
    at_border: Tensor


@dataclass(kw_only=True)
class _Best:
    """The best image seen so far, per sample."""

    image: Tensor
    psnr: Tensor
    settings: Tensor

    def offer(self, image: Tensor, score: Tensor, *settings: Tensor | float) -> None:
        better = score > self.psnr
        self.image = torch.where(better.view(-1, *(1,) * (image.ndim - 1)), image, self.image)
        self.psnr = torch.where(better, score, self.psnr)
        for column, value in enumerate(settings):
            each = torch.as_tensor(value, dtype=torch.float64, device=score.device)
            self.settings[:, column] = torch.where(better, each, self.settings[:, column])


def _nothing(truth: Tensor, settings: int) -> _Best:
    batch = truth.shape[0]
    lowest = torch.full((batch,), -torch.inf, dtype=torch.float64, device=truth.device)
    return _Best(image=torch.zeros_like(truth), psnr=lowest, settings=lowest.new_zeros(batch, settings))


class _Curve:
    """PSNR over the logarithm of alpha at one epsilon, sample by sample, as far as it was tried."""

    def __init__(self, solve: Callable[[Tensor, Tensor | None], Tensor], truth: Tensor) -> None:
        self._solve, self._truth = solve, truth
        self.best = _nothing(truth, 1)
        self._ranks: list[Tensor] = []
        self._scores: list[Tensor] = []

    def try_at(self, log_alpha: Tensor, start: Tensor | None) -> Tensor:
        image = self._solve(log_alpha, start)
        score = psnr(image, self._truth)
        self._ranks.append(log_alpha)
        self._scores.append(score)
        self.best.offer(image, score, log_alpha)
        return image

    def _sorted(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log alphas in ascending order ``[batch, tried]``, their scores, and the place of the best ``[batch, 1]``."""
        ranks, order = torch.stack(self._ranks, 1).sort(1)
        scores = torch.stack(self._scores, 1).gather(1, order)
        return ranks, scores, scores.argmax(1, keepdim=True)

    @property
    def at_border(self) -> Tensor:
        ranks, _, best = self._sorted()
        return ((best == 0) | (best == ranks.shape[1] - 1))[:, 0]

    def next(self) -> Tensor:
        """Where each sample should look now: the top of the parabola through its best three, or beyond the border."""
        ranks, scores, best = self._sorted()
        middle = best.clamp(1, ranks.shape[1] - 2)
        (x0, y0), (x1, y1), (x2, y2) = (
            (ranks.gather(1, middle + k)[:, 0], scores.gather(1, middle + k)[:, 0]) for k in (-1, 0, 1)
        )
        left, right = (y1 - y0) / (x1 - x0).clamp_min(1e-6), (y2 - y1) / (x2 - x1).clamp_min(1e-6)
        bend = (left - right).clamp_min(1e-9)
        top = (x0 + x1) / 2 + left / bend * (x2 - x0) / 2
        inside = torch.minimum(torch.maximum(top, x0 + 0.1 * (x1 - x0)), x2 - 0.1 * (x2 - x1))
        step = math.log(2)
        beyond = torch.where(best < middle, x0[:, None] - step, x2[:, None] + step)
        return torch.where(best == middle, inside[:, None], beyond)[:, 0]

    def refine(self, times: int, widen: int) -> None:
        """``times`` looks more where each sample's best is, after up to ``widen`` to bring it inside the range."""
        for _ in range(widen):
            if not bool(self.at_border.any()):
                break
            self.try_at(self.next(), self.best.image)
        for _ in range(times):
            self.try_at(self.next(), self.best.image)


def best_huber_tv(
    operator: LinearOperator,
    data: Tensor,
    truth: Tensor,
    *,
    sigma: Tensor,
    weights: Tensor | None = None,
    alphas: Sequence[float] = ALPHAS,
    epsilons: Sequence[float] = EPSILONS,
    tolerance: float = 1e-3,
    refined: float = 1e-4,
    widen: int = 6,
) -> OracleTV:
    """Huber-TV with the weight and the Huber parameter that give each image its best PSNR.

    The middle epsilon walks down the alphas, every image starting from its last one, to the accuracy ``tolerance``;
    then each image looks where a parabola through its three best has its top, beyond the border first if its best lies
    there. The other epsilons begin around that best. What is best of all is solved to ``refined``. Within 0.02 dB of a
    fine grid (``tests/classical/test_oracle.py``).

    Args:
        operator: A, on one image.
        data: f, ``[batch, 1, views, detectors]``.
        truth: ``[batch, 1, rows, columns]``.
        sigma: Standard deviation of the noise in ``data``, ``[batch]``; with ``weights`` that of the whitened noise
            times the root of their mean.
        weights: W, >= 0, usually 1 / variance; None for 1.
        alphas: Weights to try, in units of ``sigma`` times A's column norm.
        epsilons: Huber parameters to try, in units of the truth's range.
        tolerance: Of the search, relative distance to the minimiser.
        refined: The same of the image that is given.
        widen: How often at most the border is moved out.

    Returns:
        Image, PSNR in dB, weight and Huber parameter of each sample, and whether the best weight is at the border.

    Raises:
        SettingError: For fewer than 3 alphas or settings out of range.
    """
    alphas, epsilons = sorted(alphas, reverse=True), sorted(epsilons)
    if len(alphas) < 3 or not epsilons or min(alphas) <= 0 or min(epsilons) <= 0:
        raise SettingError(f"the oracle needs three or more alphas > 0 and epsilons > 0, got {alphas} and {epsilons}")
    solver = HuberTVSolver(operator, data)
    unit = (sigma.double() * solver.column).to(data.device).log()
    span = (truth.flatten(1).amax(1) - truth.flatten(1).amin(1)).double()

    def curve(epsilon: float) -> _Curve:
        def solve(log_alpha: Tensor, start: Tensor | None) -> Tensor:
            return solver.solve(
                data, alpha=log_alpha.exp(), epsilon=epsilon * span, weights=weights, start=start, tolerance=tolerance
            ).image

        return _Curve(solve, truth)

    first = epsilons[len(epsilons) // 2]
    curves = {first: curve(first)}
    last: Tensor | None = None
    for alpha in alphas:
        last = curves[first].try_at(unit + math.log(alpha), last)
    curves[first].refine(2, widen)
    found = curves[first].best
    best, at_border = _nothing(truth, 2), curves[first].at_border
    for epsilon in epsilons:
        if epsilon != first:
            curves[epsilon] = curve(epsilon)
            for factor in (1.4, 1.0, 1 / 1.4):
                curves[epsilon].try_at(found.settings[:, 0] + math.log(factor), found.image)
            curves[epsilon].refine(1, widen)
        own = curves[epsilon].best
        at_border = torch.where(own.psnr > best.psnr, curves[epsilon].at_border, at_border)
        best.offer(own.image, own.psnr, own.settings[:, 0].exp(), epsilon * span)
    weight, huber = best.settings[:, 0].clone(), best.settings[:, 1].clone()
    fine = solver.solve(data, alpha=weight, epsilon=huber, weights=weights, start=best.image, tolerance=refined)
    return OracleTV(
        image=fine.image, psnr=psnr(fine.image, truth), alpha=weight, epsilon=huber, at_border=at_border
    )


@dataclass(frozen=True, kw_only=True)
class OracleCGLS:
    """The best iterate per sample, its PSNR in dB and its number."""

    image: Tensor
    psnr: Tensor
    iteration: Tensor


def best_cgls(
    operator: LinearOperator,
    data: Tensor,
    truth: Tensor,
    *,
    weights: Tensor | None = None,
    most_iterations: int = 60,
    nonnegative: bool = True,
    support: Tensor | None = None,
) -> OracleCGLS:
    """The CGLS iterate nearest to the truth, among the first ``most_iterations``, for each image.

    Each may be cut at 0 and to ``support`` (``[rows, columns]`` of 0 and 1, see ``seen_by_all``), as a user may.
    """
    best = _nothing(truth, 1)
    for now in islice(cgls_iterates(operator, data, weights=weights), most_iterations + 1):
        for image in _cuts(now.image.clamp_min(0) if nonnegative else now.image, support):
            best.offer(image, psnr(image, truth), float(now.k))
    return OracleCGLS(image=best.image, psnr=best.psnr, iteration=best.settings[:, 0].long())


def seen_by_all(geometry: Geometry, grid: Grid) -> Tensor:
    """1 for the pixels whose middle every view sees, else 0: ``[rows, columns]``."""
    radius = field_of_view_mm(geometry) / 2
    return torch.from_numpy(np.hypot(grid.x_mm[None, :], grid.y_mm[:, None]) <= radius).float()


def _cuts(image: Tensor, support: Tensor | None) -> tuple[Tensor, ...]:
    return (image,) if support is None else (image, image * support.to(image))


@dataclass(frozen=True, kw_only=True)
class OracleFBP:
    """The best filtered back projection per sample, its PSNR in dB, and the filter that gave it."""

    image: Tensor
    psnr: Tensor
    window: tuple[Window, ...]
    cutoff: Tensor


def best_fbp(
    geometry: Geometry,
    grid: Grid,
    data: Tensor,
    truth: Tensor,
    *,
    cutoffs: Sequence[float] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    nonnegative: bool = True,
) -> OracleFBP:
    """Filtered back projection with the window and the cutoff nearest to the truth, for each image.

    Pixels that not every view sees hold nothing sensible: the oracle sets them to 0 where that is better.
    """
    best, support = _nothing(truth, 2), seen_by_all(geometry, grid)
    inverse = FilteredBackProjection(geometry, grid)
    for number, window in enumerate(WINDOWS):
        for cutoff in cutoffs:
            image = inverse.with_filter(window, cutoff)(data)
            for cut in _cuts(image.clamp_min(0) if nonnegative else image, support):
                best.offer(cut, psnr(cut, truth), float(number), cutoff)
    windows = tuple(WINDOWS[int(number)] for number in best.settings[:, 0].tolist())
    return OracleFBP(image=best.image, psnr=best.psnr, window=windows, cutoff=best.settings[:, 1])
