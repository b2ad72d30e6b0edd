"""Average pooling: what a camera with larger pixels sees. The forward model of super-resolution."""

from __future__ import annotations

import torch
from torch import Tensor

from ctrecon.errors import OperatorError, SettingError
from ctrecon.operators.base import LinearOperator


class AveragePooling(LinearOperator):
    """The mean over squares of ``factor x factor`` pixels, each channel by itself.

    ``[batch, channels, rows, columns] -> [batch, channels, rows / factor, columns / factor]``, in any floating point
    dtype and on any device. ``A A^T = I / factor^2``, so a least-squares energy has ``L = 1 / factor^2``.
    Raises SettingError for sizes below 1, OperatorError where ``factor`` does not divide the image.
    """

    def __init__(self, rows: int, columns: int, factor: int, channels: int = 1) -> None:
        for name, size in (("rows", rows), ("columns", columns), ("factor", factor), ("channels", channels)):
            if size < 1:
                raise SettingError(f"{name} must be >= 1, got {size}")
        if rows % factor or columns % factor:
            fitting = (rows - rows % factor, columns - columns % factor)
            raise OperatorError(
                f"squares of {factor} x {factor} pixels do not tile an image of {rows} x {columns}; "
                + (f"crop it to {fitting[0]} x {fitting[1]}" if min(fitting) > 0 else "choose a smaller factor")
            )
        low = (rows // factor, columns // factor)
        super().__init__((channels, rows, columns), (channels, *low))
        self.factor = factor
        self._tiles = (channels, low[0], factor, low[1], factor)

    def norm(self) -> float:
        """``||A|| = 1 / factor``, exactly."""
        return 1 / self.factor

    def extra_repr(self) -> str:
        return f"{self.factor} x {self.factor} pixels"

    def _forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, self.factor)

    def _adjoint(self, y: Tensor) -> Tensor:
        shares = (y / self.factor**2)[:, :, :, None, :, None]
        return shares.expand(-1, *self._tiles).reshape(-1, *self.domain_shape)
