"""The guarantee: whatever the direction proposes, the energy falls and the direction lies in its set."""

from __future__ import annotations

import math

import pytest
import scipy.sparse
import torch
from descent_problems import Constant, Random, Uphill, run, small_problem
from torch import Tensor

from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.dissipation import Cone, HalfSpace, dissipate
from ctrecon.descent.step import Armijo, ConstantStep, Subspace
from ctrecon.descent.stopping import Discrepancy
from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.sparse import SparseOperator

BREAKERS = [
    Random(), Random(scale=1e-12), Random(scale=1e12), Uphill(), Constant(0.0), Constant(math.nan),
    Constant(math.inf), Constant(-1e38), Constant(1e20), NegativeGradient(),
]
STEPS = [Subspace(), Armijo(), Armijo(c=0.3, rho=0.7)]


@pytest.mark.sampled(30)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("step", STEPS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("direction", BREAKERS, ids=lambda d: type(d).__name__)
def test_the_energy_never_rises(direction: object, step: object, dtype: torch.dtype) -> None:
    energy, truth, matrix = small_problem()
    if dtype == torch.float32:
        operator = SparseOperator(scipy.sparse.csr_matrix(matrix.numpy()), (1, 4, 5), (1, 5, 6))
        energy = LeastSquares(operator, energy.data.float())
    iterates = run(energy, direction, torch.zeros_like(truth, dtype=dtype), step=step, most_iterations=12)
    values = torch.stack([it.point.value for it in iterates])
    assert bool((values[1:] <= values[:-1]).all())
    # The energy as kept along the way is the energy of the image, recomputed in float64.
    exact, *_ = small_problem()
    again = exact.at(iterates[-1].u.double()).value
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    assert torch.allclose(again, values[-1], rtol=tolerance, atol=tolerance * float(values[0].max()))
    # And it does fall, even for directions that never help: the subspace holds steepest descent. (Along a huge
    # proposal at almost a right angle to the gradient, Algorithm 1 as printed descends by less than rounding.)
    if isinstance(step, Subspace):
        assert bool((values[-1] < 0.5 * values[0]).all())


@pytest.mark.parametrize("direction", [Random(), Uphill(), Constant(0.0), Constant(math.nan)])
def test_the_subspace_step_keeps_its_share_of_steepest_descent(direction: object) -> None:
    energy, truth, _ = small_problem()
    start = torch.zeros_like(truth)
    bent = run(energy, direction, start, most_iterations=1)[-1].point.value
    point = energy.at(start)
    ray = point.along(-point.gradient)
    steepest = ray.value(-ray.slope / ray.curvature[:, :, 0])
    assert bool((point.value - bent >= 0.5 * (point.value - steepest) * (1 - 1e-9)).all())
    least = run(energy, direction, start, step=Subspace(share=1.0), most_iterations=1)[-1].point.value
    assert bool((least <= steepest * (1 + 1e-9)).all())


@pytest.mark.parametrize("where", [HalfSpace(0.3), HalfSpace(0.3, as_printed=True), Cone(0.1, 5.0), Cone(0.5, 0.5)])
@pytest.mark.parametrize("scale", [0.0, 1e-9, 1.0, 1e9])
def test_the_layer_lands_in_its_set(where: HalfSpace | Cone, scale: float) -> None:
    generator = torch.Generator().manual_seed(3)
    z = scale * torch.randn(64, 1, 4, 5, generator=generator, dtype=torch.float64)
    g = torch.randn(64, 1, 4, 5, generator=generator, dtype=torch.float64)
    z[0], z[1] = g[0], -5 * g[1]
    d = dissipate(where, z, g)
    gg, dg, dd = inner(g, g), inner(d, g), inner(d, d)
    slack = 1e-9 * (1 + scale)
    if isinstance(where, HalfSpace):
        needed = where.zeta * (gg.sqrt() if where.as_printed else gg)
        assert bool((dg >= needed - slack).all())
        # A projection: what is in the set stays, and applying it twice changes nothing.
        assert torch.allclose(dissipate(where, d, g), d, rtol=1e-9, atol=slack)
        inside = inner(z, g) >= needed
        assert torch.equal(d[inside], z[inside])
    else:
        assert bool((dg >= where.zeta1 * gg - slack).all())
        assert bool((dd.sqrt() <= where.zeta2 * gg.sqrt() * (1 + 1e-9)).all())
        inside = (inner(z, g) >= where.zeta1 * gg) & (inner(z, z).sqrt() <= where.zeta2 * gg.sqrt())
        assert torch.allclose(d[inside], z[inside], rtol=1e-9, atol=slack)
    # The test can fail: most proposals are outside.
    assert not bool((inner(z, g) >= 0.3 * gg).all())


def test_the_printed_order_of_the_cones_constants_is_refused() -> None:
    with pytest.raises(SettingError, match="zeta2 >= zeta1"):
        Cone(25.0, 10.0)


@pytest.mark.parametrize("where", [HalfSpace(0.3), Cone(0.1, 5.0)])
def test_the_layer_is_differentiable(where: HalfSpace | Cone) -> None:
    generator = torch.Generator().manual_seed(4)
    z = torch.randn(4, 1, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    g = torch.randn(4, 1, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: dissipate(where, a, b), (z, g))
    zero = dissipate(where, z, torch.zeros_like(g))
    zero.sum().backward()
    assert z.grad is not None
    assert bool(torch.isfinite(z.grad).all())


def test_the_rate_of_proposition_2() -> None:
    energy, truth, matrix = small_problem()
    singular = torch.linalg.svdvals(matrix)
    L, mu = float(singular[0]) ** 2, float(singular[-1]) ** 2
    best = torch.stack([
        0.5 * (matrix @ torch.linalg.lstsq(matrix, f.flatten()).solution - f.flatten()).square().sum()
        for f in energy.data
    ])
    zeta1, zeta2 = 0.5, 1.0
    cone = Cone(zeta1, zeta2)
    step = ConstantStep.for_cone(zeta1, zeta2, L)
    iterates = run(energy, Random(5), torch.zeros_like(truth), dissipation=cone, step=step, most_iterations=60)
    gap = torch.stack([it.point.value for it in iterates]) - best
    rate = 1 - (zeta1 / zeta2) ** 2 * mu / L
    k = torch.arange(gap.shape[0])[:, None]
    assert gap.shape[0] == 61
    assert bool((gap <= rate**k * gap[0] * (1 + 1e-9)).all())
    # A hundred times longer step breaks the promise: the bound is not empty.
    with torch.no_grad():
        u = torch.zeros_like(truth)
        for _ in range(5):
            point = energy.at(u)
            u = u + 100 * step.length * dissipate(cone, Random(6)(point), -point.gradient)
    assert bool((energy.at(u).value - best > rate**5 * gap[0]).any())


class Unmatched(LinearOperator):
    """ASTRA's CUDA pair in effect: an adjoint that is off by a part in ten thousand, or by much more."""

    matched = False

    def __init__(self, operator: LinearOperator, defect: float) -> None:
        super().__init__(operator.domain_shape, operator.range_shape)
        self.adjoint_defect, self._operator = defect, operator
        generator = torch.Generator().manual_seed(7)
        self._noise = 1 + defect * torch.randn((1, *operator.domain_shape), generator=generator, dtype=torch.float64)

    def _forward(self, x: Tensor) -> Tensor:
        return self._operator._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._operator._adjoint(y) * self._noise.to(y)

    def _probe(self) -> Tensor:
        return self._operator._probe()


@pytest.mark.parametrize("defect", [1e-4, 0.3])
@pytest.mark.parametrize("direction", [Random(), Uphill(), NegativeGradient()])
def test_descent_holds_with_an_unmatched_adjoint(direction: object, defect: float) -> None:
    energy, truth, _ = small_problem()
    bad = LeastSquares(Unmatched(energy.operator, defect), energy.data)
    iterates = run(bad, direction, torch.zeros_like(truth), most_iterations=30)
    values = torch.stack([energy.at(it.u).value for it in iterates])
    assert bool((values[1:] <= values[:-1] * (1 + 1e-12)).all())
    assert bool((values[-1] < 0.5 * values[0]).all())
    # Before rounding ends it, each bent direction truly descends: the slope comes from forward projections.
    assert all(bool((it.descent > 0).all()) for it in iterates[1:10])


def test_bad_settings_are_refused_with_their_value() -> None:
    energy, truth, _ = small_problem()
    for make, text in (
        (lambda: HalfSpace(-1.0), "-1.0"),
        (lambda: Armijo(c=0.7), "0.7"),
        (lambda: Armijo(rho=1.0), "1.0"),
        (lambda: ConstantStep(0.0), "0.0"),
        (lambda: Discrepancy(0.0), "0.0"),
        (lambda: Discrepancy(-3.0), "-3.0"),
        (lambda: run(energy, NegativeGradient(), truth * math.nan), "not finite"),
    ):
        with pytest.raises(SettingError, match=text):
            make()
