"""E falls, truly: attacks on the descent, judged in float64 by other code."""

from __future__ import annotations

import inspect
import math

import hostile
import numpy as np
import pytest
import torch
from hostile import Case
from laws import classes_in, random_like
from torch import Tensor

import ctrecon.energies
from ctrecon.descent import descend as module
from ctrecon.descent import dissipation, step
from ctrecon.descent.descend import descend
from ctrecon.descent.dissipation import Cone, HalfSpace, dissipate
from ctrecon.descent.stopping import Discrepancy
from ctrecon.energies.base import Energy, Point, Ray, SumEnergy, inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import joseph_matrix, sparse_operator

CHUNK = 40
ALL = 250
"""Chunks, 10,000 attacks in all; a twenty-fifth of them always runs."""


@pytest.mark.parametrize("chunk", [*range(10), *(pytest.param(k, marks=pytest.mark.long) for k in range(10, ALL))])
def test_no_attack_makes_the_energy_rise(chunk: int) -> None:
    torch.set_num_threads(1)
    failures = [Case(seed).run() for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK)]
    assert not [found for found in failures if found is not None]


def test_everything_that_descends_is_attacked() -> None:
    parts: set[type[Energy]] = {SumEnergy}
    for attacked in hostile.ENERGIES.values():
        energy = attacked.energy(torch.float32)
        parts |= {type(one) for _, one in energy.parts} if isinstance(energy, SumEnergy) else {type(energy)}
    # One that is its value alone goes the way that `hostile.Through` goes.
    own_ways = {one for one in classes_in(ctrecon.energies, Energy) if one.at is not Energy.at}
    assert len(own_ways) > 4
    assert own_ways <= parts

    def written_in(where: object) -> set[type]:
        classes = inspect.getmembers(where, lambda x: inspect.isclass(x) and x.__module__ == where.__name__)  # type: ignore[attr-defined]
        return {one for _, one in classes if hasattr(one, "__dataclass_fields__")}

    assert written_in(step) <= {type(make(1.0)) for make in hostile.STEPS}
    assert written_in(dissipation) - {dissipation.Parted} <= {type(make(1.0)) for make in hostile.SETS_OF_DESCENT}


# The case of the issue: straight uphill, in float32.

GRID = Grid(rows=64, columns=64, pixel_mm=0.5)
BEAM = FanBeam(
    angles_rad=tuple(np.arange(60) * 2 * math.pi / 60), detector_count=64, detector_spacing_mm=1.4,
    source_to_axis_mm=110.0, source_to_detector_mm=300.0,
)


def rises(scale: float, steps: int = 30) -> float:
    """The largest rise of E in float64 over any step, relative to the first E."""
    operator = sparse_operator(BEAM, GRID)
    f = operator(0.02 + 0.02 * random_like((1, 1, 64, 64), 0, torch.float32).abs())
    matrix = joseph_matrix(BEAM, GRID, np.float64)
    start = torch.zeros(1, 1, 64, 64)
    path = descend(LeastSquares(operator, f), lambda point: scale * point.gradient, start, most_iterations=steps)
    data = f.double().numpy().ravel()
    values = [float(((matrix @ it.u.double().numpy().ravel() - data) ** 2).sum() / 2) for it in path]
    return float(np.diff(values).max(initial=-math.inf)) / values[-1]


@pytest.mark.parametrize("scale", [1.0, 300.0, 1e6, 1e12])
def test_a_proposal_straight_uphill_does_not_rise(scale: float) -> None:
    assert rises(scale) < 1e-4


def as_before(point: Point, direction: object, where: HalfSpace, *, with_last_step: bool) -> tuple[Ray, Tensor, Tensor]:
    """The proposal and g as they are, their combination left to cancel."""
    g, z = -point.gradient, direction(point)  # type: ignore[operator]
    ray = point.along(z, g)
    slope = -ray.slope
    push = (where.zeta * slope[:, 1] - slope[:, 0]).clamp_min(0) / slope[:, 1]
    return ray, torch.stack([torch.ones_like(push), push], dim=1), torch.zeros(1, dtype=torch.bool)


def trusting(point: Point, ray: Ray, tau: Tensor) -> tuple[Point, list[bool]]:
    """The energy as it was kept along the way, not that of the image."""
    moved = ray.move(tau)
    return moved, (moved.value < point.value).tolist()


def test_directions_that_cancel_and_a_residual_that_drifts_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bent_ray", as_before)
    monkeypatch.setattr(module, "_move", trusting)
    assert rises(300.0) > 1e-2


def test_a_discrepancy_is_true_where_steps_have_drifted() -> None:
    """Many small steps in float32, none of which would ever be computed anew."""
    operator = sparse_operator(BEAM, GRID)
    f = operator(0.02 + 0.02 * random_like((1, 1, 64, 64), 0, torch.float32).abs())
    matrix = joseph_matrix(BEAM, GRID, np.float64)
    delta = 0.02 * float(f.norm())
    path = descend(
        LeastSquares(operator, f), lambda point: -point.gradient, torch.zeros(1, 1, 64, 64), stop=(Discrepancy(delta),),
        most_iterations=300,
    )
    *_, end = path
    assert end.finished
    found = float(np.linalg.norm(matrix @ end.u.double().numpy().ravel() - f.double().numpy().ravel()))
    assert end.point.discrepancy is not None
    assert found == pytest.approx(float(end.point.discrepancy), rel=1e-5)
    assert found <= delta * (1 + 1e-5)


# The projections (21) and (22), at all scales.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("where", [HalfSpace(1e-3), HalfSpace(0.3, as_printed=True), Cone(0.1, 5.0), Cone(1e-4, 1e4)])
@pytest.mark.parametrize("scale", [1e-38, 1e-12, 1.0, 300.0, 1e6, 1e12])
def test_projections_land_in_their_sets(where: HalfSpace | Cone, scale: float, dtype: torch.dtype) -> None:
    g = random_like((16, 1, 8, 9), 1, dtype)
    mixed = random_like((16, 1, 8, 9), 2, dtype)
    eps = float(torch.finfo(dtype).eps)
    for z in (-scale * g, scale * g, scale * mixed, scale * (1e-6 * mixed - g)):
        d = dissipate(where, z, g).double()
        wide, length = g.double(), inner(d, d).sqrt()
        gg = inner(wide, wide)
        slope = inner(d, wide)
        # A number of d is right to half a unit in its last place, so <d, g> is to that of |d| |g|.
        rounding = 4 * eps * length * gg.sqrt()
        if isinstance(where, HalfSpace):
            needed = where.zeta * (gg.sqrt() if where.as_printed else gg)
            assert bool((slope >= needed - rounding).all())
            inside = inner(z, g) > needed * (1 + 1e-9)
            assert torch.equal(dissipate(where, z, g)[inside], z[inside])
        else:
            assert bool((slope >= where.zeta1 * gg - rounding).all())
            assert bool((length <= where.zeta2 * gg.sqrt() * (1 + 4 * eps)).all())


def test_adding_what_is_missing_along_g_would_miss_the_set() -> None:
    """As the layer was formed: z + b g, which cancels in float32."""
    g = random_like((16, 1, 8, 9), 1, torch.float32)
    z = -1e6 * g
    zeta, gg = 1e-3, inner(g, g)
    b = (zeta * gg - inner(z, g)) / gg
    d = (z + b.float().view(-1, 1, 1, 1) * g).double()
    assert bool((inner(d, g) < zeta * gg * 0.9).any())
    bent = dissipate(HalfSpace(zeta), z, g)
    torch.testing.assert_close(inner(bent, g), zeta * gg, rtol=1e-5, atol=0)
