"""Figure 2: the 2-D toy. Gradient descent, the layer (21) as printed, and scaled with the gradient's length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ctrecon.descent.directions import Direction
from ctrecon.descent.dissipation import DissipationSet, dissipate
from ctrecon.studies.paper.claims import Figure, at_least, at_most
from ctrecon.studies.paper.toy import (
    AS_PRINTED,
    CORNERS,
    SCALED,
    SUM,
    Slowly,
    Trained,
    ends,
    energy_for,
    field_on_the_line,
    largest_rise,
    path,
    train,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Panel = tuple[str, Direction, DissipationSet]


def figure2(*, seed: int = 0) -> tuple[Figure, tuple[Panel, ...], Trained]:
    """Figure 2 of the paper: paths in the plane for ``u1 + u2 = f``; E falls, and the ends lie by the examples.

    Args:
        seed: Of the training.

    Returns:
        The claims, what each plot shows, and the networks.
    """
    printed, scaled = train(AS_PRINTED, seed=seed), train(SCALED, seed=seed)
    panels: tuple[Panel, ...] = (
        ("gradient descent", Slowly(), SCALED),
        ("energy dissipation, (21) as printed", printed.rounds[-1], AS_PRINTED),
        (r"energy dissipation, $\zeta$ times $|\nabla E|$", scaled.rounds[-1], SCALED),
    )
    names = ("gradient descent", "(21) as printed", "(21) scaled")
    claims, distances = [], []
    for name, (_, direction, where) in zip(names, panels, strict=True):
        iterates = path(direction, CORNERS, where)
        unsolved, distance = ends(iterates, scaled.examples)
        distances.append(distance)
        claims.append(at_most(f"{name}: the largest rise of E in a step of any path", largest_rise(iterates), 0))
        claims.append(at_most(f"{name}: |u1 + u2 - f| where the paths end, at worst", unsolved, 0.05))
    for name, trained, where, far in zip(
        names[1:], (printed, scaled), (AS_PRINTED, SCALED), distances[1:], strict=True
    ):
        claims.append(at_most(f"{name}: distance of the ends from the mean example, at worst", far, 0.5))
        cosine = field_on_the_line(trained.rounds[-1], trained.examples, where)
        claims.append(at_least(f"{name}: cosine of the direction on Au = f with the way to the examples", cosine, 0.9))
    claims.append(at_least("gradient descent: distance of its ends from the mean example, at worst", distances[0], 2))
    found = Figure(name="fig2", settings={"seed": seed}, claims=claims, table=paths_table(names, panels))
    return found, panels, scaled


def paths_table(names: tuple[str, ...], panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Every point of every path."""
    rows = []
    for name, (_, direction, where) in zip(names, panels, strict=True):
        for iterate in path(direction, CORNERS, where):
            for start, (u, energy) in enumerate(zip(iterate.u.flatten(1), iterate.point.value, strict=True)):
                rows.append({
                    "panel": name, "start": start, "iteration": iterate.k,
                    "u1": float(u[0]), "u2": float(u[1]), "energy": float(energy),
                })
    return rows


def draw_panel(axes: Axes, panel: Panel, wanted: torch.Tensor) -> None:
    """Paths, the direction after the layer (length by its square root), sqrt(E) in blue, and the examples."""
    title, direction, where = panel
    ticks = torch.linspace(-2.5, 6.5, 17)
    x, y = torch.meshgrid(ticks, ticks, indexing="xy")
    u = torch.stack([x.flatten(), y.flatten()], dim=1).view(-1, 1, 1, 2)
    point = energy_for(len(u)).at(u)
    with torch.no_grad():
        d = dissipate(where, direction(point), -point.gradient).view(17, 17, 2)
    arrows = (d / (d.norm(dim=-1, keepdim=True) + 1e-9).sqrt()).numpy()
    where_x, where_y = x.numpy(), y.numpy()
    axes.contourf(where_x, where_y, point.value.view(17, 17).sqrt().numpy(), levels=30, cmap="Blues", vmax=12)
    axes.quiver(where_x, where_y, arrows[..., 0], arrows[..., 1], color="0.45", width=0.004, scale=22, zorder=2)
    axes.plot([-2, 7], [SUM + 2, SUM - 7], color="black", linewidth=1)
    axes.scatter(*wanted[:60].view(-1, 2).T.numpy(), marker="x", color="tab:red", linewidth=0.8, zorder=3)
    for line in torch.stack([one.u.flatten(1) for one in path(direction, CORNERS, where)], dim=1):
        axes.plot(*line.T.numpy(), "o-", color="tab:orange", markersize=2.5, zorder=4)
    axes.set(title=title, xlabel="$u_1$", ylabel="$u_2$", xlim=(-2.5, 6.5), ylim=(-2.5, 6.5), aspect="equal")
