"""The rotation axis is found where it was put."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.counts import add_gaussian_noise

DISCS = [(4.0, 9.0, 14.0, 0.02), (-12.0, 3.0, 5.0, 0.03), (10.0, -14.0, 4.0, 0.05), (2.0, 18.0, 2.0, 0.08)]


def sinogram(geometry):
    """Exact line integrals of the discs ``(x, y, radius, mu)``, averaged over the cell as a detector does."""
    points, directions = geometry.rays()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    total = np.zeros(geometry.shape)
    for x, y, r, mu in DISCS:
        away = (points[..., 0] - x) * unit[..., 1] - (points[..., 1] - y) * unit[..., 0]
        total += 2 * mu * np.sqrt(np.maximum(r**2 - away**2, 0))
    return total


def offset(column, detectors, spacing):
    return ((detectors - 1) / 2 - column) * spacing


def parallel(column, *, views=120, span=math.pi, detectors=160, spacing=0.5, start=0.0):
    return ParallelBeam(
        angles_rad=tuple(start + np.arange(views) * span / views),
        detector_count=detectors,
        detector_spacing_mm=spacing,
        detector_offset_mm=offset(column, detectors, spacing),
    )


def fan(column, *, views=180, span=2 * math.pi, detectors=200, spacing=0.6):
    return FanBeam(
        angles_rad=tuple(np.arange(views) * span / views),
        detector_count=detectors,
        detector_spacing_mm=spacing,
        detector_offset_mm=offset(column, detectors, spacing),
        source_to_axis_mm=200.0,
        source_to_detector_mm=320.0,
    )


@pytest.mark.sampled(4)
@pytest.mark.parametrize("column", [79.5, 70.0, 92.3])
@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({}, "sinogram metric"),
        ({"start": -0.3}, "sinogram metric"),
        ({"views": 121, "span": math.pi * 121 / 120}, "sinogram metric"),
        ({"span": 2 * math.pi}, "conjugate rays"),
        ({"span": -math.pi}, "sinogram metric"),
        ({"span": 2.2}, "centre of mass"),
    ],
)
def test_parallel_beams(column, changes, method):
    geometry = parallel(column, **changes)
    f = add_gaussian_noise(sinogram(geometry), 0.01, seed=0)
    found = estimate_center(f, geometry)
    assert found.how.startswith(method)
    assert found.column == pytest.approx(column, abs=0.3)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("column", [99.5, 95.0, 107.4])
@pytest.mark.parametrize("span", [2 * math.pi, 1.4 * math.pi])
def test_fan_beams(column, span):
    """Full turn and short scan; the geometry handed over does not know where the axis is."""
    geometry = fan(column, span=span)
    f = add_gaussian_noise(sinogram(geometry), 0.01, seed=0)
    found = estimate_center(f, fan(99.5, span=span))
    assert found.how.startswith("conjugate rays")
    assert found.column == pytest.approx(column, abs=0.2)


@pytest.mark.parametrize(
    ("geometry", "stated", "column"),
    [
        (parallel(12.0, span=2 * math.pi), parallel(79.5, span=2 * math.pi), 12.0),
        (fan(18.0), fan(99.5), 18.0),
        (fan(180.3, detectors=200), fan(99.5), 180.3),
    ],
)
def test_the_axis_is_found_near_an_end_of_the_detector_and_within_its_interval(geometry, stated, column):
    found = estimate_center(add_gaussian_noise(sinogram(geometry), 0.01, seed=0), stated)
    assert found.column == pytest.approx(column, abs=0.1)
    assert found.low <= column + 0.03
    assert column - 0.03 <= found.high
    assert found.high - found.low < 0.5
    assert len(found.columns) == len(found.misfits) > 100
    best = found.columns[int(np.argmin(found.misfits))]
    assert min(found.columns) < best < max(found.columns)
    assert "with 95% confidence" in str(found)


def test_noise_makes_the_interval_wider():
    geometry = fan(99.5, views=90)
    clean, noisy = (
        estimate_center(add_gaussian_noise(sinogram(geometry), level, seed=1), geometry) for level in (0.002, 0.2)
    )
    assert noisy.high - noisy.low > 1.5 * (clean.high - clean.low)


def test_an_end_of_the_range_is_no_answer():
    """A ramp agrees with its mirror image the better, the less of it is compared: there is no axis to be seen."""
    geometry = parallel(79.5, span=2 * math.pi)
    ramp = np.tile(np.linspace(0, 1, geometry.detector_count) ** 2, (geometry.shape[0], 1))
    with pytest.raises(InputError, match="at an end of the detector"):
        estimate_center(ramp, geometry)


@pytest.mark.parametrize("make", [parallel, fan])
def test_a_mirrored_detector_gives_the_mirrored_column(make):
    geometry = make(90.25)
    cells = geometry.detector_count - 1
    f = sinogram(geometry)
    assert estimate_center(f[:, ::-1].copy(), geometry).column == pytest.approx(
        cells - estimate_center(f, geometry).column, abs=0.15
    )


def test_views_in_another_order_do_not_show_the_axis():
    """A broken case looks broken: with views exchanged no column is consistent, and the right one is not found."""
    geometry = fan(107.4)
    f = sinogram(geometry)
    mixed = f[np.random.default_rng(0).permutation(len(f))]
    assert estimate_center(f, geometry).column == pytest.approx(107.4, abs=0.1)
    assert abs(estimate_center(mixed, geometry).column - 107.4) > 0.3


@pytest.mark.parametrize(
    ("values", "geometry", "words"),
    [
        (np.ones((120, 160)), parallel(79.5), "constant"),
        (np.random.default_rng(0).random((2, 160)), parallel(79.5, views=2), "cannot be found"),
        (sinogram(fan(99.5, span=1.0)), fan(99.5, span=1.0), "both ends"),
        (sinogram(parallel(79.5, span=0.5)), parallel(79.5, span=0.5), "these views"),
    ],
)
def test_data_that_do_not_show_it(values, geometry, words):
    with pytest.raises(InputError, match=words):
        estimate_center(values, geometry)
