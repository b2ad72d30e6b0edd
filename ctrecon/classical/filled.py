"""An approximate inverse where rays are missing: what it is applied to is filled first, from rays that are there."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctrecon.measurement.filling import Filling
from ctrecon.operators.base import LinearOperator

SWEEPS = 3
"""Rounds of ``refilled``: the first corrects most of what neighbours get wrong, more than three change nothing."""


class Filled:
    """``inverse`` after ``filling``, for sinograms ``[batch, 1, views, detectors]`` on any device.

    Data are filled by it as residuals are, so that a residual that vanishes on all usable rays asks for nothing.
    """

    def __init__(self, filling: Filling, inverse: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._inverse = inverse
        self._missing = torch.from_numpy(filling.missing).to(device)
        coo = filling.matrix.tocoo()
        self._row, self._column = (torch.from_numpy(part).long().to(device) for part in (coo.row, coo.col))
        self._weight = torch.from_numpy(coo.data).to(device)

    def __call__(self, sinogram: Tensor) -> Tensor:
        return self._inverse(self.fill(sinogram))

    def fill(self, sinogram: Tensor) -> Tensor:
        """The sinogram with its missing rays filled."""
        flat = sinogram.detach().flatten(1).clone()
        taken = flat[:, self._column] * self._weight.to(flat)
        guess = flat.new_zeros((flat.shape[0], self._missing.numel())).index_add_(1, self._row, taken)
        flat[:, self._missing] = guess
        return flat.view_as(sinogram)


def refilled(
    operator: LinearOperator, inverse: Callable[[Tensor], Tensor], data: Tensor, usable: Tensor, *, sweeps: int = SWEEPS
) -> Tensor:
    """``data`` with its missing rays as an image shows them that is made from the others.

    Each sweep reconstructs, cuts below zero, and projects that into the gaps: the iteration of R. W. Gerchberg (Optica
    Acta 21, 1974) and A. Papoulis (IEEE Trans. Circuits Syst. 22, 1975), with the object in the place of a band limit.

    Args:
        operator: The projector.
        inverse: From a sinogram to an image, such as filtered back projection.
        data: ``[1, 1, views, detectors]``, a first guess where rays are missing.
        usable: True where a ray is measured, of the same shape.
        sweeps: How often.

    Returns:
        The data, unchanged where usable.
    """
    now = data
    for _ in range(sweeps):
        now = torch.where(usable, data, operator(inverse(now).clamp_min(0)))
    return now
