"""Discs with holes, as the Helsinki challenge cuts them into acrylic: round holes, cells between walls, crosses."""

import numpy as np
from scipy.spatial import Voronoi

from ctrecon.phantoms import Ellipse, Phantom, Polygon

RIM = 0.95  # the disc's radius; the unit disc leaves it room to stand off the middle


def sample(rng):
    disc = Ellipse(center=(0, 0), semi_axes=(RIM, RIM), value=1.0)
    holes = [rounds, cells, crosses][rng.integers(3)](rng)
    cut = [Polygon(vertices=tuple(map(tuple, h)), value=-1.0) for h in holes if np.hypot(*h.T).max() < 0.88 * RIM]
    phantom = Phantom((disc, *cut)).moved(shift=(rng.uniform(0, 0.04), 0.0))
    return phantom.moved(turn_rad=rng.uniform(0, 2 * np.pi))


def places(rng, gap, jitter):
    """A lattice of points about ``gap`` apart, each off its place by ``jitter`` at most."""
    x, y = np.meshgrid(np.arange(-8, 9) * gap, np.arange(-8, 9) * gap)
    x[1::2] += gap / 2
    return np.stack([x.ravel(), y.ravel()], 1) + rng.uniform(-jitter, jitter, (x.size, 2))


def curve(place, radius, turn, squash):
    """Points ``radius(t)`` about ``place``, the second axis made shorter, all of it turned."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    flat = np.stack([radius(t) * np.cos(t), squash * radius(t) * np.sin(t)], 1)
    return place + flat @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def rounds(rng):
    size, turn, share = rng.uniform(0.05, 0.2), rng.uniform(0, np.pi), rng.uniform(0.2, 1)
    kept = [place for place in places(rng, 2.6 * size, 0.2 * size) if rng.random() < share]
    return [curve(place, lambda t: size + 0 * t, turn, rng.uniform(0.5, 1)) for place in kept]


def cells(rng):
    gap, wall = rng.uniform(0.25, 0.5), rng.uniform(0.75, 0.88)
    found = Voronoi(places(rng, gap, 0.25 * gap))
    closed = [(p, found.vertices[found.regions[r]]) for p, r in zip(found.points, found.point_region, strict=True)]
    ends = [(p, 0.75 * c + 0.25 * np.roll(c, -1, 0), 0.25 * c + 0.75 * np.roll(c, -1, 0)) for p, c in closed]
    return [p + wall * (np.stack([a, b], 1).reshape(-1, 2) - p) for p, a, b in ends if np.hypot(*p) < 1]


def crosses(rng):
    size, turn, arms, depth = rng.uniform(0.12, 0.25), rng.uniform(0, np.pi), rng.integers(2, 5), rng.uniform(0.3, 0.6)
    lobes = [(place, rng.uniform(0.8, 1) * size) for place in places(rng, 2.3 * size, 0.1 * size)]
    return [curve(p, lambda t, s=s: s * (1 - depth * np.cos(arms * t / 2) ** 2), turn, 1.0) for p, s in lobes]
