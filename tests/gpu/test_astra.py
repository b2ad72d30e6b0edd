"""ASTRA's CUDA projectors: what they must satisfy wherever there is a GPU."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from laws import adjoint_defect, check_operator

from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import OperatorError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.astra import AstraOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator

pytestmark = pytest.mark.gpu

GRID = Grid(rows=60, columns=72, pixel_mm=0.5)
BEAMS = {
    "parallel": ParallelBeam(
        angles_rad=tuple(np.arange(48) * math.pi / 48), detector_count=100, detector_spacing_mm=0.5,
        detector_offset_mm=0.7,
    ),
    "fan": FanBeam(
        angles_rad=tuple(np.arange(48) * 2 * math.pi / 48), detector_count=120, detector_spacing_mm=0.9,
        detector_offset_mm=-0.6, source_to_axis_mm=60.0, source_to_detector_mm=110.0,
    ),
}
both_beams = pytest.mark.parametrize("beam", ["parallel", "fan"])


class _Mirrored(AstraOperator):
    """Back-projects the mirrored data: what the tolerance must not let pass."""

    def _adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return super()._adjoint(y.flip(-1))


@both_beams
def test_laws(beam: str) -> None:
    operator = AstraOperator(BEAMS[beam], GRID)
    assert not operator.matched
    assert 0 < adjoint_defect(operator, dtype=torch.float32, device="cuda") < operator.adjoint_defect
    mirrored = adjoint_defect(_Mirrored(BEAMS[beam], GRID), dtype=torch.float32, device="cuda")
    assert mirrored > operator.adjoint_defect
    # The texture unit interpolates with 8 bits, so sums agree less well than elsewhere.
    check_operator(operator, dtype=torch.float32, device="cuda", tolerance=1e-3)


@both_beams
def test_agreement_with_joseph(beam: str) -> None:
    image = torch.zeros(3, 1, *GRID.shape)
    image[0, 0, 10:20, 15:40] = 1.0
    image[1, 0, 40:50, 5:15] = 0.5
    image[2, 0, 30, 36] = 2.0
    joseph = JosephOperator(BEAMS[beam], GRID)(image)
    astra = AstraOperator(BEAMS[beam], GRID)(image.cuda()).cpu()
    assert float((astra - joseph)[:2].norm() / joseph[:2].norm()) < 5e-3
    mirrored = JosephOperator(BEAMS[beam], GRID)(image.flip(3))
    assert float((astra - mirrored).norm() / joseph.norm()) > 0.1


def test_nothing_is_copied() -> None:
    """A projection of a large image must not need memory for a second one."""
    geometry, grid = BEAMS["parallel"].views(slice(0, 2)), Grid(rows=4096, columns=4096, pixel_mm=0.01)
    operator, image = AstraOperator(geometry, grid), torch.zeros(1, 1, 4096, 4096, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    operator(image)
    assert torch.cuda.max_memory_allocated() - before < image.nbytes // 2


@both_beams
def test_descent_holds_with_the_unmatched_adjoint(beam: str) -> None:
    operator = choose_operator(BEAMS[beam], GRID, device="cuda")
    assert isinstance(operator, AstraOperator)
    truth = torch.rand(2, 1, *GRID.shape, generator=torch.Generator().manual_seed(0)).cuda()
    energy = LeastSquares(operator, operator(truth))
    iterates = descend(energy, NegativeGradient(), torch.zeros_like(truth), most_iterations=20)
    values = [iterate.point.value.cpu() for iterate in iterates]
    assert len(values) > 5
    assert all(bool((after <= before).all()) for before, after in pairwise(values))
    assert bool((values[-1] < 0.1 * values[0]).all())


def test_what_it_refuses() -> None:
    operator = AstraOperator(BEAMS["parallel"], GRID)
    with pytest.raises(OperatorError, match="takes float32 on cuda"):
        operator(torch.zeros(1, 1, *GRID.shape))
    with pytest.raises(OperatorError, match="takes float32 on cuda"):
        operator(torch.zeros(1, 1, *GRID.shape, dtype=torch.float64, device="cuda"))
