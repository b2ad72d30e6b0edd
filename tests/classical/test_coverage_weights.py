"""Filtered back projection keeps the mean whatever the views are: uneven, short, more than a turn, half a fan."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.classical import fbp_weights
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.coverage import goes_round, missing_wedge
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.field_of_view import covered_mm, field_of_view_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.geometry.parallel import ParallelBeam

SIZE, VIEWS, CELLS = 96, 300, 144
GRID = Grid(rows=SIZE, columns=SIZE, pixel_mm=1.0)
PI, GOLDEN = math.pi, math.pi * (math.sqrt(5) - 1)
HALF_FAN = math.atan(CELLS / 2 * 1.5 / 375)


def parallel(angles, **more):
    return ParallelBeam(**{"angles_rad": tuple(angles), "detector_count": CELLS, **more})


def fan(angles, **more):
    return FanBeam(
        **{"angles_rad": tuple(angles), "detector_count": CELLS, "detector_spacing_mm": 1.5,
           "source_to_axis_mm": 250.0, "source_to_detector_mm": 375.0, **more}
    )  # fmt: skip


def drawn(turn):
    return np.random.default_rng(0).random(VIEWS) * turn


def bursts(turn, number=60):
    return np.concatenate([np.linspace(0, turn / number / 2, 8) + k * turn / number for k in range(number)])


EVEN = np.arange(VIEWS) / VIEWS
ONE_SIDED = {"detector_count": 92, "detector_offset_mm": 25.0}
FAN_SIDED = {"detector_count": 92, "detector_offset_mm": 37.5}
SCANS = {
    "parallel, half a turn": parallel(EVEN * PI),
    "parallel, random": parallel(drawn(PI)),
    "parallel, golden angle": parallel(np.arange(VIEWS) * GOLDEN % PI),
    "parallel, bursts": parallel(bursts(PI)),
    "parallel, random over a turn": parallel(drawn(2 * PI)),
    "parallel, one-sided": parallel(EVEN * 2 * PI, **ONE_SIDED),
    "parallel, one-sided, random": parallel(drawn(2 * PI), **ONE_SIDED),
    "fan": fan(EVEN * 2 * PI),
    "fan, random": fan(drawn(2 * PI)),
    "fan, golden angle": fan(np.arange(VIEWS) * GOLDEN % (2 * PI)),
    "fan, bursts": fan(bursts(2 * PI)),
    "fan, short": fan(EVEN * (PI + 2 * HALF_FAN)),
    "fan, short, random": fan(drawn(PI + 2 * HALF_FAN)),
    "fan, three quarters": fan(EVEN * 1.5 * PI),
    "fan, two turns": fan(EVEN * 4 * PI + 0.01 * EVEN),
    "fan, half": fan(EVEN * 2 * PI, **FAN_SIDED),
    "fan, the other half": fan(EVEN * 2 * PI, **{**FAN_SIDED, "detector_offset_mm": -37.5}),
    "fan, half, golden angle": fan(np.arange(VIEWS) * GOLDEN % (2 * PI), **FAN_SIDED),
}


def rebuilt(geometry):
    """The share of the true mean within the image's disc, and decibels there."""
    made = ct.simulate("chest", geometry=geometry, grid=GRID, noise=0.0, seed=1)
    data = torch.from_numpy(made.scan.sinogram)[None, None].float()
    u = FilteredBackProjection(geometry, GRID, window="shepp-logan")(data)[0, 0].double().numpy()
    inside = np.hypot(GRID.x_mm[None], GRID.y_mm[:, None]) < SIZE / 2 - 1
    error = np.sqrt(np.mean((u - made.truth)[inside] ** 2))
    return float(u[inside].mean() / made.truth[inside].mean()), 20 * math.log10(np.ptp(made.truth) / error)


@pytest.mark.sampled(9)
@pytest.mark.parametrize("name", SCANS)
def test_the_mean_is_right_and_the_image_good(name):
    share, decibels = rebuilt(SCANS[name])
    assert share == pytest.approx(1, abs=0.02)
    assert decibels > 30


@pytest.mark.parametrize("name", ["parallel, one-sided", "fan, half"])
def test_without_shares_half_a_fan_is_wrong(monkeypatch, name):
    monkeypatch.setattr(fbp_weights, "_one_sided", lambda distance: None)
    share, decibels = rebuilt(SCANS[name])
    assert abs(share - 1) > 0.02 or decibels < 25


def test_a_wedge_is_missing_where_one_gap_stands_out():
    assert missing_wedge(EVEN * PI, 2 * PI) is not None
    begin, width = missing_wedge(0.5 + EVEN * 1.5 * PI, 2 * PI)
    assert begin == pytest.approx(0.5)
    assert width == pytest.approx(0.5 * PI, rel=0.02)
    for seed in range(50):
        assert goes_round(np.random.default_rng(seed).random(40) * 2 * PI)
    assert goes_round(bursts(2 * PI, number=4))
    assert goes_round(np.arange(3) * 2 * PI / 3)
    assert not goes_round(np.zeros(1))
    assert missing_wedge(np.array([2 * PI - 1e-12, PI]), 2 * PI) is None


def test_the_default_image_is_as_wide_as_the_larger_side_sees_over_a_whole_turn():
    half = SCANS["fan, half"]
    assert covered_mm(half) > 1.9 * field_of_view_mm(half)
    assert default_grid(half).size_mm[0] == pytest.approx(covered_mm(half))
    short = replace(half, angles_rad=tuple(EVEN * (PI + 2 * HALF_FAN)))
    assert covered_mm(short) == field_of_view_mm(short)
    assert covered_mm(SCANS["fan"]) == field_of_view_mm(SCANS["fan"])
