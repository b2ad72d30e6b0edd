"""Training states on the descent path (paper, section 4.2), at no extra cost.

The paper renews its training distribution now and then by running the descent with the current network. Here a pool
of states is moved along by the training itself: the step's own forward pass gives the direction, the solver's step
search advances the states by one iteration, and a state that is certified, too old, or out of luck is replaced by
a new problem started at zero. So the states are always those of the current network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.classical.smooth import STRENGTH, smooth_image
from ctrecon.descent.descend import DEFAULT_ZETA
from ctrecon.descent.dissipation import HalfSpace, dissipate
from ctrecon.descent.step import WholeAnswers
from ctrecon.descent.stopping import Discrepancy
from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.direction import NetworkDirection
from ctrecon.networks.looks import LOOKS
from ctrecon.networks.symmetries import SYMMETRIES
from ctrecon.simulation.scanners import Scanner
from ctrecon.training.data import RandomNoise, Source

# Smooth images are solved for so many starts at once, and each start is used so often on average.
BATCH_OF_STARTS, REUSE = 6, 6


@dataclass
class State:
    """One unfinished reconstruction. Tensors are ``[1, 1, ...]``."""

    u: Tensor
    truth: Tensor
    data: Tensor
    weights: Tensor
    smooth: Tensor
    delta: float
    last_step: Tensor | None = None
    age: int = 0


class PathPool:
    """States of one problem. ``advance`` computes the loss on a few of them and moves them on."""

    def __init__(
        self, problem: Scanner, source: Source, noise: RandomNoise, *, size: int = 12, most_steps: int = 10,
        renew: float = 0.05,
    ) -> None:
        self.problem, self.share, self._source, self._noise = problem, problem.share, source, noise
        self._most_steps, self._renew = most_steps, renew
        self._states: list[State | None] = [None] * size
        self._fresh: list[State] = []
        self._left = 0

    def _new(self, rng: np.random.Generator) -> State:
        """A start at zero. Smooth images cost time: they are made for several at once, each used about six times."""
        if self._left == 0:
            made = self._made(BATCH_OF_STARTS, rng)
            self._fresh = (self._fresh + made)[-REUSE * BATCH_OF_STARTS :]
            self._left = REUSE * BATCH_OF_STARTS
        self._left -= 1
        return self._fresh[int(rng.integers(len(self._fresh)))]

    def _made(self, count: int, rng: np.random.Generator) -> list[State]:
        drawn = [self._source.draw(rng, self.problem) for _ in range(count)]
        measured = [self._noise.draw(rng, clean) for _, clean in drawn]
        truth = torch.cat([image for image, _ in drawn])
        data, weights = torch.cat([f for f, _ in measured]), torch.cat([w for _, w in measured])
        truth, data, weights = (part.to(self.problem.device) for part in (truth, data, weights))
        residual = self.problem.operator(truth) - data
        delta = inner(residual, weights * residual).sqrt()
        # Around the weight that is used later, so that the network does not rely on it.
        strength = torch.from_numpy(STRENGTH * np.exp(rng.uniform(-0.5, 0.5, count)))
        smooth = smooth_image(self.problem.tv_solver, data, delta, weights, strength=strength)
        zero = torch.zeros_like(truth[:1])
        return [
            State(zero, truth[i : i + 1], data[i : i + 1], weights[i : i + 1], smooth[i : i + 1], float(delta[i]))
            for i in range(count)
        ]

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """Mean error in dB of the images one network step ahead; the states move on by one solver step."""
        chosen = rng.choice(len(self._states), size=batch, replace=False)
        states = []
        for i in chosen:
            state = self._states[i] = self._states[i] or self._new(rng)
            states.append(state)
        u, truth = torch.cat([s.u for s in states]), torch.cat([s.truth for s in states])
        data, weights = torch.cat([s.data for s in states]), torch.cat([s.weights for s in states])
        energy = LeastSquares(self.problem.operator, data, weights)
        smooth = torch.cat([s.smooth for s in states])
        direction = NetworkDirection(network, energy, self.problem.precondition, smooth)
        point = energy.at(u)
        # All of one batch in the same mirror image, which any of them may be seen in later.
        z = direction.seen(point, int(rng.integers(SYMMETRIES)))
        g = -point.gradient
        d = dissipate(HalfSpace(DEFAULT_ZETA / energy.lipschitz), z, g)
        error = (u + d - truth).square().flatten(1).mean(1)
        power = truth.square().flatten(1).mean(1)
        with torch.no_grad():
            # States of different ages share a batch; a fresh one has no last step, which a zero stands for.
            last = torch.cat([torch.zeros_like(s.u) if s.last_step is None else s.last_step for s in states])
            ray = point.along(d.detach(), g, last)
            start = torch.zeros(batch, 3, dtype=torch.float64, device=u.device)
            start[:, 0] = 1 / torch.tensor([s.age + 1.0 for s in states])
            delta = torch.tensor([s.delta for s in states], dtype=torch.float64, device=u.device)
            stop, step = Discrepancy(delta, whole=True), WholeAnswers(delta.square() / 2)
            moved = ray.move(stop.shorten(ray, step(ray, start), start))
            self._keep(chosen, states, moved.u, moved.last_step, stop.met(moved), rng)
        return (10 * torch.log10(error / power + 1e-9)).mean()

    def _keep(
        self, chosen: np.ndarray, states: list[State], u: Tensor, step: Tensor | None, met: Tensor,
        rng: np.random.Generator,
    ) -> None:
        assert step is not None
        for row, (i, state) in enumerate(zip(chosen, states, strict=True)):
            done = (bool(met[row]) and state.age + 1 >= LOOKS) or state.age + 1 >= self._most_steps
            if done or rng.uniform() < self._renew or not bool(torch.isfinite(u[row]).all()):
                self._states[i] = None
                continue
            self._states[i] = State(
                u[row : row + 1].clone(), state.truth, state.data, state.weights, state.smooth, state.delta,
                step[row : row + 1].clone(), state.age + 1,
            )
