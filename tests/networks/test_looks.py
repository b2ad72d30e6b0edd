"""Looks: the image is the mean of what the network says of mirror images, and E falls whatever it says."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from ctrecon.descent.stopping import Reason
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.looks import look_and_descend
from ctrecon.networks.symmetries import SYMMETRIES, turned, turned_back
from ctrecon.simulation.scanners import walnut_scanner

PROBLEM = walnut_scanner(32, views=24)


def scan() -> tuple[LeastSquares, Tensor, Tensor]:
    """Two random smooth images, noisy data of theirs, and the noise's norm."""
    made = torch.Generator().manual_seed(3)
    truth = nn.functional.avg_pool2d(torch.rand(2, 1, 36, 36, generator=made), 5, stride=1)
    clean = PROBLEM.operator(truth)
    data = clean + 0.02 * clean.std() * torch.randn(clean.shape, generator=made)
    energy = LeastSquares(PROBLEM.operator, data)
    found = energy.at(truth).discrepancy
    assert found is not None
    return energy, truth, found


class Answers(nn.Module):
    """What a network would say: the image ``best``, with an error of its own in every mirror image."""

    def __init__(self, best: Tensor, error: float) -> None:
        super().__init__()
        self.best, self.error, self.given, self.made = best, error, [], torch.Generator().manual_seed(4)

    def forward(self, x: Tensor) -> Tensor:
        answer = turned(self.best, len(self.given) % SYMMETRIES)
        answer = answer + self.error * torch.randn(answer.shape, generator=self.made)
        self.given.append(turned_back(answer, len(self.given) % SYMMETRIES))
        return answer - x[:, :1]


def test_the_eight_symmetries_are_eight_and_each_has_its_inverse() -> None:
    x = torch.rand(1, 2, 5, 7)
    for k in range(SYMMETRIES):
        assert torch.equal(turned_back(turned(x, k), k), x)
    square = torch.rand(1, 1, 5, 5)
    assert len({tuple(turned(square, k).flatten().tolist()) for k in range(SYMMETRIES)}) == SYMMETRIES


@pytest.mark.parametrize("looks", [1, 4, 11])
def test_the_image_is_the_mean_of_the_answers(looks: int) -> None:
    energy, truth, found = scan()
    network = Answers(truth, 0.002)
    iterates = list(
        look_and_descend(network, energy, PROBLEM.precondition, truth.mean((2, 3), keepdim=True).expand_as(truth),
                         1.5 * found, looks=looks)
    )
    assert len(network.given) == iterates[-1].k == looks
    assert iterates[-1].reasons == (Reason.DISCREPANCY,) * 2
    # The half-space may ask for a little of the gradient beside the answer.
    mean = torch.stack(network.given).mean(0)
    assert float((iterates[-1].u - mean).norm()) < 0.25 * float((network.given[-1] - truth).norm())
    assert all(bool((b.point.value < a.point.value).all()) for a, b in pairwise(iterates))
    errors = [float((it.u - truth).norm()) for it in iterates[1:]]
    assert errors[-1] <= errors[0]


@pytest.mark.parametrize("error", [0.3, 30.0])
def test_answers_that_are_wrong_do_not_raise_the_energy(error: float) -> None:
    energy, truth, found = scan()
    iterates = list(
        look_and_descend(Answers(truth, error), energy, PROBLEM.precondition, 0 * truth, 1.2 * found)
    )
    assert all(bool((b.point.value <= a.point.value).all()) for a, b in pairwise(iterates))
    assert iterates[-1].reasons == (Reason.DISCREPANCY,) * 2


def test_the_budget_counts_before_the_looks() -> None:
    energy, truth, found = scan()
    for most in (1, 2):
        last = list(
            look_and_descend(
                Answers(truth, 0.001), energy, PROBLEM.precondition, 0 * truth, 1.5 * found, most_iterations=most
            )
        )[-1]
        assert (last.k, last.reasons) == (most, (Reason.DISCREPANCY,) * 2)
