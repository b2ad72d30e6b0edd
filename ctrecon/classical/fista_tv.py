"""FISTA with total variation: ``min 1/2 ||W^(1/2) (A u - f)||^2 + alpha TV(u)``, ``u >= 0``, for ever less ``alpha``.

A. Beck, M. Teboulle, IEEE Trans. Image Process. 18, 2419, 2009: the gradient step, then the denoising of total
variation by its dual (fast gradient projection), with momentum. ``alpha`` falls until the discrepancy meets delta:
continuation in place of a search. Huber-TV (``tv.py``) solves each ``alpha`` to the end and is faster; this one is
what others compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.iterated import Iterated
from ctrecon.energies.huber_tv import differences, differences_adjoint
from ctrecon.energies.least_squares import LeastSquares

# Steps with one weight, by what it falls then, and rounds of the dual for each denoising.
STEPS, FALL, ROUNDS = 10, 0.75, 15


def denoised(u: Tensor, amount: float, dual: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """``argmin 1/2 |v - u|^2 + amount TV(v)`` over ``v >= 0``, roughly, from the last call's ``dual``; and its dual."""
    q, momentum = dual, 1.0
    for _ in range(ROUNDS):
        v = (u - amount * differences_adjoint(q)).clamp_min(0)
        p = tuple(a + b / (8 * amount) for a, b in zip(q, differences(v), strict=True))
        length = torch.stack(p).square().sum(0).sqrt().clamp_min(1)
        p = tuple(a / length for a in p)
        after = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        q = tuple(a + (momentum - 1) / after * (a - b) for a, b in zip(p, dual, strict=True))
        dual, momentum = p, after
    return (u - amount * differences_adjoint(dual)).clamp_min(0), dual


def fista_tv_iterates(
    energy: LeastSquares, alpha: float, *, state: Mapping[str, Any] | None = None
) -> Iterator[Iterated]:
    """Images from zero, or from the ``state`` of an earlier one, without end; ``alpha`` is the first weight, > 0."""
    operator, data = energy.operator, energy.data
    step = 1 / max(energy.lipschitz, 1e-30)
    u = data.new_zeros((data.shape[0], *operator.domain_shape))
    image = torch.zeros_like(data)
    ahead, ahead_image, momentum = u, image, 1.0
    dual = tuple(torch.zeros_like(p) for p in differences(u))
    k = 0
    if state is not None:
        u, image, ahead, ahead_image = (state[name] for name in ("u", "image", "ahead", "ahead_image"))
        dual, momentum, alpha, k = tuple(state["dual"]), state["momentum"], state["alpha"], state["k"]
    while True:
        held = {"u": u, "image": image, "ahead": ahead, "ahead_image": ahead_image}
        yield Iterated(u, image - data, held | {"dual": dual, "momentum": momentum, "alpha": alpha, "k": k})
        k += 1
        moved = ahead - step * operator.adjoint(energy.weighted(ahead_image - data))
        v, dual = denoised(moved, alpha * step, dual)
        projected = operator(v)
        after = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        share = (momentum - 1) / after
        ahead, ahead_image = v + share * (v - u), projected + share * (projected - image)
        u, image, momentum = v, projected, after
        if k % STEPS == 0:
            alpha *= FALL
