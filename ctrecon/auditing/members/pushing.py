"""Images of the set that lie far from a given one, in a way that is asked for.

The set ``||W^(1/2) (A u - f)|| <= delta`` is convex. A way to change an image much where the data see little of it is

    v = (A^T W A + eps I)^(-1) c,

the direction in which ``<c, u>`` grows most for its price in the misfit, where ``c`` asks for one place's contrast; and
whatever is added to an image, the descent takes back what the data speak against and leaves what they hardly see.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ctrecon.auditing.members.ground import Ground
from ctrecon.classical.box import fit_in_box
from ctrecon.energies.base import inner
from ctrecon.support.arrays import Float64Array

ITERATIONS, FIRST_ORDER = 60, 300
DAMPING, STEPS = 1e-3, 40
"""eps, as a share of the largest eigenvalue of A^T W A, and how many steps of conjugate gradients are taken."""
HALVINGS = 12
SLACK = 0.75
PERCENTILES = (2.0, 99.5)


def span(ground: Ground) -> float:
    """By how much an image is changed at most: the bulk of the certified image's values."""
    low, high = np.percentile(ground.evidence.image, PERCENTILES)
    return float(high - low) or float(np.abs(ground.evidence.image).max())


def smooth_field(shape: tuple[int, int], rng: np.random.Generator) -> Float64Array:
    """A smooth random field ``[rows, columns]`` of mean 0 and largest size 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), max(min(shape) / 16, 1.0), mode="wrap")
    field -= field.mean()
    return np.asarray(field / max(float(np.abs(field).max()), 1e-300))


def back_from(ground: Ground, change: Float64Array) -> Tensor:
    """The certified image plus ``change [rows, columns]``, taken back in the box until delta is met.

    By projected gradients with momentum (A. Beck and M. Teboulle, 2009), whose steps change nothing that no ray sees.
    Returns an image ``[1, 1, rows, columns]``; where delta is not met within the iterations, the last one.
    """
    (low, high), energy = ground.box, ground.problem.energy
    operator, data = ground.problem.operator, energy.data
    step = 1 / energy.lipschitz_at(ground.base)
    u = (ground.base + _image(ground, change)).clamp(low, high)
    r = operator(u) - data
    v, s, momentum = u, r, 1.0
    for _ in range(FIRST_ORDER):
        if float(inner(r, energy.weighted(r)).sqrt()) <= ground.problem.delta.value:
            break
        before, r_before = u, r
        u = (v - step * operator.adjoint(energy.weighted(s))).clamp(low, high)
        r = operator(u) - data
        after = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        beta, momentum = (momentum - 1) / after, after
        v, s = u + beta * (u - before), r + beta * (r - r_before)
    return u


def least_seen(ground: Ground, functional: Float64Array) -> Tensor:
    """``v [1, 1, rows, columns]``: the way in which the contrast ``c [rows, columns]`` grows most for its price."""
    energy, operator = ground.problem.energy, ground.problem.operator
    scale = 1.0 if energy.weights is None else float(energy.weights.double().mean())
    damping = DAMPING * scale * operator.norm() ** 2
    r = _image(ground, functional)
    v, p, size = torch.zeros_like(r), r, float(inner(r, r))
    first = size
    for _ in range(STEPS):
        seen = operator.adjoint(energy.weighted(operator(p))) + damping * p
        t = size / float(inner(p, seen))
        v, r = v + t * p, r - t * seen
        size, last = float(inner(r, r)), size
        if size <= 1e-8 * first:
            break
        p = r + size / last * p
    return v


def centre(ground: Ground) -> Tensor:
    """The certified image, taken down to ``SLACK`` of delta where it can be: from the rim of a set no way is long."""
    (low, high), delta = ground.box, ground.problem.delta.value
    inner_image = fit_in_box(
        ground.problem.energy, low, high, start=ground.base, delta=SLACK * delta, most_iterations=ITERATIONS
    ).image
    return inner_image if _misfit(ground, inner_image) <= delta else ground.base


def along(ground: Ground, way: Tensor) -> Tensor:
    """The farthest image from ``centre`` along ``way``, cut to the box, that was found to meet delta.

    No pixel changes by more than ``span``: where the data see nothing of the way, delta sets no end to it.
    """
    (low, high), delta = ground.box, ground.problem.delta.value
    start = centre(ground)
    near, far = 0.0, span(ground) / max(float(way.abs().max()), 1e-300)

    def at(t: float) -> Tensor:
        return (start + t * way).clamp(low, high)

    if _misfit(ground, at(far)) <= delta:
        return at(far)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if _misfit(ground, at(middle)) <= delta else (near, middle)
    return at(near)


def _image(ground: Ground, values: Float64Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[None, None].to(ground.base)


def _misfit(ground: Ground, image: Tensor) -> float:
    energy = ground.problem.energy
    residual = ground.problem.operator(image) - energy.data
    return float(inner(residual, energy.weighted(residual)).sqrt())
