"""Bodies in space: true of every family."""

import math

import numpy as np
import pytest

from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.phantoms.bodies import BODIES
from ctrecon.phantoms.solids import Body, Cylinder, Ellipsoid

GRID = Grid(rows=20, columns=20, slices=20, pixel_mm=0.1, slice_mm=0.1)


@pytest.mark.parametrize("family", BODIES, ids=lambda family: family.name)
def test_a_body_lies_in_the_unit_ball_is_nowhere_negative_and_the_seed_decides_it(family):
    for seed in range(3):
        body = family.sample(np.random.default_rng(seed))
        volume = body.image(GRID, 2)
        assert volume.min() > -1e-6
        assert 0.3 < volume.max() < 3
        z, y, x = (axis.ravel() for axis in np.meshgrid(GRID.z_mm, GRID.y_mm, GRID.x_mm, indexing="ij"))
        beyond = x * x + y * y + z * z > (1 + 0.09) ** 2
        assert np.abs(volume.ravel()[beyond]).max() == 0
        assert volume[10, 8:12, 8:12].max() > 0
        assert body == family.sample(np.random.default_rng(seed))
        assert body != family.sample(np.random.default_rng(seed + 100))


@pytest.mark.parametrize("family", BODIES, ids=lambda family: family.name)
def test_its_data_hold_the_mass_of_its_volume_at_every_scale(family):
    """Level parallel rays: the sum of each row of cells is that of the slice, whatever the angle."""
    body = family.sample(np.random.default_rng(5)).scaled(30.0, 0.02)
    fine = Grid(rows=48, columns=48, slices=20, pixel_mm=1.25, slice_mm=3.0)
    rays = ParallelRows(
        angles_rad=(0.1, 0.9, 2.0), detector_count=48, detector_rows=20, detector_spacing_mm=1.25,
        detector_row_spacing_mm=3.0,
    )  # fmt: skip
    areas = body.image(fine, 2).sum(axis=(1, 2)) * 1.25**2
    sums = body.sinogram(rays, 2).sum(axis=2) * 1.25
    assert np.abs(sums - areas).max() < 0.02 * areas.max()
    assert np.abs(1.1 * sums - areas).max() > 0.02 * areas.max()


def test_a_scale_that_is_none_is_refused():
    body = Body((Cylinder(center=(0.1, 0), semi_axes=(0.3, 0.2), value=1.0, bottom_mm=-0.5),))
    twice = body.scaled(2.0, 0.5).solids[0]
    assert (twice.center, twice.semi_axes, twice.value, twice.bottom_mm) == ((0.2, 0), (0.6, 0.4), 0.5, -1.0)
    assert twice.top_mm == math.inf
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(SettingError, match="scale"):
            body.scaled(wrong, 1.0)


SOLIDS = (
    Ellipsoid(center=(0.2, -0.3, 0.1), semi_axes=(0.5, 0.2, 0.7), value=1.5, angle_rad=0.6),
    Cylinder(center=(-0.2, 0.1), semi_axes=(0.4, 0.6), value=0.8, bottom_mm=-0.5, top_mm=0.3),
    Cylinder(center=(0.3, 0.2), semi_axes=(0.3, 0.5), value=-0.4, top_mm=0.6),
)
# A line along the axis, one on a level within and one above, and lines anywhere.
POINTS = np.concatenate([[(0.25, 0.1, 9.0), (-3.0, 0.15, 0.2), (-3.0, 0.15, 0.65)],
                         np.random.default_rng(0).uniform(-0.8, 0.8, (17, 3))])  # fmt: skip
DIRECTIONS = np.concatenate([[(0, 0, -2.0), (1.5, 0, 0), (1.5, 0, 0)],
                             np.random.default_rng(1).uniform(-1, 1, (17, 3))])  # fmt: skip


@pytest.mark.parametrize("solid", SOLIDS, ids=["ellipsoid", "cylinder", "cylinder without an end"])
def test_the_length_inside_is_what_many_points_on_the_line_say(solid):
    t = np.linspace(-12, 12, 4001)
    found = Body((solid,)).line_integral(POINTS, DIRECTIONS)
    for point, direction, length in zip(POINTS, DIRECTIONS, found, strict=True):
        x, y, z = point[:, None] + direction[:, None] * t
        if solid is SOLIDS[2] and direction[0] == direction[1] == 0:
            assert math.isinf(length)  # it goes down for ever
            continue
        within = np.array([bool(solid.inside(*where)) for where in zip(x, y, z, strict=True)])
        if within[0] or within[-1]:
            continue
        along = within.mean() * 24 * np.linalg.norm(direction)
        assert length == pytest.approx(solid.value * along, abs=0.02)
    assert np.count_nonzero(found) > 4
    whole = Body(SOLIDS).line_integral(POINTS, DIRECTIONS)
    parts = sum(Body((one,)).line_integral(POINTS, DIRECTIONS) for one in SOLIDS)
    assert np.allclose(whole[1:], parts[1:])
    assert Body(SOLIDS).line_integral(POINTS[1:].reshape(1, 19, 3), DIRECTIONS[1:].reshape(1, 19, 3)).shape == (1, 19)
