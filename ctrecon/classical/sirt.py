"""SIRT and its ordered subsets: each ray's misfit is shared out along it, and each pixel takes the mean of its rays.

P. Gilbert, J. Theor. Biol. 36, 105, 1972; A. H. Andersen, A. C. Kak, Ultrason. Imaging 6, 81, 1984 (SART); G. Wang,
M. Jiang, J. X-Ray Sci. Technol. 12, 169, 2004 (ordered subsets). ``u + C A^T R W (f - A u)`` with ``R`` one over the
rays' lengths in the image, ``W`` what they count (0 where a ray is missing), and ``C`` one over the pixels' sums of
``W``; then cut below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.iterated import Iterated
from ctrecon.operators.base import LinearOperator

# Rays that cross less than this share of the longest one's way, and pixels seen by less than it of the rest, stay out.
_LEAST = 1e-6


class Sharing:
    """``C A^T R W`` of some rays: what their misfit asks of an image."""

    def __init__(self, operator: LinearOperator, like: Tensor, weights: Tensor | None) -> None:
        self._operator = operator
        lengths = operator(torch.ones((1, *operator.domain_shape), dtype=like.dtype, device=like.device))
        count = torch.ones_like(lengths) if weights is None else weights[:1].to(lengths)
        seen = lengths > _LEAST * float(lengths.max())
        self._share = torch.where(seen, count / lengths.clamp_min(1e-30), torch.zeros_like(count))
        sums = operator.adjoint(torch.where(seen, count, torch.zeros_like(count)))
        enough = sums > _LEAST * float(sums.max().clamp_min(1e-30))
        self._pixel = torch.where(enough, 1 / sums.clamp_min(1e-30), torch.zeros_like(sums))

    def __call__(self, residual: Tensor) -> Tensor:
        """For ``f - A u``, the step of the image."""
        return self._pixel * self._operator.adjoint(self._share * residual)


def sirt_iterates(
    operator: LinearOperator, data: Tensor, weights: Tensor | None = None, *, state: Mapping[str, Any] | None = None
) -> Iterator[Iterated]:
    """Images from zero, or from the ``state`` of an earlier one, without end. One pair of projections each.

    ``data`` ``[batch, *range_shape]``, ``weights`` (>= 0) of batch 1.
    """
    share = Sharing(operator, data, weights)
    u, r = _begun(operator, data, state)
    while True:
        yield Iterated(u, r, {"image": u})
        u = (u - share(r)).clamp_min(0)
        r = operator(u) - data


def os_sart_iterates(
    operator: LinearOperator, subsets: Sequence[tuple[LinearOperator, Tensor]], data: Tensor,
    weights: Tensor | None = None, *, state: Mapping[str, Any] | None = None,
) -> Iterator[Iterated]:
    """The same after each round of the ``subsets``: an operator of some views, and the numbers of these.

    Of ``operator`` only the residual comes, one projection a round.
    """
    parts = [
        (some, data[:, :, views], Sharing(some, data, None if weights is None else weights[:, :, views]))
        for some, views in subsets
    ]
    u, r = _begun(operator, data, state)
    while True:
        yield Iterated(u, r, {"image": u})
        for some, f, share in parts:
            u = (u + share(f - some(u))).clamp_min(0)
        r = operator(u) - data


def _begun(operator: LinearOperator, data: Tensor, state: Mapping[str, Any] | None) -> tuple[Tensor, Tensor]:
    if state is None:
        return data.new_zeros((data.shape[0], *operator.domain_shape)), -data
    return state["image"], operator(state["image"]) - data
