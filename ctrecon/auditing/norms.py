"""The norms by which an audit scales its operators: of the same scan they are the same, whatever is asked of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ctrecon.energies.huber_tv import differences, differences_adjoint
from ctrecon.operators.base import LinearOperator

ROUGH = 1 / math.sqrt(8)
"""What differences are multiplied by, for a norm of at most 1."""

_STEPS = 30


def norms(operator: LinearOperator, root: Tensor | None, like: Tensor) -> tuple[float, float]:
    """Two norms, by power iterations from a fixed image.

    Args:
        operator: Of the scan, ``A``.
        root: The roots of the data's weights, ``W^(1/2)``, in the shape of the data; None for 1.
        like: Any image ``[1, 1, rows, columns]``, of whose type and device the iterations are.

    Returns:
        ``||W^(1/2) A||``, above 0, and that of both ``W^(1/2) A`` and the differences, each scaled to norm 1.
    """
    start = torch.rand(like.shape, generator=torch.Generator().manual_seed(0), dtype=like.dtype).to(like.device)

    def norm(measure: float, rough: float) -> float:
        x, found = start, 0.0
        for _ in range(_STEPS):
            x = x / torch.linalg.vector_norm(x).clamp_min(1e-30)
            y = _weighed(operator(x), root) * measure
            y = operator.adjoint(_weighed(y, root)) * measure
            x = y if rough == 0 else y + differences_adjoint(_scaled(differences(x), rough * rough))
            found = math.sqrt(float(torch.linalg.vector_norm(x)))
        return found

    data = max(norm(1.0, 0.0), 1e-30)
    return data, norm(1 / data, ROUGH)


def _weighed(values: Tensor, root: Tensor | None) -> Tensor:
    return values if root is None else root * values


def _scaled(pair: Sequence[Tensor], by: float) -> tuple[Tensor, Tensor]:
    return pair[0] * by, pair[1] * by
