"""The likelihood of the noise is what its formula says, and what it leaves out is as unlikely as it is taken for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_ndtr

from ctrecon.measurement import noise_likelihood as of
from ctrecon.measurement.object_spectrum import LIKELY, LIKELY_WITHIN


def plain(seen, level):
    """Every combination at once, none left out."""
    everything, count = seen.everything, seen.shapes
    held, freedom = np.maximum(everything.power, of.NOTHING), everything.views * of._bands(everything.cells)[1]
    noise = level[:, None, None] * of._in_bands(everything.cells)[:count]
    law = (of._laws(everything.cells)[:, None] * of._of_object(everything.cells)[:count])[:, None]
    left, ragged = held - noise, of._RAGGED[:, None, None, None]
    size = np.median(left / law, axis=-1)
    for _ in range(of._ROUNDS):
        own = np.maximum(size, 0)[..., None] * law
        spread = 2 * noise**2 / freedom + 1e-12 * held**2 + own * 4 * noise / freedom + (own * ragged) ** 2
        known = (law**2 / spread).sum(-1)
        size = (law * left / spread).sum(-1) / known
    cost = ((left - size[..., None] * law) ** 2 / spread + np.log(spread)).sum(-1) / 2
    cost += np.log(known) / 2 - log_ndtr(size * np.sqrt(known))
    cost += (((of._EXPONENTS - LIKELY) / LIKELY_WITHIN) ** 2 / 2)[:, None, None]
    shape = of._shapes(seen.x)[:count]
    cost += float(seen.free.sum()) / 2 * np.log(level)[:, None] + np.log(shape) @ seen.free / 2
    cost += (1 / shape) @ seen.power / (2 * level[:, None])
    return cost + np.where(np.arange(count) == 0, 0.0, math.log(of._RATHER_WHITE * of.SHAPES.shape[1]))


@pytest.mark.parametrize("shapes", [1, of.SHAPES.shape[1]])
@pytest.mark.parametrize("bright", [0.0, 1e-3, 1.0, 1e5])
@pytest.mark.parametrize("dimensions", [0, 1, 40])
def test_what_is_left_out_is_as_unlikely_as_it_is_taken_for(shapes, bright, dimensions):
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 30)
    free = np.full(x.size, float(dimensions))
    power = np.array([rng.chisquare(n) if n else 0.0 for n in free]) * np.exp(-x)
    values = rng.standard_normal((20, 60)) + bright * np.cumsum(rng.standard_normal((20, 60)), axis=1)
    seen = of.Seen(of.Everything.of(values), x, power, free, shapes)
    level = np.geomspace(1e-3, 30, 9)
    expected = plain(seen, level)
    for above in (5.0, 30.0, math.inf):
        found = seen.cost(level, above)
        looked = np.isfinite(found)
        np.testing.assert_allclose(found[looked], expected[looked], rtol=1e-9, atol=1e-6)
        assert (expected[~looked] > expected.min() + above).all()
    assert looked.all()
    near = rng.random((expected.shape[0], shapes)) < 0.5
    some = seen.cost(level, math.inf, near)
    np.testing.assert_array_equal(np.isfinite(some), np.broadcast_to(near[:, None], some.shape))


def test_hardly_anything_is_looked_at_where_much_lies_beyond():
    """Or the estimate takes as long as all combinations together."""
    rng = np.random.default_rng(0)
    free = np.full(60, 100.0)
    everything = of.Everything.of(rng.standard_normal((200, 120)))
    seen = of.Seen(everything, np.linspace(0, 1, 60), rng.chisquare(free), free, of.SHAPES.shape[1])
    assert np.isfinite(seen.cost(np.geomspace(1e-4, 30, 25), 10.0)).mean() < 0.25
