"""Every method gives the same image whatever dtype torch is told to make tensors in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.delta import delta_for
from ctrecon.phantoms import FAMILIES
from ctrecon.reconstruction.methods import METHODS, load_method
from ctrecon.reconstruction.problem import prepare
from ctrecon.simulation.simulate import simulate

BEAM = ParallelBeam(angles_rad=tuple(np.arange(40) * np.pi / 40), detector_count=48)


def image(name: str) -> np.ndarray:
    made = simulate(FAMILIES[0], BEAM, Grid(rows=48, columns=48), relative_noise=0.02, seed=1)
    problem = prepare(made.scan, delta_for(made.scan, f"{made.delta}"), device="cpu")
    return load_method(name)(problem).image


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", METHODS)
def test_the_default_dtype_changes_nothing(name: str) -> None:
    expected = image(name)
    torch.set_default_dtype(torch.float64)
    try:
        found = image(name)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * float(np.abs(expected).max()))
