"""Figure 3: why the states to train on are renewed. The field after each round of training."""

from __future__ import annotations

from ctrecon.studies.paper.claims import Figure, at_least, at_most
from ctrecon.studies.paper.fig2 import Panel, paths_table
from ctrecon.studies.paper.toy import CORNERS, SCALED, Trained, ends, largest_rise, path, train

ROUNDS = ("gradient descent's states", "these and its own", "these and its own, again")


def figure3(*, seed: int = 0) -> tuple[Figure, tuple[Panel, ...], Trained]:
    """Figure 3 of the paper: the paths after each round of training; the first goes astray, the last does not.

    Args:
        seed: Of the training.

    Returns:
        The claims, what each plot shows, and the networks.
    """
    trained = train(SCALED, seed=seed)
    panels: tuple[Panel, ...] = tuple(
        (f"trained on {name}", network, SCALED) for name, network in zip(ROUNDS, trained.rounds, strict=True)
    )
    claims, distances = [], []
    for name, network in zip(ROUNDS, trained.rounds, strict=True):
        iterates = path(network, CORNERS, SCALED)
        distances.append(ends(iterates, trained.examples)[1])
        claims.append(
            at_most(f"trained on {name}: the largest rise of E in a step of any path", largest_rise(iterates), 0)
        )
    claims.append(at_least("distance of the ends from the mean example: after the first round", distances[0], 0.5))
    claims.append(at_most("distance of the ends from the mean example: after the last round", distances[-1], 0.5))
    claims.append(at_least("the first of these over the last", distances[0] / distances[-1], 2))
    found = Figure(name="fig3", settings={"seed": seed}, claims=claims, table=paths_table(ROUNDS, panels))
    return found, panels, trained
