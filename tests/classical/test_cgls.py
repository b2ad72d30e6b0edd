"""CGLS: it solves what it says it solves, to the accuracy it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from classical_cases import BEAM, beam, distance, image, measured, operator64

from ctrecon.classical.cgls import cgls, cgls_iterates
from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import joseph_matrix, sparse_operator


def test_cgls_reaches_the_least_squares_solution():
    small = Grid(rows=6, columns=7, pixel_mm=1.0)
    A = sparse_operator(beam(16, 10), small, dtype=torch.float64)
    f, _ = measured(A, image(small), 0.05)
    weights = 0.5 + torch.rand(f.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    matrix = joseph_matrix(beam(16, 10), small, np.float64).toarray()
    for w in (None, weights, weights[:1]):
        result = cgls(A, f, most_iterations=300, weights=w)
        for b in range(3):
            root = np.ones(len(matrix)) if w is None else np.sqrt(w.expand_as(f)[b].numpy().ravel())
            exact = np.linalg.lstsq(root[:, None] * matrix, root * f[b].numpy().ravel(), rcond=None)[0]
            np.testing.assert_allclose(result.image[b].numpy().ravel(), exact, rtol=0, atol=1e-8 * np.abs(exact).max())
        assert set(result.reason) == {"stationary"}
    few = cgls(A, f, most_iterations=5)
    assert float(distance(few.image, cgls(A, f, most_iterations=300).image).max()) > 1e-3


def test_cgls_residuals_fall_and_iterates_match_a_restart_from_them():
    A = operator64()
    f, _ = measured(A, image(), 0.02)
    history = [now for now, _ in zip(cgls_iterates(A, f), range(15), strict=False)]
    falls = torch.stack([now.discrepancy for now in history])
    assert bool((falls[1:] <= falls[:-1] * (1 + 1e-12)).all())
    torch.testing.assert_close(history[7].residual, f - A(history[7].image))
    again = next(cgls_iterates(A, f, start=history[7].image))
    torch.testing.assert_close(again.discrepancy, history[7].discrepancy)


def test_cgls_stops_at_the_discrepancy_each_sample_by_itself():
    A = operator64()
    truth = image()
    f, sigma = measured(A, truth, 0.03)
    delta = torch.tensor([1.0, 1.3, 2.0]) * sigma * math.sqrt(f[0].numel())
    together = cgls(A, f, delta=delta)
    assert together.reason == ("discrepancy met",) * 3
    assert bool((together.discrepancy <= delta * (1 + 1e-12)).all())
    assert int(together.iterations[2]) < int(together.iterations[0])
    for b in range(3):
        alone = cgls(A, f[b : b + 1], delta=delta[b])
        assert int(alone.iterations[0]) == int(together.iterations[b])
        torch.testing.assert_close(alone.image, together.image[b : b + 1])
        one_less = cgls(A, f[b : b + 1], most_iterations=int(alone.iterations[0]) - 1)
        assert float(one_less.discrepancy) > float(delta[b])
        assert one_less.reason == ("iterations spent",)


def test_cgls_on_nothing_and_on_bad_settings():
    A = operator64()
    zero = cgls(A, torch.zeros(2, 1, *BEAM.shape, dtype=torch.float64))
    assert bool((zero.image == 0).all())
    assert zero.reason == ("stationary", "stationary")
    f = A(image())
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingError, match="delta"):
            cgls(A, f, delta=bad)
    with pytest.raises(SettingError, match="iterations"):
        cgls(A, f, most_iterations=-1)
    with pytest.raises(SettingError, match="weights"):
        cgls(A, f, weights=-torch.ones_like(f))
