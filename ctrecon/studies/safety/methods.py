"""The four methods of the bench, on the same data: energy dissipation, its network in one shot, Huber-TV, FBP."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.direction import NetworkDirection
from ctrecon.networks.looks import look_and_descend
from ctrecon.simulation.scanners import Scanner

ENERGY, ONE_SHOT, TV, FBP = "energy dissipation", "one-shot network", "Huber-TV", "FBP"
METHODS = (ENERGY, ONE_SHOT, TV, FBP)


@dataclass(frozen=True)
class Bench:
    """Reconstructs batches by all methods. Huber-TV takes the largest weight that meets delta, FBP Hann's window."""

    network: nn.Module
    problem: Scanner
    most_iterations: int = 30

    @cached_property
    def _fbp(self) -> FilteredBackProjection:
        return FilteredBackProjection(self.problem.geometry, self.problem.grid, window="hann")

    def reconstruct(self, data: Tensor, delta: Tensor) -> dict[str, Tensor]:
        """Reconstruct the same data by all methods.

        Args:
            data: Sinograms ``[batch, 1, views, cells]``.
            delta: ``||noise||`` of each, ``[batch]``, in the units of the data.

        Returns:
            By the names in ``METHODS``: images ``[batch, 1, rows, columns]``, 1/mm.
        """
        energy = LeastSquares(self.problem.operator, data)
        smooth = smooth_image(self.problem.tv_solver, data, delta)
        seen = self.network, energy, self.problem.precondition, smooth
        with torch.no_grad():
            one_shot = NetworkDirection(*seen)(energy.at(torch.zeros_like(smooth)))
        path = look_and_descend(*seen, delta, most_iterations=self.most_iterations)
        last = deque(path, maxlen=1)[0]
        tv = tv_at_discrepancy(self.problem.operator, data, delta, start=smooth, tolerance=1e-3)
        return {ENERGY: last.u, ONE_SHOT: one_shot, TV: tv.image, FBP: self._fbp(data)}
