"""
The method on two pixels: the paper's figure 3
==============================================

One measurement, the sum of two pixels, has a line of solutions. Gradient descent ends at the nearest, a network
trained on examples at the likely ones; its directions are bent so that the energy falls at every step.
"""

import matplotlib.pyplot as plt
import scipy.sparse
import torch

from ctrecon.descent.descend import default_set, descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.dissipation import dissipate
from ctrecon.descent.step import Armijo
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.operators.sparse import SparseOperator

torch.manual_seed(0)
A = SparseOperator(scipy.sparse.csr_matrix([[1.0, 1.0]]), (1, 1, 2), (1, 1, 1))
across = 0.35 * torch.randn(200)
examples = torch.stack([across, 5 - across], dim=1).view(-1, 1, 1, 2)
network = torch.nn.Sequential(torch.nn.Linear(4, 48), torch.nn.SiLU(), torch.nn.Linear(48, 48), torch.nn.SiLU(),
                              torch.nn.Linear(48, 2))


def energy_for(u):
    return LeastSquares(A, torch.full((len(u), 1, 1, 1), 5.0))


def learned(point):
    """A fifth of the way, so that there is a path to look at."""
    return 0.2 * network(torch.cat([point.u, point.gradient], dim=-1) / 5)


def slowly(point):
    return 0.1 * NegativeGradient()(point)


def bent(direction, u):
    point = energy_for(u).at(u)
    return dissipate(default_set(energy_for(u), u), direction(point), -point.gradient)


def path(direction, start):
    return list(descend(energy_for(start), direction, start, step=Armijo(), most_iterations=50))


# %%
# The loss is of the *bent* direction. States to learn from are those that gradient descent visits, then also its own.

starts = 1.5 * torch.randn(60, 1, 1, 2)
states = torch.cat([iterate.u for iterate in path(slowly, starts)])
optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
for _ in range(2):
    for _ in range(200):
        u = states[torch.randint(len(states), (128,))]
        loss = (bent(learned, u) - 0.2 * (examples[torch.randint(200, (128,))] - u)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    states = torch.cat([states, *(iterate.u for iterate in path(learned, starts))])

ticks = torch.linspace(-2.5, 6.5, 15)
x, y = torch.meshgrid(ticks, ticks, indexing="xy")
u = torch.stack([x.flatten(), y.flatten()], dim=1).view(-1, 1, 1, 2)
corners = torch.tensor([[0.0, 0.0], [2.0, 1.0], [2.5, -1.5], [-2.0, 1.0]]).view(-1, 1, 1, 2)
fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, direction, title in zip(axes, (slowly, learned), ("gradient descent", "network, bent"), strict=True):
    with torch.no_grad():
        d = bent(direction, u).view(15, 15, 2)
    d = d / (d.norm(dim=-1, keepdim=True) + 1e-9).sqrt()
    drawn = ax.contourf(x, y, energy_for(u).at(u).value.view(15, 15).sqrt(), levels=20, cmap="Blues")
    ax.quiver(x, y, d[..., 0], d[..., 1], color="0.45", width=0.004, scale=20)
    ax.plot([-2, 7], [7, -2], color="black", linewidth=1, label="$u_1 + u_2 = 5$")
    ax.scatter(*examples[:60].view(-1, 2).T, marker="x", color="tab:red", linewidth=0.8, label="examples")
    for line in torch.stack([iterate.u.flatten(1) for iterate in path(direction, corners)], dim=1):
        ax.plot(*line.T, "o-", color="tab:orange", markersize=2.5)
    ax.set(title=title, xlabel="$u_1$", ylabel="$u_2$", xlim=(-2.5, 6.5), ylim=(-2.5, 6.5), aspect="equal")
axes[0].legend(loc="upper right", fontsize=8)
fig.colorbar(drawn, ax=axes, label=r"$\sqrt{E}$", shrink=0.8)
plt.show()
