"""Phantoms: line integrals against the definition and against the discrete operator, and the families' promises."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ctrecon.errors import GeometryError, SettingError
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.sparse import sparse_operator
from ctrecon.phantoms import FAMILIES, Ellipse, Gaussian, Phantom, Polygon
from ctrecon.phantoms.base import Raster

ANGLES = tuple(np.linspace(0.1, 2 * math.pi + 0.1, 24, endpoint=False).tolist())
PARALLEL = ParallelBeam(angles_rad=ANGLES, detector_count=96, detector_spacing_mm=1.1, detector_offset_mm=2.3)
FAN = FanBeam(
    angles_rad=ANGLES,
    detector_count=96,
    detector_spacing_mm=2.2,
    detector_offset_mm=4.3,
    source_to_axis_mm=120.0,
    source_to_detector_mm=230.0,
)
GEOMETRIES = [pytest.param(PARALLEL, id="parallel"), pytest.param(FAN, id="fan")]

SHAPES = {
    "disc": Ellipse(center=(7.0, -9.0), semi_axes=(20.0, 20.0), value=0.02),
    "ellipse": Ellipse(center=(-8.0, 5.0), semi_axes=(26.0, 9.0), value=0.03, angle_rad=0.7),
    "triangle": Polygon(vertices=((-20.0, -25.0), (28.0, -6.0), (3.0, 22.0)), value=0.02),
    # Clockwise and not convex: lines cross it up to four times.
    "arrow": Polygon(vertices=((-22.0, -20.0), (2.0, 25.0), (30.0, -24.0), (3.0, -3.0)), value=0.02),
    "gaussian": Gaussian(center=(6.0, 9.0), widths=(8.0, 3.0), value=0.03, angle_rad=-0.5),
}
PRIMITIVES = [pytest.param(shape, id=name) for name, shape in SHAPES.items()]
FAMILY = [pytest.param(family, id=family.name) for family in FAMILIES]
SEEDS = range(25)


def mass(shape):
    if isinstance(shape, Polygon):
        return shape.area * shape.value
    if isinstance(shape, Gaussian):
        return 2 * math.pi * math.prod(shape.widths) * shape.value
    return math.pi * math.prod(shape.semi_axes) * shape.value


def grid_of(side):
    return Grid(rows=side, columns=side, pixel_mm=80.0 / side)


def discrete(phantom, geometry, side):
    """Joseph's projector on the rasterised phantom, with the detector cells split as the phantom splits them."""
    fine = dataclasses.replace(geometry, detector_count=192, detector_spacing_mm=geometry.detector_spacing_mm / 2)
    operator = sparse_operator(fine, grid_of(side), dtype=torch.float64)
    image = torch.from_numpy(phantom.image(grid_of(side))).double()
    return operator(image[None, None])[0, 0].numpy().reshape(*geometry.shape, 2).mean(axis=2)


def defect(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("shape", PRIMITIVES)
def test_discrete_projection_converges_to_the_analytic_one(shape, geometry):
    phantom = Phantom((shape,))
    exact = phantom.sinogram(geometry, oversample=2)
    errors = [defect(discrete(phantom, geometry, side), exact) for side in (40, 80, 160)]
    assert errors[0] > 1.6 * errors[1] > 1.6**2 * errors[2]
    assert errors[-1] < 0.01

    # What must be told apart: the detector's sense, the sense and the origin of rotation, the side of the source.
    mirrored = dataclasses.replace(geometry, detector_offset_mm=-geometry.detector_offset_mm)
    backwards = dataclasses.replace(geometry, angles_rad=tuple(-a for a in ANGLES))
    shifted = dataclasses.replace(geometry, angles_rad=tuple(a + math.pi for a in ANGLES))
    for wrong in (mirrored, backwards, shifted):
        assert defect(discrete(phantom, geometry, 80), phantom.sinogram(wrong, oversample=2)) > 0.05


@pytest.mark.parametrize("shape", PRIMITIVES)
def test_line_integral_is_the_integral_of_the_value(shape):
    rng = np.random.default_rng(3)
    points = rng.uniform(-15, 15, size=(40, 2))
    directions = rng.normal(size=(40, 2))
    unit = directions / np.hypot(directions[:, :1], directions[:, 1:])
    t = (np.arange(200_000) + 0.5) / 200_000 * 240 - 120
    places = points[:, :, None] + unit[:, :, None] * t
    numeric = np.array([shape.value_at(x, y).sum() * (t[1] - t[0]) for x, y in places])
    exact = shape.line_integral(points, directions)
    assert exact.shape == (40,)
    np.testing.assert_allclose(exact, numeric, atol=2e-3 * 0.03)
    assert np.abs(exact - numeric[::-1]).max() > 0.01


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("shape", PRIMITIVES)
def test_views_agree_with_single_lines(shape, geometry):
    """The search for the lines that touch the shape loses none."""
    phantom = Phantom((shape,))
    lines = shape.line_integral(*geometry.rays())
    assert (lines == 0).any()
    np.testing.assert_allclose(phantom.sinogram(geometry, oversample=1), lines, rtol=1e-6, atol=1e-12)


def test_a_source_inside_the_phantom_still_measures_whole_lines():
    near = dataclasses.replace(FAN, source_to_axis_mm=10.0, detector_spacing_mm=20.0)
    for shape in SHAPES.values():
        expected = shape.line_integral(*near.rays())
        np.testing.assert_allclose(Phantom((shape,)).sinogram(near, 1), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "grid",
    [Grid(rows=30, columns=44, pixel_mm=1.7), Grid(rows=30, columns=44, pixel_mm=(1.9, 1.5), centre_mm=(2.3, -4.1))],
    ids=["square", "elsewhere"],
)
@pytest.mark.parametrize("shape", PRIMITIVES)
def test_image_is_the_mean_of_the_values_at_the_sub_samples(shape, grid):
    phantom = Phantom((shape,))
    raster = Raster(grid=grid, oversample=3)
    x = raster.left_mm + raster.across_mm * np.arange(44 * 3)
    y = raster.top_mm - raster.down_mm * np.arange(30 * 3)
    expected = shape.value_at(x[None, :], y[:, None]).reshape(30, 3, 44, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(phantom.image(grid, oversample=3), expected, rtol=1e-5, atol=1e-8)
    assert np.abs(phantom.image(grid, oversample=3) - expected[::-1]).max() > 1e-3
    one = phantom.image(grid, oversample=1)
    np.testing.assert_allclose(one, shape.value_at(grid.x_mm[None, :], grid.y_mm[:, None]), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("shape", PRIMITIVES)
def test_image_and_every_parallel_view_hold_the_mass(shape):
    phantom = Phantom((shape,))
    image = phantom.image(Grid(rows=400, columns=400, pixel_mm=0.25))
    assert image.sum(dtype=np.float64) * 0.25**2 == pytest.approx(mass(shape), rel=2e-3)
    wide = dataclasses.replace(PARALLEL, detector_count=300, detector_spacing_mm=0.5)
    views = phantom.sinogram(wide, oversample=8).sum(axis=1, dtype=np.float64) * 0.5
    np.testing.assert_allclose(views, mass(shape), rtol=5e-4)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_cell_holds_the_mean_of_its_sub_rays(geometry):
    phantom = Phantom(tuple(SHAPES.values()))
    fine = dataclasses.replace(geometry, detector_count=96 * 5, detector_spacing_mm=geometry.detector_spacing_mm / 5)
    means = phantom.sinogram(fine, oversample=1).reshape(24, 96, 5).mean(axis=2)
    np.testing.assert_allclose(phantom.sinogram(geometry, oversample=5), means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", FAMILY)
def test_scaling_lengths_by_a_and_attenuation_by_b_scales_sinograms_by_ab(family):
    phantom = family.sample(np.random.default_rng(5))
    small = FanBeam(
        angles_rad=ANGLES, detector_count=60, detector_spacing_mm=0.08, source_to_axis_mm=3.0, source_to_detector_mm=5.0
    )
    a, b = 37.0, 0.021
    large = dataclasses.replace(
        small, detector_spacing_mm=0.08 * a, source_to_axis_mm=3.0 * a, source_to_detector_mm=5.0 * a
    )
    expected = a * b * phantom.sinogram(small)
    np.testing.assert_allclose(phantom.scaled(a, b).sinogram(large), expected, rtol=1e-4, atol=1e-4 * expected.max())
    assert defect(phantom.scaled(a, b).sinogram(small), expected) > 0.1
    grids = Grid(rows=32, columns=32, pixel_mm=0.07), Grid(rows=32, columns=32, pixel_mm=0.07 * a)
    images = phantom.image(grids[0]), phantom.scaled(a, b).image(grids[1])
    assert defect(images[1], b * images[0]) < 1e-3


@pytest.mark.parametrize("shape", PRIMITIVES)
def test_turning_the_phantom_is_turning_the_scanner(shape):
    phantom = Phantom((shape,))
    ahead = dataclasses.replace(FAN, angles_rad=tuple(a + 0.4 for a in ANGLES))
    turned = phantom.moved(turn_rad=0.4).sinogram(ahead)
    assert defect(turned, phantom.sinogram(FAN)) < 1e-5
    assert defect(phantom.moved(turn_rad=-0.4).sinogram(ahead), phantom.sinogram(FAN)) > 0.05


@pytest.mark.parametrize("family", FAMILY)
def test_families_are_nowhere_negative_and_stay_in_the_unit_disc(family):
    grid = Grid(rows=200, columns=200, pixel_mm=2.4 / 200)
    outside = np.hypot(grid.x_mm[None, :], grid.y_mm[:, None]) > 1 + grid.pixel_mm
    for seed in SEEDS:
        image = family.sample(np.random.default_rng(seed)).image(grid, oversample=2)
        assert image.min() >= 0, f"seed {seed}"
        assert image[outside].max() < 0.02, f"seed {seed}"
        assert 0.3 < image.max() < 15, f"seed {seed}"
        assert image.mean() > 0.02, f"seed {seed}"


@pytest.mark.parametrize("family", FAMILY)
def test_the_same_seed_gives_the_same_phantom_and_another_a_different_one(family):
    first, again, other = (family.sample(np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    grid = Grid(rows=64, columns=64, pixel_mm=1 / 32)
    assert first.image(grid).tobytes() == again.image(grid).tobytes()
    assert first.sinogram(PARALLEL).tobytes() == again.sinogram(PARALLEL).tobytes()
    assert defect(first.image(grid), other.image(grid)) > 0.01


@pytest.mark.parametrize("family", FAMILY)
def test_family_sinogram_matches_the_discrete_one(family):
    phantom = family.sample(np.random.default_rng(11)).scaled(38.0, 0.02)
    assert defect(discrete(phantom, FAN, 160), phantom.sinogram(FAN, oversample=2)) < 0.015
    assert defect(discrete(phantom, FAN, 160), phantom.moved(turn_rad=0.1).sinogram(FAN, oversample=2)) > 0.015


def test_polygon_families_draw_simple_polygons():
    """The line integral is right for outlines that do not cross themselves; a crossing one would lose mass."""
    for family in FAMILIES:
        for seed in range(6):
            for part in family.sample(np.random.default_rng(seed)).primitives:
                if isinstance(part, Polygon):
                    assert not crosses_itself(np.asarray(part.vertices)), (family.name, seed)
    assert crosses_itself(np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))


def crosses_itself(vertices):
    p, q = vertices, np.roll(vertices, -1, axis=0)

    def side(a, b, c):
        ab, ac = b - a, c - a
        return np.sign(ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0])

    a, b, c, d = p[:, None], q[:, None], p[None], q[None]
    return bool(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any())


def test_names_are_unique_and_six():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 6


def test_bad_settings_are_refused_in_one_line():
    phantom = Phantom((SHAPES["disc"],))
    with pytest.raises(SettingError, match="radius_mm must be a finite number > 0, got -1"):
        phantom.scaled(-1.0, 0.02)
    with pytest.raises(SettingError, match="mu_per_mm"):
        phantom.scaled(1.0, math.nan)
    with pytest.raises(SettingError, match="oversample must be a whole number"):
        phantom.image(grid_of(8), oversample=0)
    with pytest.raises(SettingError, match="at least 3 vertices"):
        Polygon(vertices=((0.0, 0.0), (1.0, 0.0)), value=1.0)
    cone = ConeBeam(
        angles_rad=(0.0,), detector_count=9, detector_rows=2, source_to_axis_mm=50.0, source_to_detector_mm=90.0
    )
    with pytest.raises(GeometryError, match="ConeBeam measures in space"):
        phantom.sinogram(cone)
