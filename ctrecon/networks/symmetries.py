"""The eight symmetries of the square: mirror images and turns by right angles."""

from __future__ import annotations

import torch
from torch import Tensor

SYMMETRIES = 8
_FLIPPED: tuple[tuple[int, ...], ...] = ((), (-1,), (-2, -1), (-2,))


def turned(x: Tensor, which: int) -> Tensor:
    """The last two axes turned; number 0 leaves ``x`` as it is, odd numbers exchange rows and columns."""
    return torch.flip(x.mT if which % 2 else x, _FLIPPED[which // 2])


def turned_back(x: Tensor, which: int) -> Tensor:
    """The inverse of ``turned``."""
    straight = torch.flip(x, _FLIPPED[which // 2])
    return straight.mT if which % 2 else straight
