"""The guarantee: whatever the direction proposes, the energy falls and the direction lies in its set."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.dissipation import Cone, HalfSpace, dissipate
from ctrecon.descent.step import Armijo, ConstantStep, Subspace
from ctrecon.descent.stopping import Discrepancy, LowEnergy, Reason, SmallGradient
from ctrecon.energies.base import Energy, Point, inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.sparse import SparseOperator


def small_problem(seed: int = 0, m: int = 30, n: int = 20, batch: int = 3) -> tuple[LeastSquares, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((m, n)) * np.geomspace(1, 0.1, n)
    operator = SparseOperator(scipy.sparse.csr_matrix(matrix), (1, 4, 5), (1, 5, 6), dtype=torch.float64)
    truth = torch.from_numpy(rng.standard_normal((batch, 1, 4, 5)))
    data = operator(truth) + 0.05 * torch.from_numpy(rng.standard_normal((batch, 1, 5, 6)))
    return LeastSquares(operator, data), truth, torch.from_numpy(matrix)


class Random:
    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        self.generator, self.scale = torch.Generator().manual_seed(seed), scale

    def __call__(self, point: Point) -> Tensor:
        return self.scale * torch.randn(point.u.shape, generator=self.generator, dtype=point.u.dtype)


class Uphill:
    """As adversarial as can be: straight against the descent, with a random part."""

    def __call__(self, point: Point) -> Tensor:
        noise = torch.randn(point.u.shape, generator=torch.Generator().manual_seed(1), dtype=point.u.dtype)
        return 100 * point.gradient + point.gradient.norm() * noise


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, point: Point) -> Tensor:
        return torch.full_like(point.u, self.value)


BREAKERS = [
    Random(), Random(scale=1e-12), Random(scale=1e12), Uphill(), Constant(0.0), Constant(math.nan),
    Constant(math.inf), Constant(-1e38), Constant(1e20), NegativeGradient(),
]
STEPS = [Subspace(), Armijo(), Armijo(c=0.3, rho=0.7)]


def run(energy: Energy, direction: object, start: Tensor, **kwargs: object) -> list[Iterate]:
    return list(descend(energy, direction, start, **kwargs))  # type: ignore[arg-type]


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


def test_the_last_step_ends_on_the_discrepancy_sphere() -> None:
    energy, truth, _ = small_problem()
    delta = energy.at(truth).discrepancy
    assert delta is not None
    last = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta),))[-1]
    assert last.reasons == (Reason.DISCREPANCY,) * 3
    assert last.point.discrepancy is not None
    assert bool((last.point.discrepancy <= delta).all())
    assert bool((last.point.discrepancy >= delta * (1 - 2e-5)).all())
    uncut = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta, cut=False),))[-1]
    assert bool((uncut.point.discrepancy < delta * (1 - 1e-3)).any())  # type: ignore[operator]


class Other(LinearOperator):
    """The operator that judges: the descent's own, scaled by a part in ten thousand."""

    def __init__(self, operator: LinearOperator, scale: float = 1.0001) -> None:
        super().__init__(operator.domain_shape, operator.range_shape)
        self._operator, self._scale = operator, scale

    def _forward(self, x: Tensor) -> Tensor:
        return self._scale * self._operator._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._scale * self._operator._adjoint(y)


def test_the_descent_aims_below_delta_by_what_the_operators_differ() -> None:
    energy, truth, _ = small_problem()
    delta = energy.at(truth).discrepancy
    assert delta is not None
    judge = LeastSquares(Other(energy.operator), energy.data)
    difference = 1e-4 * inner(energy.operator(truth), energy.operator(truth)).sqrt() * 1.5
    ends = {}
    for name, stop in (("plain", Discrepancy(delta)), ("aimed", Discrepancy(delta, difference=difference))):
        end = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(stop,))[-1]
        assert end.reasons == (Reason.DISCREPANCY,) * 3
        assert str(end.reasons[0].value) == "discrepancy met"
        ends[name] = judge.at(end.u).discrepancy
    assert bool((ends["aimed"] <= delta).all())
    assert not bool((ends["plain"] <= delta).all())
    for bad, text in ((-1.0, "-1.0"), (math.nan, "nan"), (2 * float(delta.max()), "as much as delta")):
        with pytest.raises(SettingError, match=text):
            Discrepancy(delta, difference=bad)


class Knows:
    """Sees a true image from everywhere; its answer lies well inside the sphere."""

    def __init__(self, truth: torch.Tensor) -> None:
        self.truth = truth

    def __call__(self, point: Point) -> torch.Tensor:
        return self.truth - point.u


def test_a_whole_answer_is_not_cut_and_a_part_of_one_is() -> None:
    energy, truth, _ = small_problem()
    found = energy.at(truth).discrepancy
    assert found is not None
    delta, zero = 1.2 * found, torch.zeros_like(truth)
    step = Subspace(own_length=True)
    whole = run(energy, Knows(truth), zero, step=step, stop=(Discrepancy(delta, whole=True),))[-1]
    assert (whole.k, whole.reasons) == (1, (Reason.DISCREPANCY,) * 3)
    assert torch.allclose(whole.u, truth, rtol=1e-9, atol=1e-12)
    for stop in (Discrepancy(delta), Discrepancy(delta, whole=True)):
        part = run(energy, Knows(truth), zero, step=step if stop.whole is False else Subspace(), stop=(stop,))[-1]
        assert part.k == 1
        assert part.point.discrepancy is not None
        assert torch.allclose(part.point.discrepancy, delta, rtol=1e-4)


def test_no_rule_ends_a_descent_before_its_least_iterations_unless_it_stands_still() -> None:
    energy, truth, _ = small_problem()
    found, start = energy.at(truth).discrepancy, torch.zeros_like(truth)
    assert found is not None
    rule = (Discrepancy(1.5 * found),)
    for least in (0, 3, 7):
        iterates = run(energy, NegativeGradient(), start, stop=rule, least_iterations=least)
        assert iterates[-1].k >= least
        assert iterates[-1].reasons == (Reason.DISCREPANCY,) * 3
        assert all(bool((b.point.value <= a.point.value).all()) for a, b in pairwise(iterates))
    # Where E falls no further, the rule that is met is the reason.
    still = run(energy, NegativeGradient(), start, stop=rule, least_iterations=900, most_iterations=1000)[-1]
    assert still.k < 900
    assert still.reasons == (Reason.DISCREPANCY,) * 3
    # A start that meets the rule is as good as any other end.
    assert run(energy, NegativeGradient(), truth, stop=rule, least_iterations=7)[-1].k == 0


def test_every_end_has_its_name() -> None:
    energy, truth, _ = small_problem()
    zero = torch.zeros_like(truth)
    assert run(energy, NegativeGradient(), zero, most_iterations=0)[-1].reasons == (Reason.BUDGET,) * 3
    assert run(energy, NegativeGradient(), zero, most_iterations=2)[-1].reasons == (Reason.BUDGET,) * 3
    stalled = run(energy, NegativeGradient(), zero, most_iterations=400)[-1]
    assert set(stalled.reasons) <= {Reason.STALLED, Reason.STATIONARY}
    small = run(energy, NegativeGradient(), zero, stop=(SmallGradient(1e-1),), most_iterations=500)[-1]
    assert small.reasons == (Reason.STATIONARY,) * 3
    level = float(energy.at(zero).value.min()) * 0.9
    assert run(energy, NegativeGradient(), zero, stop=(LowEnergy(level),))[-1].reasons[0] is Reason.LOW_ENERGY
    exact = LeastSquares(energy.operator, energy.operator(truth))
    assert run(exact, NegativeGradient(), truth)[-1].reasons == (Reason.STATIONARY,) * 3


def test_samples_end_one_by_one_and_stay() -> None:
    energy, truth, _ = small_problem()
    start = energy.at(torch.zeros_like(truth)).discrepancy
    assert start is not None
    delta = start * torch.tensor([2.0, 0.9, 0.3])
    iterates = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta),))
    assert iterates[0].reasons == (Reason.DISCREPANCY, None, None)
    assert iterates[-1].finished
    assert torch.equal(iterates[-1].u[0], torch.zeros_like(truth[0]))
    assert sum(it.finished for it in iterates) == 1


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


class Writes:
    """Spoils a tensor of the point, by torch or behind its back."""

    def __init__(self, name: str, *, by_numpy: bool = False) -> None:
        self.name, self.by_numpy = name, by_numpy

    def __call__(self, point: Point) -> Tensor:
        held = getattr(point, self.name)
        if held is not None:
            (held.numpy() if self.by_numpy else held)[..., 0] = 3.0
        return torch.ones_like(point.u)


@pytest.mark.parametrize("by_numpy", [False, True])
@pytest.mark.parametrize("name", ["u", "gradient", "residual", "last_step"])
def test_a_direction_that_writes_into_the_point_is_noticed(name: str, by_numpy: bool) -> None:
    energy, truth, _ = small_problem()
    start = torch.zeros_like(truth)
    with pytest.raises(SettingError, match=rf"direction wrote into point\.{name}.*point\.{name}\.clone"):
        run(energy, Writes(name, by_numpy=by_numpy), start)
    assert not bool(start.any())


def test_a_loop_that_writes_into_an_iterate_is_noticed() -> None:
    energy, truth, _ = small_problem()

    def clamp() -> None:
        for it in descend(energy, NegativeGradient(), torch.zeros_like(truth)):
            it.u.clamp_(min=0.1)

    with pytest.raises(SettingError, match=r"the loop over the iterates wrote into point\.u"):
        clamp()


ODD_ANSWERS = {
    "wrong batch": (lambda u: u[:1], r"returned shape \[1, 1, 4, 5\]"),
    "no batch": (lambda u: u[0], r"returned shape \[1, 4, 5\]"),
    "flat": (lambda u: u.flatten(1), r"returned shape \[3, 20\]; use z\.reshape\(\[3, 1, 4, 5\]\)"),
    "a number": (lambda u: torch.tensor(1.0), r"returned shape \[\]"),
    "numpy": (lambda u: u.numpy().copy(), r"returned ndarray of shape \[3, 1, 4, 5\]; use torch\.as_tensor"),
    "none": (lambda u: None, "returned NoneType"),
    "a list": (lambda u: u.tolist(), "returned list"),
    "whole numbers": (lambda u: torch.ones_like(u, dtype=torch.int64), r"returned torch\.int64"),
    "complex": (lambda u: torch.ones_like(u, dtype=torch.complex128), r"returned torch\.complex128"),
    "elsewhere": (lambda u: torch.ones_like(u, device="meta"), "returned a tensor on meta"),
}


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_answer_that_is_no_direction_is_refused_with_its_shape(answer: str) -> None:
    energy, truth, _ = small_problem()
    make, text = ODD_ANSWERS[answer]
    with pytest.raises(SettingError, match=rf"tensor of shape \[3, 1, 4, 5\] on cpu, like point\.u.*{text}"):
        run(energy, lambda point: make(point.u), torch.zeros_like(truth))


@pytest.mark.parametrize("bad", ["numpy", "whole", "nan"])
def test_a_start_that_is_no_image_is_refused(bad: str) -> None:
    energy, truth, _ = small_problem()
    start = {"numpy": truth.numpy(), "whole": truth.long(), "nan": truth * math.nan}[bad]
    with pytest.raises(SettingError, match="the start"):
        run(energy, NegativeGradient(), start)  # type: ignore[arg-type]


def test_any_floating_point_answer_with_or_without_a_graph_serves() -> None:
    energy, truth, _ = small_problem()
    scale = torch.nn.Parameter(torch.tensor(0.01))
    start = torch.zeros_like(truth, requires_grad=True)
    answers = (
        lambda point: -scale * point.gradient, lambda point: -point.gradient.half(),
        lambda point: -point.gradient.mT.contiguous().mT, lambda point: (-point.gradient)[:, :1].expand(3, 1, 4, 5),
    )
    for answer in answers:
        end = run(energy, answer, start, most_iterations=5)[-1]
        assert not end.u.requires_grad
        assert bool((end.point.value < energy.at(start).value).all())
    for _ in descend(energy, NegativeGradient(), start, most_iterations=2):
        assert torch.is_grad_enabled(), "the caller's mode must not change between two iterates"
