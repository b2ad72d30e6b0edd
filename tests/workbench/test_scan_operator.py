"""``ct.operator(scan)`` is a layer: copied, pickled, moved, differentiated, and with a filtered back projection."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

import ctrecon as ct

PARALLEL = ct.ParallelBeam(
    angles_rad=tuple(np.linspace(0, np.pi, 48, endpoint=False)), detector_count=36, detector_spacing_mm=1.0
)


@pytest.fixture(scope="module")
def made() -> tuple[ct.Scan, torch.Tensor]:
    simulated = ct.simulate("head", geometry=PARALLEL, grid=ct.Grid(rows=32, columns=32, pixel_mm=1.0), noise=0.001)
    return simulated.scan, torch.from_numpy(simulated.truth)[None, None]


def test_forward_adjoint_and_filtered_back_projection(made: tuple[ct.Scan, torch.Tensor]) -> None:
    scan, truth = made
    A = ct.operator(scan, device="cpu")
    f = torch.from_numpy(scan.sinogram)[None, None].float()
    assert float((A(truth) - f).norm() / f.norm()) < 0.05
    y = torch.randn(1, *A.range_shape)
    assert float((A(truth) * y).sum()) == pytest.approx(float((truth * A.T(y)).sum()), rel=1e-4)
    assert float((A.fbp(f) - truth).norm() / truth.norm()) < 0.25
    assert torch.equal(A @ truth, A(truth))
    batch = torch.cat([f, 2 * f, 0 * f])
    assert torch.allclose(A.fbp(batch)[1], 2 * A.fbp(f)[0], atol=1e-6)
    assert A.fbp(batch[:0]).shape == (0, 1, 32, 32)
    assert A.fbp(f.half()).dtype == torch.float16
    smooth = A.fbp(f, window="hann", cutoff=0.4)
    assert float(smooth.diff().norm()) < float(A.fbp(f).diff().norm())
    assert A.shape == (48 * 36, 32 * 32)
    assert "\n" not in repr(A)
    assert len(repr(A)) < 200


def test_it_travels_as_a_module(made: tuple[ct.Scan, torch.Tensor]) -> None:
    scan, truth = made
    A = ct.operator(scan, device="cpu")
    f = A(truth)
    A.fbp(f)
    stream = io.BytesIO()
    torch.save(A, stream)
    stream.seek(0)
    for other in (copy.deepcopy(A), torch.load(stream, weights_only=False)):
        assert torch.equal(other(truth), f)
        assert torch.equal(other.fbp(f), A.fbp(f))
    both = nn.Sequential(A, nn.Identity())
    assert torch.allclose(both(truth), f)
    assert torch.allclose(copy.deepcopy(A).double()(truth.double()).float(), f, atol=1e-4)


def test_it_trains_inside_a_network(made: tuple[ct.Scan, torch.Tensor]) -> None:
    """A learned gradient step, end to end: the loss falls and every weight has a gradient."""
    scan, truth = made
    A = ct.operator(scan, device="cpu")
    f, start = A(truth), A.fbp(A(truth))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        u = start + net(torch.cat([start, A.T(A(start) - f) / A.norm() ** 2], 1))
        loss = (A(u) - f).square().mean() + (u - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters())


def test_errors_say_what_would_do(made: tuple[ct.Scan, torch.Tensor]) -> None:
    scan, _ = made
    A = ct.operator(scan, device="cpu")
    f = torch.ones(1, *A.range_shape)
    with pytest.raises(ct.errors.OperatorError, match=r"use torch\.as_tensor\(x\)"):
        A.fbp(f.numpy())  # type: ignore[arg-type]
    with pytest.raises(ct.errors.OperatorError, match="reshape"):
        A.fbp(torch.ones(A.range_shape))
    with pytest.raises(ct.errors.SettingError, match="filter must be one of"):
        A.fbp(f.detach(), window="box")  # type: ignore[arg-type]
    with pytest.raises(ct.errors.InputError, match="got ndarray"):
        ct.operator(scan.sinogram)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    bare = ct.Scan(rng.random((4, 6)) + 1, matrix=sparse.random(24, 25, 0.5, "csr", random_state=0))
    B = ct.operator(bare, device="cpu")
    with pytest.raises(ct.errors.OperatorError, match="no geometry, which fbp needs"):
        B.fbp(torch.ones(1, *B.range_shape))


@pytest.mark.parametrize("name", ["sparse", "joseph"])
def test_a_tensor_without_dense_values_is_refused_and_changes_nothing(name: str) -> None:
    A = ct.operator(ct.Scan(np.ones(PARALLEL.shape), PARALLEL, grid=ct.Grid(rows=8, columns=8)), name=name)
    odd = {"meta": lambda x: x.to("meta"), "sparse": lambda x: x.to_sparse(),
           "nested": lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged)}  # fmt: skip
    u = torch.rand(2, *A.domain_shape)
    f = A(u)
    for call, given in ((A, u), (A.T, f), (A.fbp, f)):
        before = call(given)
        for kind, make in odd.items():
            with pytest.raises(ct.errors.OperatorError, match=kind):
                call(make(given))
        assert torch.equal(call(given), before)
