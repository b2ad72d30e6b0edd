"""Causes look at whatever is handed to them: one view, all views from one side, two cells, data that say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes import CAUSES
from ctrecon.diagnosis.doubts import doubts_about
from ctrecon.errors import CtreconError

ANGLES = {
    "one view": [0.3], "two alike": [0.3, 0.3], "both ways": [0.0, math.pi], "a turn of three": [0.0, 2.1, 4.2],
    "one side": [0.1] * 40, "back and forth": [0.0, 1.0] * 20, "a turn": list(np.arange(40) * 2 * math.pi / 40),
}  # fmt: skip
VALUES = {
    "noise": lambda shape: np.random.default_rng(0).uniform(1, 2, shape),
    "one value": np.ones,
    "one ray": lambda shape: np.eye(1, math.prod(shape)).reshape(shape),
}


def scan_of(angles: str, cells: int, values: str, *, fan: bool) -> ct.Scan:
    rows = {"angles_rad": tuple(ANGLES[angles]), "detector_count": cells, "detector_spacing_mm": 1.0}
    far = {"source_to_axis_mm": 90.0, "source_to_detector_mm": 120.0}
    geometry = ct.FanBeam(**rows, **far) if fan else ct.ParallelBeam(**rows)
    return ct.Scan(VALUES[values](geometry.shape).astype(np.float32), geometry)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("angles", ANGLES)
def test_no_cause_fails_or_warns(angles: str, values: str) -> None:
    for cells, fan in ((2, False), (5, True), (40, False), (40, True)):
        scan = scan_of(angles, cells, values, fan=fan)
        for cause in CAUSES:
            try:
                found = list(cause(scan))
            except CtreconError:
                continue
            assert all(one.words for one in found), cause


@pytest.mark.parametrize("angles", ["one view", "one side"])
def test_nor_does_what_every_reconstruction_asks(angles: str) -> None:
    doubts_about(scan_of(angles, 24, "noise", fan=False), met=True)
