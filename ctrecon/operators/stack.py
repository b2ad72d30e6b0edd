"""Several operators that look at one image, their data side by side: two detectors, two energies, a few scans."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrecon.errors import OperatorError
from ctrecon.operators.base import LinearOperator, widest


class Stack(LinearOperator):
    """``u -> (A_1(u), A_2(u), ...)``, one after the other along an axis of the data.

    Args:
        operators: at least one; they take images of one shape and give data that differ in ``axis`` alone.
        axis: of ``range_shape``, without the batch; 1 puts the views of sinograms ``[1, views, detectors]`` together.

    Raises:
        OperatorError: for shapes that do not fit together.
    """

    def __init__(self, *operators: LinearOperator, axis: int = 1) -> None:
        if not operators:
            raise OperatorError("a stack needs at least one operator")
        first = operators[0]
        if not 0 <= axis < len(first.range_shape):
            raise OperatorError(f"axis must be from 0 to {len(first.range_shape) - 1}, got {axis}")
        for other in operators[1:]:
            if other.domain_shape != first.domain_shape:
                raise OperatorError(
                    f"a stack looks at one image: one operator takes {list(first.domain_shape)}, another "
                    f"{list(other.domain_shape)}"
                )
            if _without(other.range_shape, axis) != _without(first.range_shape, axis):
                raise OperatorError(
                    f"data {list(first.range_shape)} and {list(other.range_shape)} do not join along axis {axis}"
                )
        sizes = [one.range_shape[axis] for one in operators]
        joined = (*first.range_shape[:axis], sum(sizes), *first.range_shape[axis + 1 :])
        super().__init__(first.domain_shape, joined)
        self.axis, self._sizes, self._operators = axis, sizes, nn.ModuleList(operators)
        self._parts = operators
        self.matched = all(one.matched for one in operators)
        self.adjoint_defect = max(one.adjoint_defect for one in operators)

    def _forward(self, x: Tensor) -> Tensor:
        return torch.cat([one._forward(x) for one in self._parts], dim=self.axis + 1)

    def _adjoint(self, y: Tensor) -> Tensor:
        pieces = torch.split(y, self._sizes, dim=self.axis + 1)
        total = self._parts[0]._adjoint(pieces[0].contiguous())
        for one, piece in zip(self._parts[1:], pieces[1:], strict=True):
            total = total + one._adjoint(piece.contiguous())
        return total

    def _probe(self) -> Tensor:
        return self._parts[0]._probe()

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return widest(dtype, *self._parts)

    def extra_repr(self) -> str:
        return ", ".join(type(one).__name__ for one in self._parts)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
