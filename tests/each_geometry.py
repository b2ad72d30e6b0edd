"""Every class of geometry that exists, for tests that run over all of them or over those in a plane."""

import numpy as np
import pytest
from geometries import EXAMPLES
from laws import classes_in

import ctrecon.geometry
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.registry import geometries

CLASSES = classes_in(ctrecon.geometry, Geometry)
NAMED = [(kind.__name__, name) for kind in CLASSES for name in EXAMPLES.get(kind, {"": None})]
GRIDS = {
    "centred": Grid(rows=72, columns=76, pixel_mm=0.52),
    "elsewhere": Grid(rows=90, columns=62, pixel_mm=(0.43, 0.66), centre_mm=(1.3, -0.7)),
}


def example(kind, name):
    cases = {one.__name__: made for one, made in EXAMPLES.items()}
    if kind not in cases or kind not in {one.__name__ for one in geometries().values()}:
        pytest.fail(f"{kind} is new: give it examples in tests/geometries.py, and the decorator @register")
    return cases[kind][name]()


def every(test):
    return pytest.mark.parametrize(("kind", "name"), NAMED, ids=[name or kind for kind, name in NAMED])(test)


def planar(test):
    flat = [(kind, name) for kind, name in NAMED if len(example(kind, name).shape) == 2]
    return pytest.mark.parametrize(("kind", "name"), flat, ids=[name or kind for kind, name in flat])(test)


grids = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def apart(rays, others):
    """How far lines are from each other within 40 mm about the axis, in mm."""
    lines = []
    for points, directions in (rays, others):
        d = directions / np.hypot(directions[..., 0], directions[..., 1])[..., None]
        nearest = points - (points * d).sum(-1)[..., None] * d
        lines.append([nearest - 40 * d, nearest + 40 * d])
    return max(float(np.abs(a - b).max()) for a, b in zip(*lines, strict=True))
