"""A network asked again and again: each time about another mirror image, and the image is the mean of its answers.

Nature does not prefer left to right, but a trained network does a little; what it says of one mirror image and not of
the others is its own invention, and the mean is the part that is not (R. Timofte et al., "Seven ways to improve
example-based single image super resolution", CVPR 2016). Asked once an iteration, the mean costs one pass each, and
the later answers see what the earlier ones have left unexplained. E is convex, so that of
a mean lies below the mean of E; where an answer would raise it all the same, the step search takes less of it or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.step import WholeAnswers
from ctrecon.descent.stopping import Discrepancy, StopRule
from ctrecon.energies.base import Energy, Point
from ctrecon.networks.direction import NetworkDirection, Precondition
from ctrecon.networks.symmetries import SYMMETRIES

# With more the image hardly changes: 8 looks gain at most 0.04 dB over 4 (docs/methods.md).
LOOKS = 4
ALL = tuple(range(SYMMETRIES))


class Looks:
    """``d_k = (answer_k - u) / k``: a step of its own length makes ``u`` the mean of the first ``k`` answers.

    Counts how often it was asked, so one instance serves one descent that starts at zero, or where it was ``asked`` so
    often already. It is asked about the mirror images ``among`` in turn.
    """

    def __init__(self, direction: NetworkDirection, asked: int = 0, among: Sequence[int] = ALL) -> None:
        self._direction, self._asked, self._among = direction, asked, among

    def __call__(self, point: Point) -> Tensor:
        which = self._among[self._asked % len(self._among)]
        self._asked += 1
        return self._direction.seen(point, which) / self._asked


def look_and_descend(
    network: nn.Module,
    energy: Energy,
    precondition: Precondition,
    smooth: Tensor,
    delta: Tensor,
    *,
    looks: int = LOOKS,
    among: Sequence[int] = ALL,
    level: float | None = None,
    most_iterations: int = 30,
    stop: tuple[StopRule, ...] = (),
    state: Mapping[str, Any] | None = None,
) -> Iterator[Iterate]:
    """Descend an energy from zero in a network's directions, each about another mirror image, until delta is met.

    Args:
        network: Of the images that ``NetworkDirection`` shows.
        energy: E, of data.
        precondition: From a residual to an image, such as filtered back projection.
        smooth: A Huber-TV image, ``[batch, 1, rows, columns]``.
        delta: ``[batch]``, in units of the (whitened) data.
        looks: So many iterations at least, each with one pass of the network, unless E falls no further.
        among: The mirror images it is asked about in turn, by their numbers (``symmetries.turned``); all eight, or one
            alone for what the network says of that one.
        level: E where only noise is left to explain; None for ``delta^2 / 2``, that of least squares.
        most_iterations: At most.
        stop: Further rules.
        state: As of ``descend``.

    Yields:
        The iterates of ``descend``.
    """
    asked = 0 if state is None else int(state["k"])
    direction = Looks(NetworkDirection(network, energy, precondition, smooth), asked, among)
    return descend(
        energy,
        direction,
        torch.zeros_like(smooth),
        step=WholeAnswers(delta.double().square() / 2 if level is None else level),
        stop=(Discrepancy(delta, whole=True), *stop),
        least_iterations=min(looks, most_iterations),
        most_iterations=most_iterations,
        state=state,
    )
