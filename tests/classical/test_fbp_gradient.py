"""Filtered back projection is linear: its derivative is it, and the other way its transpose, in plane and space."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from each_geometry import NAMED, example

import ctrecon as ct
from ctrecon.classical.fbp_device import DeviceBackProjection
from ctrecon.classical.inversion import Inversion, inversion
from ctrecon.errors import GeometryError
from ctrecon.geometry.grid import Grid
from ctrecon.operators.differentiable import applied

PLANE = Grid(rows=26, columns=22, pixel_mm=(0.8, 1.1), centre_mm=(1.3, -0.7))
SPACE = Grid(rows=14, columns=12, pixel_mm=1.4, slices=9, slice_mm=1.2, centre_mm=(1.3, -0.7, 0.4))


def formula(kind: str, name: str, cut_off: int = 0) -> Inversion | None:
    geometry = example(kind, name)
    try:
        return inversion(geometry, PLANE if len(geometry.shape) == 2 else SPACE, cells_cut_off=cut_off)
    except GeometryError:
        return None


@pytest.mark.parametrize("cut_off", [0, 5])
@pytest.mark.parametrize(("kind", "name"), [one for one in NAMED if formula(*one) is not None])
def test_the_transpose_is_the_transpose(kind: str, name: str, cut_off: int) -> None:
    F = formula(kind, name, cut_off)
    assert F is not None
    for batch in (1, 3):
        f, g = torch.randn(batch, *F.domain_shape), torch.randn(batch, *F.range_shape)
        u, back = applied(f, F, False), applied(g, F, True)
        # The centred grid's corners may lie where no ray comes: there both are 0.
        size = float(u.norm() * g.norm())
        assert size > 0
        assert abs(float((u.double() * g).sum() - (f.double() * back).sum())) < 1e-6 * size


def test_by_torch_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = ct.ParallelBeam(angles_rad=tuple(np.arange(20) / 6), detector_count=24, detector_spacing_mm=1.0)
    F = inversion(geometry, PLANE)
    g = torch.randn(2, *F.range_shape)
    whole = F._adjoint(g)
    monkeypatch.setattr(DeviceBackProjection, "_in_cache", lambda self: 3)
    assert torch.allclose(F._adjoint(g), whole, atol=1e-5)


@pytest.mark.parametrize("beam", ["parallel", "fan", "cone"])
def test_derivatives_in_both_modes_and_of_second_order(beam: Literal["parallel", "fan", "cone"]) -> None:
    A = ct.operator(ct.simulate("head", beam=beam, size=12, views=16).scan, device="cpu")
    f, t = torch.randn(2, 2, *A.range_shape)
    y = torch.randn(2, *A.domain_shape)
    f.requires_grad_()
    u = A.fbp(f)
    assert u.requires_grad
    (g,) = torch.autograd.grad((u * y).sum(), f, create_graph=True)
    assert float((g * t).sum().detach()) == pytest.approx(float((A.fbp(t) * y).sum()), rel=1e-3, abs=1e-4)
    (h,) = torch.autograd.grad((A.fbp(f).square() / 2).sum(), f, create_graph=True)
    (second,) = torch.autograd.grad((h * t).sum(), f)
    (expected,) = torch.autograd.grad((A.fbp(f) * A.fbp(t)).sum(), f)
    assert torch.allclose(second, expected, atol=1e-3 * float(expected.abs().max()))
    _, moved = torch.func.jvp(A.fbp, (f.detach(),), (t,))
    assert torch.allclose(moved, A.fbp(t), atol=1e-6)
    many = torch.func.vmap(A.fbp)(torch.stack([f.detach(), t]))
    assert torch.allclose(many[1], A.fbp(t), atol=1e-6)
    assert A.fbp(f.detach().double()).dtype == torch.float64
    assert not A.fbp(f.detach()).requires_grad


def test_data_are_learned_through_it() -> None:
    """A filter on the sinogram, trained by what is seen in the image: its gradient goes through the formula."""
    simulated = ct.simulate("head", beam="fan", size=24, views=36, noise=0.2, seed=1)
    A = ct.operator(simulated, device="cpu")
    f, truth = (torch.from_numpy(part)[None, None].float() for part in (simulated.scan.sinogram, simulated.truth))
    smooth = torch.nn.Conv2d(1, 1, 5, padding=2, bias=False)
    torch.nn.init.dirac_(smooth.weight)
    optimiser = torch.optim.Adam(smooth.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = (A.fbp(smooth(f)) - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
