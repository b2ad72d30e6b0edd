"""A round object about the axis, as every phantom of water is: most slips leave no trace in it, and none is claimed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.bent_scale import bent_scale
from ctrecon.diagnosis.causes.few_values import few_values
from ctrecon.diagnosis.diagnose import diagnose
from ctrecon.diagnosis.doubts import doubts_about
from ctrecon.measurement.scan import Scan
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse

VIEWS, CELLS = 60, 64
ANGLES = tuple(np.arange(VIEWS) * 2 * math.pi / VIEWS)
BEAMS = {
    "parallel": ct.ParallelBeam(angles_rad=ANGLES, detector_count=CELLS, detector_spacing_mm=1.0),
    "fan": ct.FanBeam(
        angles_rad=ANGLES, detector_count=CELLS, detector_spacing_mm=2.0, source_to_axis_mm=200.0,
        source_to_detector_mm=400.0,
    ),
    "arc": ct.ArcFanBeam(
        angles_rad=ANGLES, detector_count=CELLS, detector_spacing_mm=2.0, source_to_axis_mm=200.0,
        source_to_detector_mm=400.0,
    ),
}  # fmt: skip
WATER = Ellipse(center=(0.0, 0.0), semi_axes=(24.0, 24.0), value=0.02)
OBJECTS = {
    "water": (WATER,),
    "inserts": (
        WATER,
        *(Ellipse(center=(12 * math.cos(a), 12 * math.sin(a)), semi_axes=(2.0, 2.0), value=v)
          for a, v in ((0.3, 0.002), (1.9, -0.003), (3.5, 0.006), (5.1, 0.001))),
    ),
    "tube": (WATER, Ellipse(center=(0.0, 0.0), semi_axes=(20.0, 20.0), value=-0.012)),
}  # fmt: skip


def scan_of(beam: str, shapes: str, noise: float) -> Scan:
    exact = Phantom(OBJECTS[shapes]).sinogram(BEAMS[beam])
    drawn = np.random.default_rng(1).normal(0, noise * float(exact.max()), exact.shape)
    return ct.Scan((exact + drawn).astype(np.float32), BEAMS[beam])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.long), 0.003])
@pytest.mark.parametrize("shapes", OBJECTS)
@pytest.mark.parametrize("beam", BEAMS)
def test_nothing_is_in_doubt(beam: str, shapes: str, noise: float) -> None:
    assert doubts_about(scan_of(beam, shapes, noise), met=True) is None


@pytest.mark.parametrize("beam", BEAMS)
def test_a_bent_scale_is_not_claimed_where_no_scale_can_be_seen(beam: str) -> None:
    scan = scan_of(beam, "water", 0.001)
    top = float(scan.sinogram.max())
    for bend in (-0.1, 0.1):
        values = scan.sinogram + bend * scan.sinogram**2 / top
        assert not list(bent_scale(dataclasses.replace(scan, sinogram=values.astype(np.float32))))


def test_equal_views_are_not_taken_for_few_bits() -> None:
    scan = scan_of("parallel", "water", 0.0)
    assert len(np.unique(scan.sinogram)) < 100
    assert not list(few_values(scan))


@pytest.mark.long
def test_what_is_less_than_coarse_pixels_leave_has_no_cause() -> None:
    assert not diagnose(scan_of("fan", "inserts", 0.0)).findings
