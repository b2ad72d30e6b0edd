"""Noise that is not white: a blur of the detector, a beam that flickers or drifts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from known_sinograms import angle_sets, discs, fan, level, most


@pytest.mark.parametrize("which", ["short", "golden"])
def test_flicker_is_counted_in_any_views(which):
    geometry = replace(fan(), angles_rad=tuple(angle_sets(2 * math.pi, 120)[which]))
    rng = np.random.default_rng(0)
    flicker = 0.01 * rng.standard_normal(geometry.shape) + 0.02 * rng.standard_normal((120, 1))
    sigma, _ = most(discs(geometry, count=6) + flicker, geometry)
    assert 0.95 < sigma / level(flicker) < 1.3


@pytest.mark.parametrize("views", [90, 360])
def test_noise_that_neighbours_share_is_not_missed(views):
    """A detector that blurs, and a beam that flickers from view to view; local fits see two thirds of it, or none."""
    rng = np.random.default_rng(0)
    geometry = fan(views=views)
    clean = discs(geometry, count=6)
    white = rng.standard_normal(geometry.shape)
    blurred = 0.01 * (white + 0.3 * (np.roll(white, 1, axis=1) + np.roll(white, -1, axis=1)))
    flicker = 0.01 * white + 0.02 * rng.standard_normal((views, 1))
    for noise, largest in ((blurred, 1.25), (flicker, 1.15)):
        assert 0.98 < most(clean + noise, geometry)[0] / level(noise) < largest
        assert most(clean + noise)[0] < 0.9 * level(noise)


def test_noise_of_a_scintillator_that_blurs_before_white_noise_is_not_missed_nor_is_a_drift():
    """Light that spreads blurs object and quanta, what comes after is white; and the beam drifts in a smooth profile.

    The noise falls where it is seen and then no more: a blur alone, carried on from there, finds a sixth too little.
    """
    geometry = fan(views=360)
    frequency = np.fft.rfftfreq(geometry.shape[1]) * 2

    def blur(values):
        return np.fft.irfft(np.fft.rfft(values, axis=1) * np.exp(-2.5 * frequency**2), geometry.shape[1], axis=1)

    clean = blur(discs(geometry, count=6))
    x = np.arange(geometry.shape[1]) / geometry.shape[1]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noise = 0.008 * blur(rng.standard_normal(geometry.shape)) + 0.006 * rng.standard_normal(geometry.shape)
        drift = np.cumsum(rng.standard_normal((360, 4)), axis=0) * 0.0004
        drift = (drift - drift.mean(axis=0)) @ np.cos(np.pi * np.arange(4)[:, None] * x) / (1 + np.arange(4).sum())
        assert 0.95 < most(clean + noise, geometry)[0] / level(noise) < 1.1
        assert 0.93 < most(clean + noise + drift, geometry)[0] / level(noise + drift) < 1.12
