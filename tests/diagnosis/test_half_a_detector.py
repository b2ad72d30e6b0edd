"""An axis less than a cell off is named with what shows alike and is not mended by it: half a detector out of line."""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from typing import Any

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.axis import axis
from ctrecon.measurement.scan import Scan

WORDS = re.compile(r"or half of the detector stands ([0-9.]+) cells beside the other half")


def of_two_halves(beam: str, *, left: float, right: float) -> Scan:
    """Each half of the detector so many cells from where it is stated to be, over a whole turn."""
    cells: dict[str, Any] = {"angles_rad": tuple(np.arange(60) * 2 * math.pi / 60), "detector_count": 64}
    geometry: ct.FanBeam | ct.ParallelBeam = (
        ct.FanBeam(**cells, source_to_axis_mm=200.0, source_to_detector_mm=200.0)
        if beam == "fan"
        else ct.ParallelBeam(**cells)
    )
    # The grid, not the detector, says how large the object is: as large for both halves.
    grid = ct.Grid(rows=56, columns=56, pixel_mm=1.0)
    halves = [
        ct.simulate("chest", geometry=dataclasses.replace(geometry, detector_offset_mm=off), grid=grid, noise=0.005)
        for off in (left, right)
    ]
    first, second = (made.scan.sinogram for made in halves)
    return Scan(np.concatenate([first[:, :32], second[:, 32:]], axis=1), geometry, grid=grid)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_half_a_detector_is_named_beside_a_small_shift_of_the_axis_alone(
    beam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("ctrecon.diagnosis.causes.axis"), "best_column", lambda scan: None)
    for left, right, alike in ((0.0, 0.6, True), (0.3, 0.3, True), (3.0, 3.0, False)):
        (found,) = axis(of_two_halves(beam, left=left, right=right))
        assert found.cause == "axis"
        said = WORDS.search(found.words)
        assert bool(said) is alike, found.words
        if said is not None:
            # By how much is what the shift of the axis would be, twice.
            assert float(said[1]) == pytest.approx(abs(left + right), abs=0.1)
