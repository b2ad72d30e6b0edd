"""Average pooling beside the laws of every operator (test_operator_laws.py): its norm, its errors, its dtypes."""

from __future__ import annotations

import pytest
import torch
from laws import random_like

from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.dissipation import HalfSpace
from ctrecon.descent.step import ConstantStep
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import OperatorError, SettingError
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.pooling import AveragePooling


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_pooling_its_own_adjoint_is_a_multiple_of_the_identity(factor: int, dtype: torch.dtype) -> None:
    A = AveragePooling(12, 24, factor, channels=3)
    f = random_like((2, *A.range_shape), 0, dtype)
    back = A(A.adjoint(f))
    assert back.dtype == dtype
    torch.testing.assert_close(back, f / factor**2)
    if factor > 1:
        with pytest.raises(AssertionError):
            torch.testing.assert_close(back, f / factor)


def test_each_value_is_the_mean_of_its_square() -> None:
    A = AveragePooling(4, 6, 2, channels=2)
    u = random_like((1, *A.domain_shape), 1)
    assert A.range_shape == (2, 2, 3)
    assert float(A(u)[0, 1, 1, 2]) == pytest.approx(float(u[0, 1, 2:4, 4:6].mean()))


def test_the_norm_is_exact() -> None:
    A = AveragePooling(12, 12, 4)
    assert A.norm() == 0.25
    assert LinearOperator.norm(A) == pytest.approx(0.25, rel=1e-6)
    assert A.T.norm() == pytest.approx(0.25, rel=1e-6)


def test_one_gradient_step_of_1_over_l_explains_the_data() -> None:
    A = AveragePooling(8, 8, 4)
    f = random_like((2, *A.range_shape), 2)
    energy = LeastSquares(A, f)
    assert energy.lipschitz == 1 / 16
    start = torch.zeros(2, *A.domain_shape, dtype=torch.float64)
    # The default set asks for 0.1 / L = 1.6 times the gradient: for so small an L the gradient is too short.
    whole, step = HalfSpace(1.0), ConstantStep(16.0)
    last = list(descend(energy, NegativeGradient(), start, dissipation=whole, step=step, most_iterations=1))[-1]
    assert float(last.point.value.max()) < 1e-28
    # The start at the up-sampled data has no gradient: no direction descends from there.
    torch.testing.assert_close(last.u, 16 * A.adjoint(f))
    assert float(last.point.gradient.abs().max()) < 1e-15


def test_what_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(OperatorError, match="4 x 4 pixels do not tile an image of 10 x 8; crop it to 8 x 8"):
        AveragePooling(10, 8, 4)
    with pytest.raises(OperatorError, match="choose a smaller factor"):
        AveragePooling(8, 3, 4)
    for bad in ((0, 8, 2, 1), (8, -8, 2, 1), (8, 8, 0, 1), (8, 8, 2, 0)):
        with pytest.raises(SettingError, match="must be >= 1"):
            AveragePooling(*bad)
