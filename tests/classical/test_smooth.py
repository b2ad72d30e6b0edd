"""The smooth volume: strong where that explains the data, weaker the more it leaves; cut off, it goes on."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from volumes import cone

from ctrecon.classical.smooth import STRENGTH, STRONG, WEAKER, smooth_image
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.geometry.grid import Grid
from ctrecon.operators.choose import choose_operator

GRID = Grid(rows=9, columns=8, slices=7, pixel_mm=10.0, slice_mm=10.0)
SCANNER = cone(9, detector_count=14, detector_rows=11, detector_spacing_mm=10.0, detector_row_spacing_mm=12.0)


class Spy(HuberTVSolver):
    """Notes the weights that are asked for, in units of the noise's pull."""

    pull = 1.0

    def solve(self, data: Tensor, *, alpha: float | Tensor, **more: Any) -> TVResult:
        self.asked.append([round(one, 3) for one in (torch.as_tensor(alpha) / self.pull).tolist()])
        return super().solve(data, alpha=alpha, **more)


def blocks_and_grains() -> tuple[Spy, Tensor, Tensor]:
    """A block beside voxels that all differ, with noise, and deltas, that of the block with room for more."""
    made = torch.Generator().manual_seed(1)
    operator = choose_operator(SCANNER, GRID)
    block, grains = torch.zeros(1, 1, *GRID.shape), torch.rand(1, 1, *GRID.shape, generator=made)
    block[..., 2:5, 2:7, 2:6] = 1.0
    clean = operator(torch.cat([block, grains]))
    noise = torch.randn(clean.shape, generator=made)
    noise = noise * (0.03 * clean.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)).view(-1, 1, 1, 1, 1)
    solver = Spy(operator, clean)
    solver.asked = []
    delta = noise.double().flatten(1).norm(dim=1) * torch.tensor([2.0, 1.0])
    solver.pull = delta / noise[0].numel() ** 0.5 * solver.column
    return solver, clean + noise, delta


class Cut:
    """Ends the job at the ``end``-th state, and holds a copy of that."""

    class OffError(Exception):
        pass

    def __init__(self, end: int) -> None:
        self.left, self.last = end, None

    def recall(self, device: torch.device) -> Any:
        return None

    def offer(self, state: Callable[[], Any]) -> None:
        self.left -= 1
        if not self.left:
            self.last = copy.deepcopy(state())
            raise self.OffError


def test_few_materials_are_smoothed_strongly_and_fine_structure_as_an_image_is() -> None:
    solver, data, delta = blocks_and_grains()
    whole = smooth_image(solver, data, delta, most_iterations=12)
    assert solver.asked == [[STRONG, STRONG], [STRONG, STRENGTH]]
    solver.asked.clear()
    smooth_image(solver, data, delta, times=torch.tensor([1.0, 0.5]), most_iterations=1)
    assert solver.asked[0] == [STRONG, STRONG / 2]
    # Wherever it is cut off, in the first or in the second of the two.
    ends = []
    for end in (2, 14):
        cut = Cut(end)
        with pytest.raises(Cut.OffError):
            smooth_image(solver, data, delta, most_iterations=12, checkpoint=cut)
        ends.append(next(iter(set(cut.last) - {"strength", "epsilon"})))
        again = smooth_image(solver, data, delta, most_iterations=12, state=cut.last)
        assert torch.equal(again, whole)
    assert ends[0] == "trial"
    assert ends[-1] == "last"


def test_the_weaker_the_more_is_left() -> None:
    assert [most for most, _ in WEAKER] == sorted((most for most, _ in WEAKER), reverse=True)
    assert [weaker for _, weaker in WEAKER] == sorted(weaker for _, weaker in WEAKER)
    assert max(weaker for _, weaker in WEAKER) < STRONG
