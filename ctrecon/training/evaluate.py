"""How good a network is: PSNR at the certified stop, and of the same network in one shot without the guarantee."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctrecon.certificates.feasible import FeasibleCertificate, certify
from ctrecon.classical.smooth import smooth_image
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.direction import NetworkDirection
from ctrecon.networks.looks import LOOKS, look_and_descend
from ctrecon.networks.slices import fitted
from ctrecon.simulation.scanners import Scanner
from ctrecon.support.metrics import psnr


@dataclass(frozen=True, kw_only=True)
class Score:
    """Per image ``[batch]``: PSNR in dB at the stop and in one shot, iterations, and whether delta was certified."""

    psnr: Tensor
    one_shot_psnr: Tensor
    iterations: Tensor
    certified: Tensor
    image: Tensor


def score(
    network: nn.Module,
    problem: Scanner,
    truth: Tensor,
    data: Tensor,
    weights: Tensor | None = None,
    *,
    looks: int = LOOKS,
    most_iterations: int = 30,
) -> Score:
    """Reconstruct simulated data with a network, with delta = the true residual of the truth.

    Args:
        network: Of the images that ``NetworkDirection`` shows.
        problem: The scanner.
        truth: ``[batch, 1, rows, columns]``, or volumes with slices, 1/mm.
        data: ``[batch, 1, views, detectors]``, of volumes with rows.
        weights: 1 / variance of the data; None for 1.
        looks: Passes of the network at least.
        most_iterations: At most.

    Returns:
        PSNR in dB at the stop and in one shot, iterations, whether delta was certified, and the images.
    """
    network = fitted(network, truth.ndim - 2)
    energy = LeastSquares(problem.operator, data, weights)
    delta = energy.at(truth).discrepancy
    assert delta is not None
    smooth = smooth_image(problem.tv_solver, data, delta, weights)
    with torch.no_grad():
        one_shot = NetworkDirection(network, energy, problem.precondition, smooth)(energy.at(torch.zeros_like(truth)))
    iterations = torch.zeros(truth.shape[0], dtype=torch.int64)
    last = None
    path = look_and_descend(
        network, energy, problem.precondition, smooth, delta, looks=looks, most_iterations=most_iterations
    )
    for last in path:
        going = torch.tensor([reason is None for reason in last.reasons])
        iterations[going] = last.k + 1
    assert last is not None
    return Score(
        psnr=psnr(last.u, truth),
        one_shot_psnr=psnr(one_shot, truth),
        iterations=iterations,
        certified=certified(problem, last.u, data, delta, weights),
        image=last.u,
    )


def certified(problem: Scanner, images: Tensor, data: Tensor, delta: Tensor, weights: Tensor | None) -> Tensor:
    """Whether each image, as it is scored, has a certificate: what its descent says of itself counts for nothing."""
    u, f = images[:, 0].cpu().numpy(), data[:, 0].cpu().numpy()
    w = None if weights is None else weights.expand_as(data)[:, 0].cpu().numpy()
    proved = [
        certify(u[i], f[i], problem.geometry, problem.grid, float(delta[i]), weights=None if w is None else w[i])
        for i in range(len(u))
    ]
    return torch.tensor([isinstance(one, FeasibleCertificate) for one in proved])
