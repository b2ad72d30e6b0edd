"""How small a linear measurement ``<c, u>`` can be over an ``ImageSet``, from below (proved) and from above (found).

The saddle point ``min_u max_(y, p) <c, u> + <y, W^(1/2) (A u - f)> - delta ||y|| + <p, D u> - kappa max_j |p_j|`` over
the box, by the primal-dual hybrid gradient method (A. Chambolle, T. Pock, J. Math. Imaging Vis. 40, 2011) in its
reflected Halpern form with restarts (H. Lu, J. Yang, "Restarted Halpern PDHG for linear programming", 2024) and the
balance of primal and dual steps of PDLP (D. Applegate et al., NeurIPS 2021). Any ``y, p`` it leaves are a bound: what
rounds or has not converged makes the bound weaker, never wrong, and ``certificates/interval.py`` computes it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ctrecon.auditing.image_set import ImageSet
from ctrecon.auditing.norms import ROUGH
from ctrecon.energies.huber_tv import differences, differences_adjoint, magnitude

CHECK = 50
"""Iterations between two looks at the bounds."""
# When to restart (of the fixed-point residual at the last one), as Lu and Yang have it.
ENOUGH, SOME, SHARE = 0.2, 0.8, 0.36
# Measured at 164 x 164 with 120 views: 1 leaves the dual side behind, 0.2 the primal one. Short runs say nothing.
BALANCE, SHORTEST = 0.5, 30
# The image is ahead of the duals when it causes less than this share of the gap; then its steps are made longer.
AHEAD, CALMER = 0.2, 0.7


@dataclass(frozen=True, kw_only=True)
class Ends:
    """For each functional of the batch: ``y [batch, 1, views, detectors]`` (whitened) and ``p [batch, 2, rows,
    columns]``, the bound they give as the solver's precision computes it, and the smallest ``<c, u>`` of an image in
    the set (inf where none was found). ``bound``, ``found`` ``[batch]``, float64.
    """

    y: Tensor
    p: Tensor
    bound: Tensor
    found: Tensor
    iterations: Tensor


Finished = Callable[[Tensor, Tensor], Tensor]
"""From the bounds and the values found of all functionals, ``[batch]`` each, which of them need no more work."""


def smallest(
    images: ImageSet,
    c: Tensor,
    *,
    finished: Finished,
    inside: Tensor | None = None,
    start: Tensor | None = None,
    duals: tuple[Tensor, Tensor] | None = None,
    most_iterations: int = 6000,
    watch: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Ends:
    """Bound linear measurements from below over a set of images, all at once; the method is that of the file's head.

    Args:
        images: The set: data, delta, kappa and box.
        c: What is measured, ``<c_i, u>``: ``[batch, 1, rows, columns]``.
        finished: Is asked every 50 iterations which of them are done.
        inside: An image in the interior of the set, ``[1, 1, rows, columns]``: with it values are found, too.
        start: An image to begin at; None for ``inside``.
        duals: ``y`` and ``p`` to begin at, as ``Ends`` has them; None for zero.
        most_iterations: At most.
        watch: Hears every 50 iterations of the bounds and of the values found, both ``[batch]``.

    Returns:
        The best duals of each, their bounds, the smallest values found, and the iterations.
    """
    begin = start if start is not None else inside
    state = _State(images, c, inside, begin, duals)
    batch = c.shape[0]
    best = Ends(
        y=c.new_zeros((batch, *images.data.shape[1:])),
        p=c.new_zeros((batch, 2, *c.shape[2:])),
        bound=torch.full((batch,), -math.inf, dtype=torch.float64),
        found=torch.full((batch,), math.inf, dtype=torch.float64),
        iterations=torch.zeros(batch, dtype=torch.int64),
    )
    going = torch.arange(batch)
    for k in range(1, most_iterations + 1):
        state.step(k)
        if k % CHECK and k != most_iterations:
            continue
        bound, y, p = state.dual()
        found = state.found()
        state.compare(bound, found)
        better = bound > best.bound[going]
        best.y[going[better]], best.p[going[better]] = y[better], p[better]
        best.bound[going] = torch.maximum(best.bound[going], bound)
        best.found[going] = torch.minimum(best.found[going], found)
        best.iterations[going] = k
        if watch is not None:
            watch(k, best.bound, best.found)
        done = finished(best.bound, best.found)[going]
        if bool(done.all()):
            break
        if bool(done.any()):
            going = going[~done]
            state.keep(~done)
    return best


@dataclass
class _Point:
    """``x``, the duals, and ``K^T (y, p)``, carried along because it is linear."""

    x: Tensor
    y: Tensor
    p: Tensor
    back: Tensor

    def mix(self, a: Tensor, other: _Point, b: Tensor) -> _Point:
        return _Point(*(a * getattr(self, f.name) + b * getattr(other, f.name) for f in fields(self)))

    def where(self, chosen: Tensor, other: _Point) -> _Point:
        """``self`` where ``chosen``, else ``other``."""
        return _Point(*(torch.where(chosen, getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))

    def keep(self, samples: Tensor) -> _Point:
        return _Point(*(getattr(self, f.name)[samples] for f in fields(self)))


class _State:
    """Everything scaled: values of the image to the box, both operators and the functional to norm 1."""

    def __init__(
        self, images: ImageSet, c: Tensor, inside: Tensor | None, begin: Tensor | None,
        duals: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.images, self.operator = images, images.operator
        self.unit = max(abs(images.lo), abs(images.hi))
        self.lo, self.hi = images.lo / self.unit, images.hi / self.unit
        data, both = images.norms
        self.measure, self.rough = 1 / data, ROUGH
        self.norm = 1.05 * both
        self.g = self._whiten(images.data) * (self.measure / self.unit)
        self.delta = images.delta * self.measure / self.unit
        self.kappa = images.kappa * self.rough / self.unit
        self.size = _length(c)
        self.c = c / _wide(self.size)
        x = torch.zeros_like(c) if begin is None else (begin / self.unit).expand_as(c).clamp(self.lo, self.hi)
        y, p = c.new_zeros((len(c), *images.data.shape[1:])), c.new_zeros((len(c), 2, *c.shape[2:]))
        back = torch.zeros_like(c)
        if duals is not None:
            y, p = duals[0] / (_wide(self.size) * self.measure), duals[1] / (_wide(self.size) * self.rough)
            back = self._back(y, p)
        self.now = _Point(x, y, p, back)
        self.anchor = self.last = self.now
        self.x0 = None if inside is None else inside / self.unit
        self.count, self.first, self.before = (c.new_zeros(len(c)) for _ in range(3))
        self.theta, self.ahead = c.new_zeros(len(c)), torch.zeros(len(c), dtype=torch.bool, device=c.device)
        typical = float(_length(x[:1])) or 1.0
        self.omega = c.new_full((len(c),), 50 / typical)

    def _whiten(self, r: Tensor) -> Tensor:
        return r if self.images.root is None else self.images.root * r

    def _A(self, x: Tensor) -> Tensor:
        return self._whiten(self.operator(x)) * self.measure

    def _D(self, x: Tensor) -> Tensor:
        return torch.cat(differences(x), dim=1) * self.rough

    def _back(self, y: Tensor, p: Tensor) -> Tensor:
        through = self.operator.adjoint(self._whiten(y)) * self.measure
        return through + differences_adjoint((p[:, :1], p[:, 1:])) * self.rough

    def step(self, k: int) -> None:
        new, length = self._turn()
        self.count += 1
        self.first = torch.where(self.count == 1, length, self.first)
        restart = (length <= ENOUGH * self.first) | ((length <= SOME * self.first) & (length > self.before))
        restart = (restart | (self.count >= SHARE * k)) & (self.count > 1)
        self.before = length
        if bool(restart.any()):
            self._rebalance(new, restart)
        w = _wide(self.count / (self.count + 1))
        moved = new.mix(2 * w, self.now, -w).mix(torch.ones_like(w), self.anchor, 1 - w)
        chosen = _wide(restart)
        self.now, self.anchor = new.where(chosen, moved), new.where(chosen, self.anchor)
        self.count = torch.where(restart, torch.zeros_like(self.count), self.count)
        self.last = new

    def _turn(self) -> tuple[_Point, Tensor]:
        """One step of the plain method, and its length in the norm in which the method contracts."""
        now = self.now
        tau, sigma = 1 / (self.omega * self.norm), self.omega / self.norm
        x = (now.x - _wide(tau) * (self.c + now.back)).clamp_(self.lo, self.hi)
        ahead = 2 * x - now.x
        y = now.y + _wide(sigma) * (self._A(ahead) - self.g)
        y = y * _wide((1 - sigma * self.delta / _length(y).clamp_min(1e-30)).clamp_min(0))
        p = now.p + _wide(sigma) * self._D(ahead)
        sizes = magnitude((p[:, :1], p[:, 1:]))
        self.theta = _level(sizes, sigma * self.kappa, self.theta)
        p = p * (_wide(self.theta) / sizes.clamp_min(1e-30)).clamp_max(1)
        new = _Point(x, y, p, self._back(y, p))
        dx, dk = x - now.x, new.back - now.back
        duals = _length(y - now.y).square() + _length(p - now.p).square()
        square = self.norm * (self.omega * _length(dx).square() + duals / self.omega) - 2 * (dx * dk).flatten(1).sum(1)
        return new, square.clamp_min(0).sqrt()

    def _rebalance(self, new: _Point, restart: Tensor) -> None:
        primal = _length(new.x - self.anchor.x)
        dual = (_length(new.y - self.anchor.y).square() + _length(new.p - self.anchor.p).square()).sqrt()
        known = restart & (self.count >= SHORTEST) & (primal > 1e-10) & (dual > 1e-10)
        change = (BALANCE * dual / primal.clamp_min(1e-30) / self.omega).clamp(0.1, 10).sqrt()
        # Near the end the image hardly moves while the duals, which are not unique, still do: PDLP's rule would then
        # make the image's steps, and with them what the duals learn of it, ever smaller.
        change = torch.where(self.ahead, CALMER, change)
        self.omega = torch.where(known | (restart & self.ahead), self.omega * change, self.omega)

    def dual(self) -> tuple[Tensor, Tensor, Tensor]:
        """The bound that the last step's duals give, and these in the units of the problem."""
        z = self.last
        s = (self.c + z.back).double()
        value = torch.minimum(self.lo * s, self.hi * s).flatten(1).sum(1) - (z.y.double() * self.g).flatten(1).sum(1)
        steepest = magnitude((z.p[:, :1], z.p[:, 1:])).flatten(1).amax(1).double()
        value = value - self.delta * _length(z.y.double()) - self.kappa * steepest
        back = _wide(self.size)
        return value.cpu() * self._value_unit(), z.y * (back * self.measure), z.p * (back * self.rough)

    def found(self) -> Tensor:
        """``<c, u>`` for ``u`` between the image inside and the last one, as far towards it as the set allows."""
        if self.x0 is None:
            return torch.full(self.size.shape, math.inf, dtype=torch.float64)
        x = self.last.x
        r0 = (self._A(self.x0) - self.g).double()
        step = (self._A(x) - self.g).double() - r0
        # ||r0 + t step|| = delta; the margin is for float32's rounding.
        a, b = step.square().flatten(1).sum(1), (step * r0).flatten(1).sum(1)
        room = ((self.delta * (1 - 1e-5)) ** 2 - r0.square().sum()).clamp_min(0)
        t = (room / (b + (b.square() + a * room).clamp_min(0).sqrt()).clamp_min(1e-300)).clamp_max(1)
        # TV(x0 + t (x - x0)) is convex in t and within kappa at 0: the largest t that also is, by halving.
        low, high, d0 = torch.zeros_like(t), t, differences(self.x0.double())
        way = tuple(d - one for d, one in zip(differences(x.double()), d0, strict=True))
        t = high
        for _ in range(12):
            tv = magnitude(tuple(one + _wide(t) * d for one, d in zip(d0, way, strict=True))).flatten(1).sum(1)
            fits = tv * self.rough <= self.kappa * (1 - 1e-9)
            low, high = torch.where(fits, t, low), torch.where(fits, high, t)
            t = (low + high) / 2
        t = low
        c = self.c.double()
        here, there = (c * self.x0).flatten(1).sum(1), (c * x).flatten(1).sum(1)
        return (here + t * (there - here)).cpu() * self._value_unit()

    def compare(self, bound: Tensor, found: Tensor) -> None:
        """Whether the image, were it in the set, would be closer to the optimum than the duals are."""
        value = (self.c.double() * self.last.x).flatten(1).sum(1).cpu() * self._value_unit()
        self.ahead = (torch.isfinite(found) & ((found - value).abs() < AHEAD * (found - bound))).to(self.c.device)

    def _value_unit(self) -> Tensor:
        return self.size.double().cpu() * self.unit

    def keep(self, samples: Tensor) -> None:
        where = samples.to(self.c.device)
        for name in ("c", "size", "omega", "theta", "ahead", "count", "first", "before"):
            setattr(self, name, getattr(self, name)[where])
        for name in ("now", "anchor", "last"):
            setattr(self, name, getattr(self, name).keep(where))


def _length(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return length


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _level(sizes: Tensor, most: Tensor, start: Tensor) -> Tensor:
    """``theta >= 0`` with ``sum_j max(sizes_j - theta, 0) = most``, or 0 where the sum of all is less; ``[batch]``.

    Newton's method on a convex, piecewise linear function: exact after a few steps, for any start.
    """
    flat = sizes.flatten(1)
    theta, top = start, flat.amax(1)
    for _ in range(30):
        above = flat > theta[:, None]
        new = (((flat * above).sum(1) - most) / above.sum(1).clamp_min(1)).clamp_min(0)
        if bool(((new - theta).abs() <= 1e-6 * top).all()):
            return new
        theta = new
    return theta
