"""Line integrals of a ball off the centre, exactly: no turn, mirror, shift or upside down is unnoticed."""

from __future__ import annotations

import numpy as np

PLACE, RADIUS_MM, MU = (4.0, 1.5, 2.5), 4.0, 0.05


def ball(geometry, place=PLACE, radius=RADIUS_MM, mu=MU) -> np.ndarray:
    """``[views, rows, columns]`` of a geometry in space, ``[views, columns]`` of one in the plane."""
    start, way = geometry.to_vectors().rays()
    way = way / np.linalg.norm(way, axis=-1, keepdims=True)
    apart = np.asarray(place) - start
    near = (apart**2).sum(axis=-1) - (apart * way).sum(axis=-1) ** 2
    lines = 2 * mu * np.sqrt(np.maximum(radius**2 - near, 0))
    return lines.reshape(geometry.shape)


def noisy(lines: np.ndarray, sigma: float = 1e-5) -> np.ndarray:
    """With noise, as every detector has it: a cell that says one number in all views is taken for dead."""
    return lines + sigma * np.random.default_rng(0).standard_normal(lines.shape)


def shows_every_turn(geometry, values: np.ndarray, tolerance: float = 2e-3) -> None:
    """The values are the ball's in this geometry, and would be no other way round."""
    assert values.shape == geometry.shape
    assert np.abs(values - ball(geometry)).max() < tolerance
    for axis in range(values.ndim):
        assert np.abs(np.flip(values, axis) - ball(geometry)).max() > 20 * tolerance
