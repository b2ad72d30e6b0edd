"""Sinograms whose noise is known, and the level that is found in them."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.noise_level import estimate_sigma


def discs(geometry, *, count=12, seed=0):
    """The exact line integrals of discs inside a circle of 60 mm: ``2 mu sqrt(r^2 - distance^2)``."""
    rng = np.random.default_rng(seed)
    points, directions = geometry.rays()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    total = np.zeros(geometry.shape)
    shapes = zip(*rng.uniform(-30, 30, (2, count)), rng.uniform(3, 25, count), rng.random(count), strict=True)
    for x, y, r, mu in shapes:
        away = (points[..., 0] - x) * unit[..., 1] - (points[..., 1] - y) * unit[..., 0]
        total += 2 * mu * np.sqrt(np.maximum(r**2 - away**2, 0)) * 0.02
    return total


def parallel(views=90, detectors=200):
    angles = tuple(np.arange(views) * math.pi / views)
    return ParallelBeam(angles_rad=angles, detector_count=detectors, detector_spacing_mm=0.7)


def fan(views=120, detectors=164):
    angles = tuple(np.arange(views) * 2 * math.pi / views)
    return FanBeam(
        angles_rad=angles,
        detector_count=detectors,
        detector_spacing_mm=1.2,
        source_to_axis_mm=400.0,
        source_to_detector_mm=550.0,
    )


def most(sinogram, geometry=None):
    """The estimate with caution, as delta takes it."""
    found, where = estimate_sigma(sinogram, geometry)
    assert found.likely <= found.most
    return found.most, where


def level(noise):
    return float(np.linalg.norm(noise)) / math.sqrt(noise.size)


def angle_sets(full, views):
    """What closes no turn in even steps: a short scan, a gap, the golden angle, random angles."""
    gap = np.arange(views + views // 6) / (views + views // 6) * full
    return {
        "short": np.arange(views) / views * 0.8 * full,
        "gap": np.delete(gap, slice(views // 3, views // 3 + views // 6)),
        "golden": np.arange(views) * math.pi * (math.sqrt(5) - 1) % (2 * math.pi),
        "random": np.random.default_rng(4).random(views) * 2 * math.pi,
    }
