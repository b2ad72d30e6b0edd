"""The 2-D toy of Figures 2 and 3: two pixels, one measurement of their sum, and examples of what an image looks like.

``u1 + u2 = 5`` has a line of solutions. Examples lie near (0, 5); a small network learns directions that lead there,
first from the states that gradient descent visits, then also from its own (section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse
import torch
from torch import Tensor, nn

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import Direction, NegativeGradient
from ctrecon.descent.dissipation import DissipationSet, HalfSpace, dissipate
from ctrecon.descent.step import Armijo
from ctrecon.energies.base import Point
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.operators.sparse import SparseOperator

SUM = 5.0
# A fifth of the way in each step, so that there is a path to look at.
SHARE = 0.2
# L = ||A||^2 = 2, and 0.1 / L is what `descend` takes by default.
LIPSCHITZ, ZETA = 2.0, 0.05
SCALED, AS_PRINTED = HalfSpace(ZETA), HalfSpace(ZETA, as_printed=True)
ITERATIONS = 60
# Where the drawn paths begin: `[4, 1, 1, 2]`.
CORNERS = torch.tensor([[0.0, 0.0], [2.0, 1.0], [2.5, -1.5], [-2.0, 1.0]]).view(-1, 1, 1, 2)

_A = SparseOperator(scipy.sparse.csr_matrix([[1.0, 1.0]]), (1, 1, 2), (1, 1, 1))


def energy_for(batch: int) -> LeastSquares:
    """``E(u) = 1/2 (u1 + u2 - 5)^2`` for images ``[batch, 1, 1, 2]``."""
    return LeastSquares(_A, torch.full((batch, 1, 1, 1), SUM))


def examples(generator: torch.Generator, count: int = 200) -> Tensor:
    """What images look like: points of the line close to (0, 5), ``[count, 1, 1, 2]``."""
    across = 0.35 * torch.randn(count, generator=generator)
    return torch.stack([across, SUM - across], dim=1).view(-1, 1, 1, 2)


class Knowing(nn.Module):
    """Sees the two pixels and the gradient, and proposes a step towards what it learned."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, point: Point) -> Tensor:
        """Propose a step.

        Args:
            point: The energy at images of two pixels.

        Returns:
            The direction, of the shape of ``point.u``.
        """
        answer: Tensor = self.layers(torch.cat([point.u, point.gradient], dim=-1) / SUM)
        return SHARE * answer


class Slowly(NegativeGradient):
    """Gradient descent with a fifth of the step that would end it at once."""

    def __call__(self, point: Point) -> Tensor:
        return SHARE / LIPSCHITZ * super().__call__(point)


def path(direction: Direction, starts: Tensor, where: DissipationSet) -> list[Iterate]:
    """Algorithm 1 from every start at once."""
    energy = energy_for(len(starts))
    return list(descend(energy, direction, starts, dissipation=where, step=Armijo(), most_iterations=ITERATIONS))


@dataclass(frozen=True)
class Trained:
    """The networks after each round of training: the first on gradient descent's states, each next also on its own."""

    examples: Tensor
    rounds: tuple[Knowing, ...]


def train(
    where: DissipationSet, *, seed: int = 0, rounds: int = 3, steps: int = 200, spread: float = 0.3
) -> Trained:
    """Train in ``rounds``; after each, the states that the network visits join those to learn from.

    Descents start within ``spread`` or so of zero. The smaller, the less of the plane gradient descent visits, and the
    further the first network's guess goes astray.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = examples(generator)
    starts = spread * torch.randn(100, 1, 1, 2, generator=generator)
    network = _seeded(seed)
    states = _visited(Slowly(), starts, where)
    found: list[Knowing] = []
    for _ in range(rounds):
        _train_round(network, states, wanted, where, generator, steps)
        kept = Knowing()
        kept.load_state_dict(network.state_dict())
        found.append(kept.requires_grad_(False))
        states = torch.cat([states, _visited(network, starts, where)])
    return Trained(wanted, tuple(found))


def _seeded(seed: int) -> Knowing:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Knowing()


def _visited(direction: Direction, starts: Tensor, where: DissipationSet) -> Tensor:
    return torch.cat([iterate.u for iterate in path(direction, starts, where)])


def _train_round(
    network: Knowing, states: Tensor, wanted: Tensor, where: DissipationSet, generator: torch.Generator, steps: int
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(steps):
        u = states[torch.randint(len(states), (128,), generator=generator)]
        goal = wanted[torch.randint(len(wanted), (128,), generator=generator)]
        point = energy_for(len(u)).at(u)
        d = dissipate(where, network(point), -point.gradient)
        loss = (d - SHARE * (goal - u)).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def largest_rise(iterates: list[Iterate]) -> float:
    """The most that E rises in any step of any path; <= 0 where it never does."""
    values = torch.stack([iterate.point.value for iterate in iterates])
    return float((values[1:] - values[:-1]).max())


def ends(iterates: list[Iterate], wanted: Tensor) -> tuple[float, float]:
    """How far from solving the problem, and from the mean example, the paths end, at worst."""
    u = iterates[-1].u.flatten(1)
    unsolved = float((u.sum(1) - SUM).abs().max())
    return unsolved, float((u - wanted.mean(0).flatten()).norm(dim=1).max())


def field_on_the_line(network: Knowing, wanted: Tensor, where: DissipationSet) -> float:
    """The cosine between the direction and the way to the mean example, at worst, on solutions away from it.

    There the gradient vanishes, so the data are content with any direction.
    """
    across = torch.cat([torch.linspace(-2.5, -1.0, 7), torch.linspace(1.0, 4.0, 13)])
    u = torch.stack([across, SUM - across], dim=1).view(-1, 1, 1, 2)
    point = energy_for(len(u)).at(u)
    with torch.no_grad():
        d = dissipate(where, network(point), -point.gradient).flatten(1)
    return float(torch.nn.functional.cosine_similarity(d, wanted.mean(0).flatten() - u.flatten(1)).min())
