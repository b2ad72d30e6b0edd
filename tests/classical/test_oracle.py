"""The oracles: what a method could do at best, if the truth chose its settings."""

from __future__ import annotations

import math

import pytest
import torch
from classical_cases import beam, image, measured

from ctrecon.classical.cgls import cgls
from ctrecon.classical.oracle import best_cgls, best_fbp, best_huber_tv, seen_by_all
from ctrecon.classical.tv import minimise_huber_tv
from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import sparse_operator
from ctrecon.support.metrics import psnr


@pytest.mark.long
def test_the_oracle_is_as_good_as_a_fine_grid():
    grid, scanner = Grid(rows=20, columns=20, pixel_mm=1.0), beam(20, 24)
    A = sparse_operator(scanner, grid)
    truth = image(grid).float()
    f, sigma = measured(A, truth, 0.02)
    oracle = best_huber_tv(A, f, truth, sigma=sigma)
    assert not bool(oracle.at_border.any())
    torch.testing.assert_close(psnr(oracle.image, truth), oracle.psnr)
    span = truth.flatten(1).amax(1) - truth.flatten(1).amin(1)
    for epsilon in (0.001, 0.004, 0.016):
        for k in range(-6, 7, 2):
            other = minimise_huber_tv(A, f, alpha=1.25**k * oracle.alpha, epsilon=epsilon * span, tolerance=1e-3)
            assert bool((psnr(other.image, truth) < oracle.psnr + 0.02).all())
    # From weights far off the optimum it widens, and says where it could not.
    far = (6.0, 8.0, 10.0)
    narrow = best_huber_tv(A, f, truth, sigma=sigma, alphas=far, widen=12)
    assert not bool(narrow.at_border.any())
    assert float((narrow.psnr - oracle.psnr).abs().max()) < 0.1
    assert bool(best_huber_tv(A, f, truth, sigma=sigma, alphas=far, epsilons=(0.004,), widen=0).at_border.all())
    gradients, back_projection = best_cgls(A, f, truth), best_fbp(scanner, grid, f, truth)
    for k in range(3):
        assert float(oracle.psnr[k]) > float(gradients.psnr[k]) > 15
        assert float(oracle.psnr[k]) > float(back_projection.psnr[k]) > 15
    again = cgls(A, f, most_iterations=int(gradients.iteration[0])).image
    assert float(psnr(again.clamp_min(0), truth)[0]) == pytest.approx(float(gradients.psnr[0]), abs=1e-3)
    supported = best_cgls(A, f, truth, support=seen_by_all(scanner, grid))
    assert bool((supported.psnr >= gradients.psnr).all())



def test_psnr():
    truth = torch.tensor([0.0, 1.0, 3.0, 4.0]).view(1, 1, 2, 2)
    assert float(psnr(truth + 0.04, truth)) == pytest.approx(40, abs=1e-4)
    assert float(psnr(truth, truth)) == math.inf
    with pytest.raises(SettingError, match="constant"):
        psnr(truth, torch.ones_like(truth))
    with pytest.raises(SettingError, match="shape"):
        psnr(truth[..., :1], truth)
