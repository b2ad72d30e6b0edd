"""A job that is cut off anywhere, and begun again, ends with the same bytes: for every method there is."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from volumes import cone

import ctrecon as ct
from ctrecon.measurement.delta import delta_for
from ctrecon.networks.slices import SliceBySlice
from ctrecon.phantoms.solids import Body, Ellipsoid
from ctrecon.reconstruction.methods import METHODS, load_method, settings_of
from ctrecon.reconstruction.problem import Problem, prepare

GRID = ct.Grid(rows=9, columns=8, slices=7, pixel_mm=10.0, slice_mm=10.0)


class CutError(Exception):
    pass


class Kept:
    """Counts states; ``end`` cuts the job off after so many, and a copy of the last is kept."""

    def __init__(self, earlier: Any = None, end: int | None = None) -> None:
        self.earlier, self.end = earlier, end
        self.count = 0
        self.last: Any = None

    def recall(self, device: torch.device) -> Any:
        return copy.deepcopy(self.earlier)

    def offer(self, state: Callable[[], Any]) -> None:
        self.count += 1
        if self.count == self.end:
            self.last = copy.deepcopy(state())
            raise CutError


@pytest.fixture(scope="module")
def problem() -> Problem:
    body = Body((Ellipsoid(center=(4.0, -2.0, 1.0), semi_axes=(30.0, 26.0, 24.0), value=0.02),))
    geometry = cone(9, detector_count=14, detector_rows=11, detector_spacing_mm=10.0, detector_row_spacing_mm=12.0)
    exact = body.sinogram(geometry, 2)
    noise = 0.02 * exact.max() * np.random.default_rng(0).standard_normal(exact.shape)
    scan = ct.Scan((exact + noise).astype(np.float32), geometry, grid=GRID)
    return prepare(scan, delta_for(scan, str(1.5 * float(np.linalg.norm(noise))), 0.95))


class Blurs(torch.nn.Module):
    """In a network's place: quick, and it errs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.7 * x[:, 2:3] + 0.1 * x[:, 4:5]


def given(method: Callable[..., Any]) -> dict[str, Any]:
    more: dict[str, Any] = {"prior": Blurs()} if "prior" in settings_of(method) else {}
    return more | ({"iterations": 12} if "iterations" in settings_of(method) else {})


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_on_from_any_of_its_states_to_the_same_bytes(name: str, problem: Problem) -> None:
    method = load_method(name)
    whole = Kept()
    alone = method(problem, **given(method))
    told = method(problem, **given(method), checkpoint=whole)
    assert told.image.tobytes() == alone.image.tobytes()
    count = whole.count
    assert count, "and it has something to go on from"
    for end in sorted({1, count // 2 + 1, count}):
        cut = Kept(end=end)
        with pytest.raises(CutError):
            method(problem, **given(method), checkpoint=cut)
        again = Kept(cut.last)
        found = method(problem, **given(method), checkpoint=again)
        assert again.count == count - end, "nothing is done twice"
        assert found.image.tobytes() == alone.image.tobytes()
        assert (found.reason, found.history) == (alone.reason, alone.history)


def test_a_method_that_did_not_go_on_would_be_noticed(problem: Problem) -> None:
    method = load_method("cgls")
    kept = Kept(end=3)
    with pytest.raises(CutError):
        method(problem, iterations=12, checkpoint=kept)
    wrong: Any = kept.last
    wrong["iterate"]["d"] *= 1.001
    found = method(problem, iterations=12, checkpoint=Kept(wrong))
    assert found.image.tobytes() != method(problem, iterations=12).image.tobytes()


def test_blurring_is_asked_slice_by_slice() -> None:
    assert SliceBySlice(Blurs())(torch.rand(1, 5, 3, 4, 4)).shape == (1, 1, 3, 4, 4)
