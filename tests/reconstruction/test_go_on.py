"""Solver and checker that do not project alike: what can be certified is certified all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ctrecon.certificates.feasible import NotCertified, certify
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.delta import delta_for
from ctrecon.operators.base import LinearOperator
from ctrecon.phantoms import FAMILIES
from ctrecon.reconstruction.conclude import Conclusion, conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.methods.gradient import gradient
from ctrecon.reconstruction.problem import Outcome, Problem, prepare
from ctrecon.simulation.simulate import simulate

GRID = Grid(rows=40, columns=40, pixel_mm=1.0)
PARALLEL = ParallelBeam(
    angles_rad=tuple(np.linspace(0, np.pi, 48, endpoint=False)), detector_count=50, detector_spacing_mm=1.0
)


class Off(LinearOperator):
    """An operator that is off: by a factor, and by a rough pattern over the rays."""

    def __init__(self, operator: LinearOperator, factor: float, rough: float) -> None:
        super().__init__(operator.domain_shape, operator.range_shape)
        generator = torch.Generator().manual_seed(3)
        self.inner = operator
        self.scale = factor * (1 + rough * torch.randn(operator.range_shape, generator=generator))

    def _forward(self, x: Tensor) -> Tensor:
        return self.scale * self.inner(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.scale * y)


def problem(factor: float, rough: float, photons: float | None = None, percent: str = "2%") -> Problem:
    head = next(family for family in FAMILIES if family.name == "head")
    made = simulate(head, PARALLEL, GRID, relative_noise=0.02, photons=photons, seed=4)
    delta = delta_for(made.scan, "auto" if photons else percent)
    ready = prepare(made.scan, delta)
    off = Off(ready.operator, factor, rough)
    return replace(ready, operator=off, energy=LeastSquares(off, ready.energy.data, ready.energy.weights))


def alone(case: Problem, outcome: Outcome) -> object:
    scan = case.scan
    return certify(
        outcome.image, scan.sinogram, scan.geometry, scan.grid, case.delta.value, weights=case.weights
    )


@pytest.mark.sampled(7)
@pytest.mark.parametrize("method", [gradient, cgls])
@pytest.mark.parametrize(
    ("factor", "rough"), [(1 + 1e-4, 0.0), (1 - 1e-4, 0.0), (1.001, 0.0), (0.999, 1e-3), (1.0, 3e-3)]
)
@pytest.mark.parametrize("photons", [None, 1e5], ids=["gaussian", "poisson"])
def test_a_scaled_or_rough_operator_is_certified(
    method: object, factor: float, rough: float, photons: float | None
) -> None:
    case = problem(factor, rough, photons)
    outcome: Outcome = method(case)  # type: ignore[operator]
    found: Conclusion = conclude(case, outcome)
    assert found.certified, found.residual / case.delta.value
    assert outcome.reason == found.outcome.reason
    iterations = [record.iteration for record in found.outcome.history]
    assert iterations == sorted(iterations)


def test_the_test_would_fail_without_going_on() -> None:
    """Several of the cases above miss delta by the checker where the method ended."""
    missed = 0
    for factor, rough in ((1 + 1e-4, 0.0), (1 - 1e-4, 0.0), (1.001, 0.0), (0.999, 1e-3), (1.0, 3e-3)):
        case = problem(factor, rough)
        missed += isinstance(alone(case, gradient(case)), NotCertified)
    assert missed >= 2


def test_what_cannot_be_certified_is_not() -> None:
    """An operator off by a fifth gives no image that the checker accepts at a delta far below the data's noise."""
    case = problem(1.2, 0.0, percent="0.05%")
    found = conclude(case, gradient(case, iterations=20))
    assert not found.certified
