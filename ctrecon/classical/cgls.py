"""Conjugate gradients on the least-squares problem, stopped before it fits the noise.

M. R. Hestenes, E. Stiefel, J. Res. Natl. Bur. Stand. 49 (1952), in the form CGLS that never forms A^T A; stopped early
it regularises (P. C. Hansen, Rank-Deficient and Discrete Ill-Posed Problems, SIAM 1998, chapter 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator


@dataclass(frozen=True, kw_only=True)
class CGLSResult:
    """``image`` ``[batch, *domain_shape]`` and, per sample, what it took and how well it fits.

    ``discrepancy`` is ``||W^(1/2) (A u - f)||``, recomputed from the image, float64. ``reason`` is "discrepancy met",
    "stationary" (the gradient vanished: no image fits better) or "iterations spent".
    """

    image: Tensor
    iterations: Tensor
    discrepancy: Tensor
    reason: tuple[str, ...]


@dataclass(frozen=True)
class CGLSIterate:
    """Iterate ``k`` of ``cgls_iterates``; ``gradient`` is the norm of ``A^T W (f - A u)``, ``[batch]``.

    ``residual`` is ``f - A u``. ``flat`` ``[batch]``: the gradient is rounding, having fallen from the first one's by
    what the dtype can resolve. ``state``: what it was in, and begins anew from with the same numbers.
    """

    k: int
    image: Tensor
    residual: Tensor
    discrepancy: Tensor
    gradient: Tensor
    flat: Tensor
    state: Mapping[str, Any]


def cgls_iterates(
    operator: LinearOperator, data: Tensor, *, weights: Tensor | None = None, start: Tensor | None = None,
    state: Mapping[str, Any] | None = None,
) -> Iterator[CGLSIterate]:
    """The iterates of CGLS for ``min ||W^(1/2) (A u - f)||``, without end; the first is ``start`` (default 0).

    With the ``state`` of an earlier iterate the first is that one.

    ``data`` ``[batch, *range_shape]``, ``weights`` (>= 0) of the same shape or of batch 1. One projection and one back
    projection each. Raises SettingError as LeastSquares does.
    """
    energy = LeastSquares(operator, data, weights)
    if state is None:
        u = data.new_zeros((data.shape[0], *operator.domain_shape)) if start is None else start.clone()
        r = data - operator(u) if start is not None else data.clone()
        z = operator.adjoint(energy.weighted(r))
        d, gamma, k = z, inner(z, z), 0
        first = gamma
    else:
        u, r, d, gamma, first, k = (state[name] for name in ("u", "r", "d", "gamma", "first", "k"))
    while True:
        gradient, misfit = gamma.sqrt(), inner(r, energy.weighted(r)).sqrt()
        flat = (gradient == 0) | (gradient <= first.sqrt() * torch.finfo(data.dtype).eps)
        held = {"u": u, "r": r, "d": d, "gamma": gamma, "first": first, "k": k}
        yield CGLSIterate(k, u, r, misfit, gradient, flat, held)
        image = operator(d)
        curvature = inner(image, energy.weighted(image))
        # A sample whose gradient has vanished stays where it is.
        tau = _per_sample(torch.where(curvature > 0, gamma / curvature.clamp_min(1e-300), 0.0), u)
        u, r = u + tau * d, r - tau * image
        z = operator.adjoint(energy.weighted(r))
        last, gamma = gamma, inner(z, z)
        d = z + _per_sample(torch.where(last > 0, gamma / last.clamp_min(1e-300), 0.0), u) * d
        k += 1


def cgls(
    operator: LinearOperator,
    data: Tensor,
    *,
    most_iterations: int = 500,
    delta: float | Tensor | None = None,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> CGLSResult:
    """Conjugate gradients (M. R. Hestenes, E. Stiefel, 1952; CGLS) until ``||W^(1/2) (A u - f)|| <= delta``.

    Each sample ends by itself. A few iterations without ``delta`` are to an operator without geometry what filtered
    back projection is to one with.

    Args:
        operator: A.
        data: f, ``[batch, *range_shape]``.
        most_iterations: At most.
        delta: One number or ``[batch]``; None to go on until the gradient is rounding.
        weights: W, >= 0, usually 1 / variance; None for 1.
        start: ``[batch, *domain_shape]``; None for zero.
        watch: Hears after each iteration of the discrepancies ``[batch]``, float64.

    Returns:
        The image and, per sample, iterations, discrepancy and why it ended.

    Raises:
        SettingError: For ``delta <= 0`` or ``most_iterations < 0``.
    """
    if most_iterations < 0:
        raise SettingError(f"the number of iterations must be >= 0, got {most_iterations}")
    batch = data.shape[0]
    # Without delta, a bound that no residual meets.
    bound = torch.full((batch,), -1.0, dtype=torch.float64)
    if delta is not None:
        bound = torch.as_tensor(delta, dtype=torch.float64).cpu().expand(batch)
        if not bool((bound > 0).all()):
            raise SettingError(f"delta must be > 0, got {float(bound.min())}")
    bound = bound.to(data.device)
    iterates = cgls_iterates(operator, data, weights=weights, start=start)
    now = next(iterates)
    image, taken = now.image, torch.zeros(batch, dtype=torch.int64, device=data.device)
    met, flat = now.discrepancy <= bound, now.flat
    fit = now.discrepancy
    while now.k < most_iterations and not bool((met | flat).all()):
        now = next(iterates)
        going = ~(met | flat)
        image = torch.where(_per_sample(going, image), now.image, image)
        taken[going] = now.k
        fit = torch.where(going, now.discrepancy, fit)
        if watch is not None:
            watch(fit)
        met, flat = met | (going & (now.discrepancy <= bound)), flat | (going & now.flat)
    final = LeastSquares(operator, data, weights).at(image).discrepancy
    assert final is not None
    reasons = tuple(
        "discrepancy met" if m else "stationary" if s else "iterations spent"
        for m, s in zip(met.tolist(), flat.tolist(), strict=True)
    )
    return CGLSResult(image=image, iterations=taken, discrepancy=final, reason=reasons)


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    shaped = values.view(-1, *(1,) * (like.ndim - 1))
    return shaped if shaped.dtype == torch.bool else shaped.to(like)
