"""Laws that every operator and every energy must obey, as functions that any test can call.

``classes_in`` finds the classes by walking a package, so a new file is tested without being named anywhere.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Ray
from ctrecon.errors import OperatorError
from ctrecon.operators.base import LinearOperator


def classes_in(package: ModuleType, base: type) -> list[type[Any]]:
    """Every concrete, public subclass of ``base`` defined in ``package`` or below, in order of name."""
    names = [package.__name__]
    names += [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    found: dict[str, type] = {}
    for name in names:
        for _, one in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            own = one.__module__.startswith(package.__name__ + ".") and one is not base
            if issubclass(one, base) and own and not inspect.isabstract(one) and not one.__name__.startswith("_"):
                found[f"{one.__module__}.{one.__qualname__}"] = one
    return [found[key] for key in sorted(found)]


def random_like(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal values, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Equal up to ``tolerance`` times the larger of both, so that scale does not matter."""
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-300)
    return a.shape == b.shape and float((a - b).abs().max()) <= tolerance * scale


# Operators


def adjoint_defect(
    operator: LinearOperator, *, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0
) -> float:
    """``max |<A x, y> - <x, A^T y>| / (||A x|| ||y||)`` over three random pairs: 0 up to rounding for a true pair."""
    x = random_like((3, *operator.domain_shape), seed, dtype).to(device)
    y = random_like((3, *operator.range_shape), seed + 1, dtype).to(device)
    forward, backward = operator(x).double(), operator.adjoint(y).double()
    left = (forward * y.double()).flatten(1).sum(1)
    right = (x.double() * backward).flatten(1).sum(1)
    scale = torch.linalg.vector_norm(forward.flatten(1), dim=1) * torch.linalg.vector_norm(y.double().flatten(1), dim=1)
    return float(((left - right).abs() / scale.clamp_min(1e-300)).max())


def check_operator(
    operator: LinearOperator, *, dtype: torch.dtype = torch.float64, device: str = "cpu", tolerance: float | None = None
) -> None:
    """Assert all laws of a linear operator; gradients of both orders where it works in float64 and is matched.

    ``tolerance`` is relative, 1e-11 in float64 and 2e-5 in float32 by default.
    """
    if tolerance is None:
        tolerance = 1e-11 if dtype == torch.float64 else 2e-5
    x = random_like((3, *operator.domain_shape), 1, dtype).to(device)
    y = random_like((3, *operator.range_shape), 2, dtype).to(device)
    _check_linear(operator, x, tolerance)
    _check_linear(operator.T, y, tolerance)
    defect = adjoint_defect(operator, dtype=dtype, device=device)
    allowed = tolerance if operator.matched else operator.adjoint_defect
    assert defect <= allowed, f"{type(operator).__name__}: adjoint defect {defect:.1e} > {allowed:.1e}"
    assert operator.T.T is operator
    assert torch.equal(operator.T(y), operator.adjoint(y))
    z = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((operator(z) * y).sum(), z)
    assert _close(gradient, operator.adjoint(y), tolerance), "the gradient of <A x, y> is not A^T y"
    if dtype == torch.float64 and operator.matched:
        fast = operator(x).numel() * x.numel() > 20_000
        for apply, argument in ((operator, x[:1]), (operator.adjoint, y[:1])):
            leaf = argument.clone().requires_grad_()
            assert torch.autograd.gradcheck(apply, leaf, fast_mode=fast)
            assert torch.autograd.gradgradcheck(apply, leaf, fast_mode=fast)


def check_layer(operator: LinearOperator, *, dtype: torch.dtype = torch.float64) -> None:
    """Assert that an operator is a layer like those of torch: derivatives of both modes, copies, moves, names."""
    tolerance = 1e-11 if dtype == torch.float64 else 2e-5
    x, t = random_like((2, *operator.domain_shape), 1, dtype), random_like((2, *operator.domain_shape), 2, dtype)
    image, kept = operator(x), str(operator)
    assert isinstance(operator, torch.nn.Module)
    assert len(list(operator.parameters())) == 0
    assert operator.shape == (image[0].numel(), x[0].numel())
    assert torch.equal(operator @ x, image)
    assert "\n" not in kept
    # Forward mode, reverse mode, one over the other, and both under vmap.
    value, along = torch.func.jvp(operator, (x,), (t,))
    assert torch.equal(value, image)
    assert _close(along, operator(t), tolerance)
    _, pull = torch.func.vjp(operator, x)
    assert _close(pull(image)[0], operator.adjoint(image), tolerance)
    loss = lambda u: operator(u).square().sum() / 2  # noqa: E731
    twice = torch.func.jvp(torch.func.grad(loss), (x,), (t,))[1]
    assert _close(twice, operator.adjoint(operator(t)), tolerance)
    many = torch.stack([x, t, x - t])
    assert _close(torch.func.vmap(operator)(many)[1], operator(t), tolerance)
    assert _close(torch.func.vmap(operator.adjoint, in_dims=1, out_dims=1)(
        torch.stack([image, 2 * image], dim=1))[:, 1], 2 * operator.adjoint(image), tolerance)
    assert _close(torch.func.vmap(torch.func.grad(loss))(many)[0], operator.adjoint(image), tolerance)
    # Copies work alike, in this process and in another; their transposes belong to them.
    for copied in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        assert torch.equal(copied(x), image)
        assert copied.T.T is copied
        assert torch.equal(copied.T(image), operator.adjoint(image))
        assert str(copied) == kept
    # Nothing in a batch is nothing out, with a graph.
    none = x[:0].clone().requires_grad_()
    assert tuple(operator(none).shape) == (0, *operator.range_shape)
    operator(none).sum().backward()
    assert none.grad is not None
    # Half precision is computed with more digits and given back as it came.
    for half in (torch.float16, torch.bfloat16):
        small = (x / 64).to(half)
        assert operator(small).dtype == half
        assert _close(operator(small).to(dtype), operator(small.to(dtype)), 1e-2)
    with pytest.raises(OperatorError, match=r"as a torch tensor, got ndarray of shape .*; use torch\.as_tensor"):
        operator(x.numpy())  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match=r"use x\.reshape\(1, "):
        operator(x[0])


def _check_linear(operator: LinearOperator, x: Tensor, tolerance: float) -> None:
    """Linear, sample by sample, of the stated shape, leaving its input alone, refusing other shapes."""
    kept = x.clone()
    image = operator(x)
    assert torch.equal(x, kept), "the operator changed its input"
    assert tuple(image.shape) == (x.shape[0], *operator.range_shape)
    assert image.dtype == x.dtype
    assert image.device == x.device
    assert bool((operator(torch.zeros_like(x)) == 0).all())
    assert _close(operator(2.5 * x[:1] - x[1:2]), 2.5 * image[:1] - image[1:2], tolerance), "not linear"
    singly = torch.cat([operator(one[None]) for one in x])
    assert _close(image, singly, tolerance), "a batch gives something else than its samples"
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert _close(operator(strided), image, tolerance), "memory layout matters"
    with pytest.raises(OperatorError):
        operator(x[:, :, None])
    with pytest.raises(OperatorError):
        operator(x.to(torch.int32))


# Energies


def check_energy(energy: Energy, u: Tensor, *, quadratic: bool = False, seed: int = 0) -> None:
    """Assert all laws of an energy around ``u`` (``[batch >= 2, ...]``, float64), in random directions.

    ``quadratic`` asserts also that the ray's model is exact.
    """
    directions = tuple(0.3 * u.abs().mean() * random_like(tuple(u.shape), seed + j, u.dtype) for j in range(3))
    check_value_and_gradient(energy, u, directions)
    check_ray(energy, u, directions, quadratic=quadratic)
    check_convex(energy, u, directions[0])
    check_lipschitz(energy, u, directions[0])
    check_reach(energy, u)


def check_value_and_gradient(energy: Energy, u: Tensor, directions: tuple[Tensor, ...]) -> None:
    """The gradient against central differences, the value finite, per sample, in float64."""
    point = energy.at(u)
    assert point.value.shape == (u.shape[0],)
    assert point.value.dtype == torch.float64
    assert bool(torch.isfinite(point.value).all())
    assert point.gradient.shape == u.shape
    assert point.gradient.dtype == u.dtype
    for d in directions:
        h = 1e-5
        difference = (energy.at(u + h * d).value - energy.at(u - h * d).value) / (2 * h)
        slope = (point.gradient.double() * d.double()).flatten(1).sum(1)
        assert _close(difference, slope, 1e-5), f"gradient: finite differences {difference}, <g, d> {slope}"


def check_ray(energy: Energy, u: Tensor, directions: tuple[Tensor, ...], *, quadratic: bool) -> None:
    """Value, slope, curvature and move along rays of one and several directions."""
    point = energy.at(u)
    for used in (directions[:1], directions):
        ray = point.along(*used)
        batch, count = u.shape[0], len(used)
        zero = torch.zeros(batch, count, dtype=torch.float64)
        tau = 0.7 * random_like((batch, count), 11)
        there = u + sum(tau[:, j].view(-1, *(1,) * (u.ndim - 1)) * used[j] for j in range(count))
        assert _close(ray.value(zero), point.value, 1e-10), "ray.value(0) is not point.value"
        assert _close(ray.value(tau), energy.at(there).value, 1e-9), "ray.value(tau) is not E(u + tau d)"
        slopes = torch.stack([(point.gradient * d).flatten(1).sum(1) for d in used], dim=1)
        assert ray.slope.dtype == torch.float64
        assert _close(ray.slope, slopes, 1e-9), "slope is not <gradient, d>"
        assert ray.curvature.shape == (batch, count, count)
        assert _close(ray.curvature, ray.curvature.mT, 1e-12), "the curvature is not symmetric"
        eigenvalues = torch.linalg.eigvalsh(ray.curvature)
        assert float(eigenvalues.min()) >= -1e-10 * float(eigenvalues.abs().max()), "the curvature is indefinite"
        _check_move(energy, ray, tau, there)
        if quadratic:
            model = point.value + (ray.slope * tau).sum(1)
            model = model + 0.5 * torch.einsum("bi,bij,bj->b", tau, ray.curvature, tau)
            assert _close(model, energy.at(there).value, 1e-9), "the curvature of a quadratic is not exact"


def _check_move(energy: Energy, ray: Ray, tau: Tensor, there: Tensor) -> None:
    moved, fresh = ray.move(tau), energy.at(there)
    assert _close(moved.u, there, 1e-12)
    assert _close(moved.value, fresh.value, 1e-9)
    assert _close(moved.gradient, fresh.gradient, 1e-9)
    assert (moved.residual is None) == (fresh.residual is None)
    assert (moved.discrepancy is None) == (fresh.discrepancy is None)
    if moved.residual is not None and fresh.residual is not None:
        assert _close(moved.residual, fresh.residual, 1e-9)
    assert moved.last_step is not None, "move must keep the way taken"
    # The way just taken may be known already; what it gives as a direction must be the same.
    again = random_like(tuple(there.shape), 23)
    old, new = moved.along(moved.last_step, again), fresh.along(moved.last_step, again)
    assert _close(old.slope, new.slope, 1e-9)
    assert _close(old.curvature, new.curvature, 1e-9)


def check_convex(energy: Energy, u: Tensor, d: Tensor) -> None:
    """Second differences along a line are >= 0, and so is every chord above the graph."""
    ray = energy.at(u).along(d)
    taus = torch.linspace(-2, 2, 21, dtype=torch.float64)
    values = torch.stack([ray.value(t.expand(u.shape[0], 1)) for t in taus])
    scale = float(values.abs().max())
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    assert float(second.min()) >= -1e-10 * scale, f"not convex: second difference {float(second.min()):.1e}"


def check_lipschitz(energy: Energy, u: Tensor, d: Tensor) -> None:
    """``||grad E(u + d) - grad E(u)|| <= L ||d||``; L may be a close estimate from below (power iterations)."""
    stated = energy.lipschitz_at(u)
    # What is only measured at u holds about u.
    for scale in (1e-3,) if energy.lipschitz is None else (1e-3, 1.0):
        change = energy.at(u + scale * d).gradient - energy.at(u).gradient
        ratio = torch.linalg.vector_norm(change.flatten(1), dim=1)
        ratio = ratio / torch.linalg.vector_norm(scale * d.flatten(1), dim=1)
        assert float(ratio.max()) <= 1.02 * stated, f"{float(ratio.max())} > {stated}"


def check_reach(energy: Energy, u: Tensor) -> None:
    """The cut on the sphere: exactly there, the first one, 0 when already inside, NaN when missed."""
    leaf = u.clone().requires_grad_()
    start = energy.at(leaf).discrepancy
    if start is None:
        ray, one = energy.at(u).along(u), torch.ones(u.shape[0], 1, dtype=torch.float64)
        assert ray.discrepancy(one) is None
        assert ray.reach(one, one[:, 0]) is None
        return
    (uphill,) = torch.autograd.grad(start.sum(), leaf)
    start = start.detach()
    ray = energy.at(u).along(-uphill)
    # The square of the discrepancy is a parabola; its least value lies at ``best``.
    squares = []
    for t in (-1.0, 0.0, 1.0):
        one = ray.discrepancy(torch.full((u.shape[0], 1), t, dtype=torch.float64))
        assert one is not None
        squares.append(one**2)
    best = ((squares[0] - squares[2]) / (2 * (squares[0] - 2 * squares[1] + squares[2])))[:, None]
    least, along = ray.discrepancy(best), ray.discrepancy(0 * best)
    assert least is not None
    assert along is not None
    assert _close(along, start, 1e-10)
    delta = 0.5 * (start + least)
    cut = ray.reach(1.8 * best, delta)
    assert cut is not None
    assert bool(((cut > 0) & (cut < 1)).all())
    reached = ray.discrepancy(cut[:, None] * 1.8 * best)
    assert reached is not None
    assert _close(reached, delta, 1e-9), "the cut is not on the sphere"
    earlier = ray.discrepancy(0.999 * cut[:, None] * 1.8 * best)
    assert earlier is not None
    assert bool((earlier > delta).all()), "the cut is not the first one"
    moved = ray.move(cut[:, None] * 1.8 * best).discrepancy
    assert moved is not None
    assert _close(moved, delta, 1e-9)
    inside, missed = ray.reach(best, 1.1 * start), ray.reach(best, 0.5 * least)
    assert inside is not None
    assert missed is not None
    assert bool((inside == 0).all())
    assert bool(torch.isnan(missed).all())


def check_samples_independent(energy: Energy, single: list[Energy], u: Tensor) -> None:
    """Each sample of a batch has the value and gradient it has alone, where ``single[i]`` knows only sample i."""
    point = energy.at(u)
    for i, alone in enumerate(single):
        other = alone.at(u[i : i + 1])
        assert _close(point.value[i : i + 1], other.value, 1e-10)
        assert _close(point.gradient[i : i + 1], other.gradient, 1e-10)
