"""What the classical methods could reach if someone told them their best settings: the yardstick of every claim.

Each oracle looks at the truth, image by image. No user can; a method that beats it owes that to no tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls_iterates
from ctrecon.classical.fbp import WINDOWS, FilteredBackProjection, Window
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.errors import SettingError
from ctrecon.geometry import Geometry, ImageGrid, field_of_view_mm
from ctrecon.metrics import psnr
from ctrecon.operators.base import LinearOperator

# alpha over (sigma * column norm): from 0.5% to 3% noise the best for CT slices and phantoms lay between 0.35 and 1.2.
ALPHAS: tuple[float, ...] = tuple(0.18 * 1.3**k for k in range(12))
# epsilon over the truth's range: 0.001 was best for phantoms (0.0003 no better), 0.004 or 0.016 for CT slices.
EPSILONS: tuple[float, ...] = (0.001, 0.004, 0.016)


@dataclass(frozen=True, kw_only=True)
class OracleTV:
    """The best image per sample, ``psnr`` in dB, its alpha and epsilon (absolute), and the whole table.

    ``table`` ``[batch, epsilons, alphas]`` in dB, NaN for a weight that a sample did not try; ``alphas`` and
    ``epsilons`` are its axes in relative units. ``at_border`` says whether the best weight is the last one tried.
    """

    image: Tensor
    psnr: Tensor
    alpha: Tensor
    epsilon: Tensor
    at_border: Tensor
    table: Tensor
    alphas: tuple[float, ...]
    epsilons: tuple[float, ...]


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


def best_huber_tv(
    operator: LinearOperator,
    data: Tensor,
    truth: Tensor,
    *,
    sigma: Tensor,
    weights: Tensor | None = None,
    alphas: Sequence[float] = ALPHAS,
    epsilons: Sequence[float] = EPSILONS,
    start: Tensor | None = None,
    tolerance: float = 1e-3,
    refined: float = 1e-4,
    widen: int = 6,
) -> OracleTV:
    """Huber-TV with the weight and the Huber parameter that give each image its best PSNR.

    ``sigma`` ``[batch]`` is the standard deviation of the noise in ``data``, with ``weights`` that of the whitened
    noise times the root of their mean. ``alphas`` are in units of ``sigma`` times
    A's column norm, ``epsilons`` in units of the truth's range. Each epsilon walks down the alphas, every image
    starting from its last one, to the accuracy ``tolerance``; the best is then solved to ``refined``.
    Where the best weight is the first or the last, the grid grows at that end by up to ``widen`` weights.
    Raises SettingError for fewer than 2 alphas or settings out of range.
    """
    alphas, epsilons = sorted(alphas, reverse=True), sorted(epsilons)
    if len(alphas) < 2 or not epsilons or min(alphas) <= 0 or min(epsilons) <= 0:
        raise SettingError(f"the oracle needs two or more alphas > 0 and epsilons > 0, got {alphas} and {epsilons}")
    solver = HuberTVSolver(operator, data)
    unit = (sigma.double() * solver.column).to(data.device)
    span = (truth.flatten(1).amax(1) - truth.flatten(1).amin(1)).double()
    best = _nothing(truth, 2)
    ratio = alphas[0] / alphas[1]
    columns: dict[float, list[Tensor]] = {}

    def walk(ranks: Sequence[float], images: list[Tensor | None]) -> list[Tensor | None]:
        for weight in ranks:
            for j, epsilon in enumerate(epsilons):
                settings = weight * unit, epsilon * span
                result = solver.solve(
                    data, alpha=settings[0], epsilon=settings[1], weights=weights, start=images[j], tolerance=tolerance
                )
                images[j] = result.image
                score = psnr(result.image, truth)
                columns.setdefault(weight, []).append(score)
                best.offer(result.image, score, *settings)
        return images

    first = walk(alphas[:1], [start] * len(epsilons))
    last = walk(alphas[1:], list(first))
    for _ in range(widen):
        ranks = best.settings[:, 0] / unit
        if bool((ranks > 0.999 * max(columns)).any()):
            first = walk([max(columns) * ratio], first)
        elif bool((ranks < 1.001 * min(columns)).any()):
            last = walk([min(columns) / ratio], last)
        else:
            break
    ranks = best.settings[:, 0] / unit
    at_border = (ranks > 0.999 * max(columns)) | (ranks < 1.001 * min(columns))
    alpha, epsilon = best.settings[:, 0].clone(), best.settings[:, 1].clone()
    fine = solver.solve(data, alpha=alpha, epsilon=epsilon, weights=weights, start=best.image, tolerance=refined)
    order = sorted(columns)
    return OracleTV(
        image=fine.image,
        psnr=psnr(fine.image, truth),
        alpha=alpha,
        epsilon=epsilon,
        at_border=at_border,
        table=torch.stack([torch.stack(columns[weight], dim=1) for weight in order], dim=2),
        alphas=tuple(order),
        epsilons=tuple(epsilons),
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

    Each may be cut at 0 and to ``support`` (``[rows, columns]`` of 0 and 1, see ``field_of_view``), as a user may.
    """
    best = _nothing(truth, 1)
    for now in islice(cgls_iterates(operator, data, weights=weights), most_iterations + 1):
        for image in _cuts(now.image.clamp_min(0) if nonnegative else now.image, support):
            best.offer(image, psnr(image, truth), float(now.k))
    return OracleCGLS(image=best.image, psnr=best.psnr, iteration=best.settings[:, 0].long())


def field_of_view(geometry: Geometry, grid: ImageGrid) -> Tensor:
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
    grid: ImageGrid,
    data: Tensor,
    truth: Tensor,
    *,
    cutoffs: Sequence[float] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    nonnegative: bool = True,
) -> OracleFBP:
    """Filtered back projection with the window and the cutoff nearest to the truth, for each image.

    Pixels that not every view sees hold nothing sensible: the oracle sets them to 0 where that is better.
    """
    best, support = _nothing(truth, 2), field_of_view(geometry, grid)
    for number, window in enumerate(WINDOWS):
        for cutoff in cutoffs:
            image = FilteredBackProjection(geometry, grid, window=window, cutoff=cutoff)(data)
            for cut in _cuts(image.clamp_min(0) if nonnegative else image, support):
                best.offer(cut, psnr(cut, truth), float(number), cutoff)
    windows = tuple(WINDOWS[int(number)] for number in best.settings[:, 0].tolist())
    return OracleFBP(image=best.image, psnr=best.psnr, window=windows, cutoff=best.settings[:, 1])
