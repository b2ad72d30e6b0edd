"""Training states on the descent path (paper, section 4.2), at no extra cost.

The paper renews its training distribution now and then by running the descent with the current network. Here a pool
of states is moved along by the training itself: the step's own forward pass gives the direction, the solver's step
search advances the states by one iteration, and a state that is certified, too old, or out of luck is replaced by
a new problem started at zero. So the states are always those of the current network.

A step asks no tensor for its value, so on a GPU nothing waits. The residual travels with the image, as does the image
of the last step in the data; a step then costs the network, two projections, a back projection and a filtered one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.descent.descend import DEFAULT_ZETA
from ctrecon.descent.dissipation import HalfSpace, dissipate
from ctrecon.networks.looks import LOOKS
from ctrecon.networks.slices import fitted
from ctrecon.networks.symmetries import SYMMETRIES, turned, turned_back
from ctrecon.training.moves import Quadratic, met, whole_answer
from ctrecon.training.starts import StartMaker, Starts, generator

REUSE = 6
ITERATIONS = 5
"""How often each start is used on average, and how many steps a state takes from start to end."""


class States:
    """Unfinished reconstructions of some starts, all tensors ``[batch, ...]``; ``index`` says which starts they are."""

    def __init__(self, starts: Starts, batch: int, random: torch.Generator) -> None:
        self._starts, self._random = starts, random
        device = starts.truth.device
        self.index = torch.randint(starts.count, (batch,), generator=random, device=device)
        self.u = starts.truth.new_zeros((batch, *starts.truth.shape[1:]))
        self.residual = -starts.data[self.index]
        self.last_step, self.last_image = torch.zeros_like(self.u), torch.zeros_like(self.residual)
        self.age = torch.zeros(batch, dtype=torch.int64, device=device)

    def move(self, step: Tensor, image: Tensor) -> None:
        """Go ``step``, whose projection is ``image``."""
        self.u, self.residual = self.u + step, self.residual + image
        self.last_step, self.last_image, self.age = step, image, self.age + 1

    def replace(self, done: Tensor) -> None:
        """Start anew, with other problems, where ``done`` ``[batch]``."""
        index = torch.randint(self._starts.count, done.shape, generator=self._random, device=done.device)
        self.index = torch.where(done, index, self.index)
        self.age = torch.where(done, 0, self.age)
        there = done.view(-1, *(1,) * (self.u.ndim - 1))
        self.u, self.last_step = torch.where(there, 0.0, self.u), torch.where(there, 0.0, self.last_step)
        self.residual = torch.where(there, -self._starts.data[self.index], self.residual)
        self.last_image = torch.where(there, 0.0, self.last_image)


class Lane:
    """Starts of one scanner and the states on their way from them."""

    def __init__(self, starts: Starts, batch: int, rng: np.random.Generator, *, most_steps: int, renew: float) -> None:
        self.starts, self._most_steps, self._renew = starts, most_steps, renew
        self.random = generator(rng, starts.truth.device)
        self.states = States(starts, batch, self.random)
        # Weights are at most 1, so this is the energy's Lipschitz constant.
        self.lipschitz = starts.scanner.operator.norm() ** 2

    def loss(self, network: nn.Module, which: int) -> Tensor:
        """Mean error in dB of the images one network step ahead, seen in one mirror image; the states move on."""
        s, now = self.starts, self.states
        operator, truth, weights = s.scanner.operator, s.truth[now.index], s.weights[now.index]
        g = -operator.adjoint(weights * now.residual)
        inputs = torch.cat(
            [
                now.u, g / self.lipschitz, s.scanner.precondition(-now.residual), s.unexplained[now.index],
                s.smooth[now.index] - now.u,
            ],
            dim=1,
        )  # fmt: skip
        z = turned_back(fitted(network, truth.ndim - 2)(turned(inputs, which)), which)
        d = dissipate(HalfSpace(DEFAULT_ZETA / self.lipschitz), z, g)
        error = (now.u + d - truth).square().flatten(1).mean(1)
        loss = 10 * torch.log10(error / truth.square().flatten(1).mean(1) + 1e-9)
        with torch.no_grad():
            self._advance(d.detach(), g, weights)
        return loss.mean()

    def _advance(self, d: Tensor, g: Tensor, weights: Tensor) -> None:
        now, operator = self.states, self.starts.scanner.operator
        images = (operator(d), operator(g), now.last_image)
        energy = Quadratic.along(now.residual, weights, images)
        own = torch.zeros(len(d), 3, dtype=torch.float64, device=d.device)
        own[:, 0] = 1 / (now.age + 1)
        delta = self.starts.delta[now.index]
        tau = whole_answer(energy, own, delta)
        done = met(energy.at(tau), delta)
        now.move(_combined(tau, (d, g, now.last_step)), _combined(tau, images))
        done = (done & (now.age >= LOOKS)) | (now.age >= self._most_steps)
        done = done | (torch.rand(done.shape, generator=self.random, device=done.device) < self._renew)
        done = done | ~torch.isfinite(now.u).flatten(1).all(1) | ~torch.isfinite(tau).all(1)
        now.replace(done)


def _combined(tau: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
    total = torch.zeros_like(parts[0])
    for j, part in enumerate(parts):
        total = torch.addcmul(total, tau[:, j].to(part).view(-1, *(1,) * (part.ndim - 1)), part)
    return total


class PathPool:
    """Lanes of states; a step draws one of them, and after its ``use`` steps a lane gives way to one of new starts.

    ``maker`` gives the starts, ``lanes`` of them at a time. A lane is used until each of its starts was used about
    ``reuse`` times. A step takes as many states as cost what ``batch`` of 164 x 164 pixels do.
    """

    def __init__(
        self, maker: StartMaker, *, share: float = 1.0, lanes: int = 1, reuse: float = REUSE, most_steps: int = 10,
        renew: float = 0.05, by_cost: bool = False,
    ) -> None:
        self.share, self._maker, self._reuse = share, maker, reuse
        self._count, self._most_steps, self._renew, self._by_cost = lanes, most_steps, renew, by_cost
        self.lanes: list[Lane] = []
        self._left: list[float] = []

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """Mean error in dB of the images one network step ahead; the states move on by one solver step."""
        k = int(rng.integers(self._count))
        if k >= len(self.lanes) and self.lanes and not self._maker.ready:
            k %= len(self.lanes)
        if k >= len(self.lanes):
            k = len(self.lanes)
            self.lanes.append(self._lane(batch, rng))
            self._left.append(self._uses(k, rng.uniform(0.2, 1.0)))
        elif self._left[k] <= 0 and self._maker.ready:
            new = self._lane(batch, rng)
            if new.starts.truth.device.type == "cuda":
                # The old starts' memory belongs to the stream that made them; this one must be done with it first.
                torch.cuda.current_stream(new.starts.truth.device).synchronize()
            self.lanes[k] = new
            self._left[k] = self._uses(k, 1.0)
        self._left[k] -= 1
        # All of one batch in the same mirror image, which any of them may be seen in later.
        return self.lanes[k].loss(network, int(rng.integers(SYMMETRIES)))

    def _lane(self, batch: int, rng: np.random.Generator) -> Lane:
        starts = self._maker.make(rng)
        pixels = math.prod(starts.scanner.grid.shape)
        count = max(1, round(batch * 164**2 / pixels)) if self._by_cost else batch
        return Lane(starts, count, rng, most_steps=self._most_steps, renew=self._renew)

    def _uses(self, k: int, share: float) -> float:
        lane = self.lanes[k]
        return max(1.0, share * self._reuse * ITERATIONS * lane.starts.count / len(lane.states.u))
