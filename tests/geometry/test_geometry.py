"""Geometries refuse what cannot exist, survive JSON bit for bit, and say which lines they measure."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrecon.errors import GeometryError
from ctrecon.geometry.as_json import geometry_from_dict, geometry_to_json, grid_from_dict
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.geometry.parallel import ParallelBeam

PARALLEL: dict[str, Any] = {"angles_rad": (0.0, 1.0), "detector_count": 5, "detector_spacing_mm": 0.5}
FAN: dict[str, Any] = {**PARALLEL, "source_to_axis_mm": 410.66, "source_to_detector_mm": 553.74}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("detector_spacing_mm", -0.2, "detector_spacing_mm must be a finite number > 0, got -0.2"),
        ("detector_spacing_mm", 0, "detector_spacing_mm must be a finite number > 0, got 0"),
        ("detector_spacing_mm", math.inf, "got inf"),
        ("detector_spacing_mm", "0.2", "detector_spacing_mm must be a number, got '0.2'"),
        ("detector_spacing_mm", True, "must be a number, got True"),
        ("detector_offset_mm", math.nan, "detector_offset_mm must be finite, got nan"),
        ("detector_offset_mm", None, "detector_offset_mm must be a number, got None"),
        ("detector_count", 0, "detector_count must be a whole number from 1 to 65536, got 0"),
        ("detector_count", 2.0, "got 2.0"),
        ("detector_count", 10**9, "got 1000000000"),
        ("angles_rad", (), "at least one angle"),
        ("angles_rad", ((0.0,), (1.0,)), "got shape (2, 1)"),
        ("angles_rad", (0.0, math.nan, math.inf), "2 values that are not finite, the first at view 1"),
        ("source_to_axis_mm", -1.0, "source_to_axis_mm must be a finite number > 0, got -1.0"),
        ("source_to_detector_mm", 0.0, "source_to_detector_mm must be a finite number > 0, got 0.0"),
    ],
)
def test_impossible_values_are_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        FanBeam(**{**FAN, name: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    if name in PARALLEL:
        with pytest.raises(GeometryError):
            ParallelBeam(**{**PARALLEL, name: value})


@pytest.mark.parametrize("values", [{"rows": 0}, {"columns": 1.5}, {"pixel_mm": 0.0}, {"pixel_mm": math.nan}])
def test_impossible_grids(values: dict[str, Any]) -> None:
    with pytest.raises(GeometryError):
        Grid(**{"rows": 4, "columns": 4, **values})


def test_geometries_cannot_be_changed_and_compare_by_value() -> None:
    geometry = FanBeam(**FAN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        geometry.detector_count = 7  # type: ignore[misc]
    assert geometry == FanBeam(**FAN)
    assert hash(geometry) == hash(FanBeam(**FAN))
    assert geometry != FanBeam(**{**FAN, "detector_offset_mm": 1e-12})
    assert eval(repr(geometry)) == geometry


finite = st.floats(-1e6, 1e6, allow_nan=False)
positive = st.floats(1e-6, 1e6)


@settings(max_examples=50, deadline=None)
@given(
    angles=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
    count=st.integers(1, 65536),
    numbers=st.tuples(positive, finite, positive, positive, positive),
)
def test_json_brings_back_equal_objects(angles: list[float], count: int, numbers: tuple[float, ...]) -> None:
    spacing, offset, source, detector, pixel = numbers
    common: dict[str, Any] = {
        "angles_rad": tuple(angles),
        "detector_count": count,
        "detector_spacing_mm": spacing,
        "detector_offset_mm": offset,
    }
    grid = Grid(rows=3, columns=7, pixel_mm=pixel)
    for geometry in (
        ParallelBeam(**common), FanBeam(**common, source_to_axis_mm=source, source_to_detector_mm=source + detector)
    ):
        assert geometry_from_dict(json.loads(geometry_to_json(geometry, grid))) == (geometry, grid)
        assert geometry_from_dict(json.loads(geometry_to_json(geometry))) == (geometry, None)


def test_the_sidecar_format() -> None:
    values = {
        "geometry": "fan", "angles_deg": [0, 90, 180], "detector_spacing_mm": 0.2, "detector_offset_mm": 0,
        "source_to_axis_mm": 410.66, "source_to_detector_mm": 553.74, "image": {"size": 512, "pixel_mm": 0.1483},
    }
    geometry, grid = geometry_from_dict(values, detector_count=560)
    assert isinstance(geometry, FanBeam)
    np.testing.assert_allclose(geometry.angles_rad, [0, math.pi / 2, math.pi], rtol=1e-15)
    assert geometry.shape == (3, 560)
    assert geometry.magnification == 553.74 / 410.66
    assert grid == Grid(rows=512, columns=512, pixel_mm=0.1483)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geometry": "spiral"}, '"geometry" must be "arc-cone"'),
        ({"angels_deg": [0]}, "unknown entry 'angels_deg'"),
        ({"angles_rad": [0]}, "give the angles once"),
        ({"angles_deg": ["a"]}, "list of numbers"),
        ({"angles_deg": [[0, 1]]}, "list of numbers"),
        ({"angles_deg": [0, True]}, "list of numbers"),
        ({"angles_deg": [0, "1"]}, "list of numbers"),
        ({"angles_deg": [0, 10**400]}, "below 1e308"),
        ({"angles_deg": "01"}, "list of numbers"),
        ({"angles_deg": []}, "at least one angle"),
        ({"detector_count": None}, '"detector_count" is missing'),
        ({"detector_spacing_mm": "wide"}, "must be a number, got 'wide'"),
        ({"source_to_axis_mm": 3}, "unknown entry 'source_to_axis_mm' in a parallel geometry"),
        ({"image": {"size": 5}}, "pixel_mm"),
        ({"image": {"size": 5, "pixel_mm": 1, "pixels": 2}}, "unknown entry 'pixels'"),
        ({"image": {"rows": 5, "pixel_mm": 1}}, '"rows" and "columns"'),
        ({"image": 512}, '"image" must be an object'),
    ],
)
def test_sidecars_that_cannot_be_read(change: dict[str, Any], message: str) -> None:
    values = {"geometry": "parallel", "angles_deg": [0, 1], "detector_count": 4, "detector_spacing_mm": 1, **change}
    with pytest.raises(GeometryError) as caught:
        geometry_from_dict(values)
    assert message in str(caught.value)


@pytest.mark.parametrize("missing", ["detector_spacing_mm", "source_to_axis_mm", "source_to_detector_mm"])
def test_missing_entries_are_named(missing: str) -> None:
    values = json.loads(geometry_to_json(FanBeam(**FAN)))
    del values[missing]
    with pytest.raises(GeometryError, match=missing):
        geometry_from_dict(values)


def test_a_sidecar_must_be_an_object() -> None:
    with pytest.raises(GeometryError, match="must be a JSON object, got list"):
        geometry_from_dict([])  # type: ignore[arg-type]
    with pytest.raises(GeometryError):
        grid_from_dict([])  # type: ignore[arg-type]


def test_views_selects_views_and_rays_agree() -> None:
    for geometry in (ParallelBeam(**{**PARALLEL, "angles_rad": np.linspace(0, 3, 7)}),
                     FanBeam(**{**FAN, "angles_rad": np.linspace(0, 6, 7)})):
        some = geometry.views(slice(1, None, 3))
        assert some.shape == (2, 5)
        assert some == dataclasses.replace(geometry, angles_rad=geometry.angles_rad[1::3])
        for whole, part in zip(geometry.rays(), some.rays(), strict=True):
            assert np.array_equal(whole[1::3], part)
        for whole, part in zip(geometry.rays(slice(2, 4)), geometry.views(slice(2, 4)).rays(), strict=True):
            assert np.array_equal(whole, part)


def test_where_the_rays_run() -> None:
    """At angle 0: the parallel rays are vertical; the fan's source stands below, the detector above."""
    points, directions = ParallelBeam(**{**PARALLEL, "detector_offset_mm": 0.1}).rays()
    np.testing.assert_allclose(points[0], np.stack([np.arange(-2, 3) * 0.5 + 0.1, np.zeros(5)], axis=1), atol=1e-15)
    np.testing.assert_allclose(directions[0], np.tile([0.0, -1.0], (5, 1)), atol=1e-15)
    source, directions = FanBeam(**FAN).rays()
    np.testing.assert_allclose(source[0], np.tile([0.0, -410.66], (5, 1)), atol=1e-12)
    hit = source[0] + directions[0]
    np.testing.assert_allclose(hit[:, 0], np.arange(-2, 3) * 0.5, atol=1e-12)
    np.testing.assert_allclose(hit[:, 1], 553.74 - 410.66, atol=1e-12)
    quarter, _ = FanBeam(**{**FAN, "angles_rad": (math.pi / 2,)}).rays()
    np.testing.assert_allclose(quarter[0, 0], [410.66, 0.0], atol=1e-12)  # counter-clockwise


def test_field_of_view() -> None:
    parallel = ParallelBeam(**{**PARALLEL, "detector_offset_mm": 0.25})
    assert field_of_view_mm(parallel) == pytest.approx(2 * 0.75)  # the side that is nearer
    fan = FanBeam(**FAN)
    assert field_of_view_mm(fan) == pytest.approx(2 * 410.66 * math.sin(math.atan(1.0 / 553.74)))
    for geometry in (parallel, fan):
        grid = default_grid(geometry)
        assert grid.shape == (5, 5)
        assert grid.pixel_mm == pytest.approx(field_of_view_mm(geometry) / 5)
    assert default_grid(fan, size=3, pixel_mm=0.1) == Grid(rows=3, columns=3, pixel_mm=0.1)
    with pytest.raises(GeometryError, match="--pixel-mm"):
        default_grid(ParallelBeam(**{**PARALLEL, "detector_offset_mm": 1.0}))


def test_axes_of_the_image() -> None:
    grid = Grid(rows=2, columns=3, pixel_mm=2.0)
    assert grid.x_mm.tolist() == [-2.0, 0.0, 2.0]
    assert grid.y_mm.tolist() == [1.0, -1.0]


def test_a_detector_before_the_axis_is_refused() -> None:
    with pytest.raises(GeometryError, match="exchanged"):
        FanBeam(angles_rad=(0.0,), detector_count=4, source_to_axis_mm=300.0, source_to_detector_mm=110.0)
