"""MLEM: the image that makes line integrals likeliest, were they counts of Poisson's law; never below zero.

L. A. Shepp, Y. Vardi, IEEE Trans. Med. Imaging 1, 113, 1982: ``u A^T (W f / A u) / A^T W``. Line integrals are no
counts, but as Kullback-Leibler's distance it is a misfit like any other, which forgives more where little is
absorbed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.iterated import Iterated
from ctrecon.operators.base import LinearOperator

_LEAST = 1e-6


def mlem_iterates(
    operator: LinearOperator, data: Tensor, weights: Tensor | None = None, *, state: Mapping[str, Any] | None = None
) -> Iterator[Iterated]:
    """Images from a constant that has the data's sum, without end. One pair of projections each.

    Or from the ``state`` of an earlier one. ``data`` ``[batch, *range_shape]``, of which what is below zero counts as
    zero; ``weights`` (>= 0) of batch 1.
    """
    ones = torch.ones((data.shape[0], *operator.domain_shape), dtype=data.dtype, device=data.device)
    count = torch.ones_like(data[:1]) if weights is None else weights[:1].to(data)
    counted = count * data.clamp_min(0)
    sums = operator.adjoint(count.expand_as(data).contiguous())
    seen = sums > _LEAST * float(sums.max().clamp_min(1e-30))
    image = operator(ones)
    level = counted.flatten(1).sum(1) / (count * image).flatten(1).sum(1).clamp_min(1e-30)
    u = torch.where(seen, ones * level.view(-1, *(1,) * (ones.ndim - 1)), torch.zeros_like(ones))
    if state is not None:
        u = state["image"]
    while True:
        image = operator(u)
        yield Iterated(u, image - data, {"image": u})
        least = _LEAST * float(image.max().clamp_min(1e-30))
        ratio = torch.where(image > least, counted / image.clamp_min(1e-30), torch.zeros_like(image))
        u = torch.where(seen, u * operator.adjoint(ratio) / sums.clamp_min(1e-30), torch.zeros_like(u))
