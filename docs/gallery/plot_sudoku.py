"""
Sudoku by energy dissipation
============================

The rules of Sudoku are convex sets, and the energy is the distance to them. Gradient descent ends in a mixture of
digits that keeps all rules on average; a network that knows the way leads the same energy to the solution.
"""

import matplotlib.pyplot as plt

from ctrecon.applications.sudoku.files import parse_puzzle
from ctrecon.applications.sudoku.solve import (
    CONE, NetworkDirection, Solved, energy_of, is_solved, load_sudoku_network, rounded, start_of,
)
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Armijo, ConstantStep

puzzle = parse_puzzle("000000061050700000200009000000800300401000000600000000000060080030040000020000700")[None]
energy = energy_of(puzzle)
network, _ = load_sudoku_network("sudoku-default")

plain = list(descend(energy, NegativeGradient(), start_of(puzzle), step=ConstantStep(1.0), most_iterations=40))
led = list(descend(energy, NetworkDirection(network, puzzle), start_of(puzzle), dissipation=CONE, step=Armijo(),
                   stop=(Solved(puzzle),), most_iterations=20))
ends = {"gradient descent": plain, "network": led}
for name, path in ends.items():
    solved = bool(is_solved(rounded(path[-1].u), puzzle)[0])
    print(f"{name:>16}: {path[-1].k} iterations, E = {float(path[-1].point.value[0]):.1e}, solved: {solved}")
assert is_solved(rounded(led[-1].u), puzzle)[0]

# %%
# Black digits are given. The others are the likeliest of each cell, the redder, the less likely.
# Whatever the direction, a grid counts as solved if it keeps the rules, and not otherwise (:doc:`/tutorial_sudoku`).

fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for ax, (name, path) in zip(axes, ends.items(), strict=False):
    likely, digits = path[-1].u[0].amax(0), rounded(path[-1].u)[0]
    drawn = ax.imshow(likely.numpy(), cmap="RdYlGn", vmin=0, vmax=1, alpha=0.6)
    for (row, column), given in zip(((r, c) for r in range(9) for c in range(9)), puzzle[0].ravel(), strict=True):
        looks = {"color": "black", "weight": 700} if given else {"color": "0.35"}
        ax.text(column, row, str(digits[row, column]), ha="center", va="center", **looks)
    for line in (2.5, 5.5):
        ax.axhline(line, color="black", linewidth=1)
        ax.axvline(line, color="black", linewidth=1)
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[:2], label="how much of the digit", shrink=0.8)
for name, path in ends.items():
    axes[2].semilogy([iterate.k for iterate in path], [float(iterate.point.value[0]) for iterate in path], label=name)
axes[2].set(title="energy", xlabel="iteration")
axes[2].legend(frameon=False)
axes[2].spines[["top", "right"]].set_visible(False)
plt.show()
