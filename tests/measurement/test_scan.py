"""A scan fits together or it does not exist."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from scipy import sparse

from ctrecon.errors import GeometryError, InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.scan import Scan

VIEWS, DETECTORS = 6, 9


def parallel(views=VIEWS, detectors=DETECTORS, **more):
    return ParallelBeam(angles_rad=tuple(np.arange(views) * math.pi / views), detector_count=detectors, **more)


def values(seed=0, views=VIEWS, detectors=DETECTORS):
    return np.random.default_rng(seed).random((views, detectors))


def test_a_scan_keeps_what_it_is_given_and_cannot_be_changed():
    scan = Scan(sinogram=values(), geometry=parallel(), variance=values(1), source="a.npy", notes=("assumed",))
    assert scan.sinogram.dtype == np.float64
    assert scan.image_shape is None
    with pytest.raises(FrozenInstanceError):
        scan.source = "other"
    assert scan != replace(scan), "scans are compared by identity, not by millions of values"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["sinogram", "variance", "counts", "white"])
def test_values_that_are_not_finite_are_counted_and_found(bad, name):
    arrays = {key: values(k) + 1 for k, key in enumerate(("sinogram", "variance", "counts", "white"))}
    Scan(geometry=parallel(), **arrays)
    arrays[name][2, 5] = arrays[name][4, 1] = bad
    found = Scan(geometry=parallel(), source="a.npy", **arrays)
    assert np.argwhere(~found.mask).tolist() == [[2, 5], [4, 1]]
    assert np.isfinite(getattr(found, name)).all()
    assert "2 of 54 rays are missing and have no weight: 2 single rays" in found.notes[-1]
    arrays[name][1:, 1:] = bad
    with pytest.raises(InputError, match=rf"a\.npy: the {name} holds 40 values .* first at view 1, detector 1"):
        Scan(geometry=parallel(), source="a.npy", **arrays)


def test_absurd_values_are_refused_before_they_overflow():
    with pytest.raises(InputError, match=r"a\.npy: the sinogram holds 1e\+200 at most, which nothing measures"):
        Scan(sinogram=np.where(np.eye(VIEWS, DETECTORS) > 0, 1e200, 0), geometry=parallel(), source="a.npy")
    with pytest.raises(InputError, match=r"a\.npy: the sinogram holds 1e-300 at most, which nothing measures"):
        Scan(sinogram=np.full((VIEWS, DETECTORS), 1e-300), geometry=parallel(), source="a.npy")


@pytest.mark.parametrize("dtype", [np.int32, np.complex128, np.float16, bool])
def test_only_single_and_double_precision(dtype):
    with pytest.raises(InputError, match="float32 or float64"):
        Scan(sinogram=values().astype(dtype), geometry=parallel())


@pytest.mark.parametrize("shape", [(), (54,), (1, 6, 9), (0, 9), (6, 0)])
def test_only_two_dimensions(shape):
    with pytest.raises(InputError, match="two-dimensional"):
        Scan(sinogram=np.zeros(shape), geometry=parallel())


def test_angles_that_do_not_match():
    with pytest.raises(InputError, match=r"angles that do not match: .* 6 views of 9 .* 7 angles and 9"):
        Scan(sinogram=values(), geometry=parallel(views=7))
    with pytest.raises(InputError, match="9 detectors, the geometry 6 angles and 8"):
        Scan(sinogram=values(), geometry=parallel(detectors=8))


def test_variances_are_positive_and_fit():
    with pytest.raises(InputError, match="variance must be > 0"):
        Scan(sinogram=values(), geometry=parallel(), variance=np.zeros((VIEWS, DETECTORS)))
    with pytest.raises(InputError, match="variance has shape"):
        Scan(sinogram=values(), geometry=parallel(), variance=np.ones((VIEWS, 1)))
    with pytest.raises(InputError, match="together"):
        Scan(sinogram=values(), geometry=parallel(), counts=values())


def test_something_must_say_what_was_measured():
    with pytest.raises(InputError, match="--geometry"):
        Scan(sinogram=values())


def matrix(columns=16, seed=0):
    return sparse.random(VIEWS * DETECTORS, columns, 0.3, format="csr", rng=np.random.default_rng(seed))


def test_a_matrix_stands_for_a_geometry():
    assert Scan(sinogram=values(), matrix=matrix()).image_shape == (4, 4)
    assert Scan(sinogram=values(), matrix=matrix(15), image_shape=(3, 5)).image_shape == (3, 5)
    with pytest.raises(InputError, match="15 columns, not the square"):
        Scan(sinogram=values(), matrix=matrix(15))
    with pytest.raises(InputError, match="need"):
        Scan(sinogram=values(), matrix=matrix(15), image_shape=(3, 4))
    with pytest.raises(InputError, match="CSR"):
        Scan(sinogram=values(), matrix=matrix().tocsc())
    broken = matrix()
    broken.data[0] = math.nan
    with pytest.raises(InputError, match=r"1 values that are not finite"):
        Scan(sinogram=values(), matrix=broken)


def test_every_third_view_of_values_angles_and_matrix_rows():
    scan = Scan(sinogram=values(), geometry=parallel(), variance=values(1) + 1, matrix=matrix())
    kept = scan.every(3)
    np.testing.assert_array_equal(kept.sinogram, scan.sinogram[::3])
    np.testing.assert_array_equal(kept.variance, scan.variance[::3])
    assert kept.geometry.angles_rad == scan.geometry.angles_rad[::3]
    u = np.arange(16.0)
    full = (scan.matrix @ u).reshape(VIEWS, DETECTORS)
    np.testing.assert_allclose((kept.matrix @ u).reshape(2, DETECTORS), full[::3])
    assert "2 views" in kept.notes[-1]
    assert scan.every(1) is scan
    for step in (0, -1, 7, 1.5, True):
        with pytest.raises(InputError, match="every must be a whole number from 1 to its 6 views"):
            scan.every(step)


@pytest.mark.parametrize("spacing", [1.0, 0.2])
@pytest.mark.parametrize("column", [0, 3.25, 4, 8])
def test_the_axis_projects_to_the_column_named(column, spacing):
    """The cell coordinate is 0 there: interpolate the cells' own coordinates."""
    scan = Scan(sinogram=values(), geometry=parallel(detector_spacing_mm=spacing)).with_center(column)
    at = np.interp(column, np.arange(DETECTORS), scan.geometry.detector_mm)
    assert at == pytest.approx(0, abs=1e-12)
    assert np.interp(column + 0.5, np.arange(DETECTORS + 1), [*scan.geometry.detector_mm, 99]) != pytest.approx(0)


@pytest.mark.parametrize("column", [-0.1, 8.1, math.nan, math.inf])
def test_the_axis_must_project_onto_the_detector(column):
    with pytest.raises(InputError, match="columns 0 to 8"):
        Scan(sinogram=values(), geometry=parallel()).with_center(column)


def test_size_and_pixel_keep_the_square_that_is_covered():
    fan = FanBeam(
        angles_rad=parallel().angles_rad, detector_count=DETECTORS, source_to_axis_mm=40.0, source_to_detector_mm=60.0
    )
    bare = Scan(sinogram=values(), geometry=fan)
    given = replace(bare, grid=Grid(rows=8, columns=8, pixel_mm=0.5))
    assert given.with_grid() is given
    assert given.with_grid(size=16).grid == Grid(rows=16, columns=16, pixel_mm=0.25)
    assert given.with_grid(pixel_mm=0.25).grid == Grid(rows=16, columns=16, pixel_mm=0.25)
    assert given.with_grid(size=5, pixel_mm=2.0).grid == Grid(rows=5, columns=5, pixel_mm=2.0)
    grid = bare.with_grid().grid
    assert grid.shape == (DETECTORS, DETECTORS)
    assert bare.with_grid(size=18).grid.pixel_mm == pytest.approx(grid.pixel_mm / 2)
    assert bare.with_grid(pixel_mm=grid.pixel_mm / 3).grid.rows == 27
    for wrong in ({"size": 0}, {"size": -4}, {"pixel_mm": 0.0}, {"pixel_mm": math.nan}, {"size": 4, "pixel_mm": -1.0}):
        with pytest.raises(GeometryError):
            given.with_grid(**wrong)
        with pytest.raises(GeometryError):
            bare.with_grid(**wrong)


def test_a_matrix_fixes_the_image():
    scan = Scan(sinogram=values(), matrix=matrix())
    assert scan.with_grid() is scan
    assert scan.with_grid(size=4) is scan
    for wrong in ({"size": 5}, {"pixel_mm": 0.5}):
        with pytest.raises(InputError, match="its matrix fixes the image"):
            scan.with_grid(**wrong)
    both = replace(scan, geometry=parallel()).with_grid(pixel_mm=0.5)
    assert both.grid == Grid(rows=4, columns=4, pixel_mm=0.5)
