"""Training states on the descent path (paper, section 4.2), at no extra cost.

The paper renews its training distribution now and then by running the descent with the current network. Here a pool
of states is moved along by the training itself: the step's own forward pass gives the direction, the solver's step
search advances the states by one iteration, and a state that is certified, too old, or out of luck is replaced by
a new problem started at zero. So the states are always those of the current network.

A step asks no tensor for its value, so on a GPU nothing waits. The residual travels with the image, as does the image
of the last step in the data; a step then costs the network, two projections, a back projection and a filtered one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.descent.descend import DEFAULT_ZETA
from ctrecon.descent.dissipation import HalfSpace, dissipate
from ctrecon.networks.looks import LOOKS
from ctrecon.networks.slices import fitted
from ctrecon.networks.symmetries import turned, turned_back
from ctrecon.training.lane_pool import LanePool
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

    @property
    def batch(self) -> int:
        return len(self.states.u)

    def loss(self, network: nn.Module, which: int) -> Tensor:
        """The error one network step ahead; the states move on.

        Args:
            network: The one that is trained.
            which: The mirror image in which it sees the problems, from 0 to 7.

        Returns:
            The mean over the batch in dB, ``10 log10(||u + d - truth||^2 / ||truth||^2)``, a scalar.
        """
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


class PathPool(LanePool[Starts, Lane]):
    """Lanes of states on the descent path.

    ``maker`` gives the starts, ``lanes`` of them at a time. A lane is used until each of its starts was used about
    ``reuse`` times. A step takes as many states as cost what ``batch`` of 164 x 164 pixels do, where ``by_cost``.
    """

    def __init__(
        self, maker: StartMaker[Starts], *, share: float = 1.0, lanes: int = 1, reuse: float = REUSE,
        most_steps: int = 10, renew: float = 0.05, by_cost: bool = False,
    ) -> None:
        def lane(starts: Starts, batch: int, rng: np.random.Generator) -> Lane:
            return Lane(starts, batch, rng, most_steps=most_steps, renew=renew)

        super().__init__(maker, lane, share=share, lanes=lanes, uses=reuse * ITERATIONS, by_cost=by_cost)
