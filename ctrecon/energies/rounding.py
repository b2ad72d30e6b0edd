"""How far an image and its projection drift apart when a step is added to both."""

from __future__ import annotations

import torch
from torch import Tensor

# A projection in floating point is off by this many units of its length; float32 projectors stay below one.
_PROJECTION_UNITS = 4.0


def rounding_of_a_step(dtype: torch.dtype, sums: Tensor, tau: Tensor, images: Tensor) -> Tensor:
    """A bound of the rounding of ``u + sum_j tau_j d_j`` and ``A u + sum_j tau_j (A d_j)``, as lengths in the data.

    Args:
        dtype: in which they are computed.
        sums: ``||A|| |u| + |A u|`` after the step, ``[batch]``.
        tau: ``[batch, directions]``.
        images: ``|A d_j|``, ``[batch, directions]``.

    Returns:
        ``[batch]``, float64.
    """
    eps = torch.finfo(dtype).eps
    projected = _PROJECTION_UNITS * (tau.double().abs() * images).sum(1)
    # A sample that stays where it is is not rounded.
    return eps * torch.where((tau != 0).any(1), sums / 2 + projected, torch.zeros_like(sums))


def chosen(which: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``a`` for the samples ``which`` ``[batch]``, ``b`` for the others."""
    return torch.where(which.view(-1, *(1,) * (a.ndim - 1)), a, b)
