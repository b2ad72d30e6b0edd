"""An energy that is one function: by autograd, behind an operator, without curvature, and wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from energy_examples import BATCH, BEAM, GRID, Quadratic, image, operator
from laws import random_like
from torch import Tensor

from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.energies.base import Energy
from ctrecon.energies.chain import Chain
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.sparse import SparseOperator, joseph_matrix


def test_a_function_is_what_the_class_by_hand_is() -> None:
    f = random_like((BATCH, 1, *BEAM.shape), 1)
    ours, theirs, u = Quadratic(f), LeastSquares(operator(), f), image()
    assert ours.lipschitz is None
    assert ours.lipschitz_at(u) == pytest.approx(theirs.lipschitz, rel=0.03)
    assert torch.equal(theirs.value(u), theirs.at(u).value)
    for energy in (Quadratic(f), Chain(Sharp(f), operator())):
        a, b = (list(descend(one, NegativeGradient(), u, most_iterations=8)) for one in (energy, theirs))
        assert float((a[-1].u - b[-1].u).abs().max()) < 0.02 * float(a[-1].u.abs().max())


class Sharp(Energy):
    """Half the squared distance to data, one function behind an operator."""

    def __init__(self, f: Tensor) -> None:
        self.f = f

    def value(self, u: Tensor) -> Tensor:
        return 0.5 * (u - self.f).square().flatten(1).sum(1)


class Absolute(Energy):
    """No curvature anywhere: what a quadratic model knows nothing of."""

    def value(self, u: Tensor) -> Tensor:
        return (u - 0.03).abs().flatten(1).sum(1)


def test_an_energy_without_curvature_descends_all_the_same() -> None:
    iterates = list(descend(Absolute(), NegativeGradient(), image(), most_iterations=20))
    assert bool((iterates[-1].point.value < 0.7 * iterates[0].point.value).all())


class Wrong(Energy):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        self.function = function

    def value(self, u: Tensor) -> Tensor:
        return self.function(u)  # type: ignore[return-value]


def test_a_function_that_is_no_energy_is_refused_with_the_remedy() -> None:
    for function, text in (
        (lambda u: u.sum(), r"one floating point number per sample, \[3\], got torch\.float64 of shape \[\]; sum over"),
        (lambda u: u.flatten(1), r"of shape \[3, 72\]"),
        (lambda u: 3.0, "got float"),
        (lambda u: u.flatten(1).sum(1).long(), r"got torch\.int64"),
        (lambda u: u.detach().flatten(1).sum(1), "does not hang on u by operations of torch"),
    ):
        with pytest.raises(SettingError, match=text):
            list(descend(Wrong(function), NegativeGradient(), image(), most_iterations=1))
    with pytest.raises(TypeError, match=r"needs value\(self, u\)"):
        type("Nothing", (Energy,), {})


def test_slopes_through_a_chain_come_from_forward_projections_alone() -> None:
    class Loose(SparseOperator):
        def _adjoint(self, y: Tensor) -> Tensor:
            return 1.3 * super()._adjoint(y)

    true = operator()
    csr = joseph_matrix(BEAM, GRID, np.float64)
    loose = Loose(csr, true.domain_shape, true.range_shape, dtype=torch.float64)
    u, d, f = image(), image(3), random_like((BATCH, 1, *BEAM.shape), 1)
    slopes = [Chain(Sharp(f), one).at(u).along(d).slope for one in (true, loose)]
    torch.testing.assert_close(slopes[0], slopes[1])
    assert not torch.allclose(Chain(Sharp(f), loose).at(u).gradient, Chain(Sharp(f), true).at(u).gradient)
