"""The curved detector: its rays, its operators against a dense oracle and exact integrals, its back projection."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from laws import check_operator

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.errors import CtreconError, GeometryError, OperatorError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.as_json import geometry_from_dict, geometry_to_json
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.noise_level import estimate_sigma
from ctrecon.operators.astra import AstraCpuOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix, sparse_operator
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.support.arrays import Float64Array


def arc(
    views: int = 12, cells: int = 21, *, offset: float = 0.3, spacing: float = 1.6, span: float = 2 * math.pi,
    angle_shift: float = 0.01, radius_shift: float = 0.4,
) -> ArcFanBeam:
    """A narrow scanner whose focal spot flies to and fro."""
    sign = np.where(np.arange(views) % 2, 1.0, -0.5)
    return ArcFanBeam(
        angles_rad=tuple(np.arange(views) * span / views), detector_count=cells, detector_spacing_mm=spacing,
        detector_offset_mm=offset, source_to_axis_mm=20.0, source_to_detector_mm=38.0,
        source_angle_shift_rad=tuple(angle_shift * sign), source_radius_shift_mm=tuple(radius_shift * sign),
    )


def medical(views: int = 180, cells: int = 128, *, flies: bool = True, span: float = 2 * math.pi) -> ArcFanBeam:
    """The size of a hospital's scanner, with a quarter of a cell's offset."""
    odd = np.arange(views) % 2
    return ArcFanBeam(
        angles_rad=tuple(0.3 + np.arange(views) * span / views), detector_count=cells,
        detector_spacing_mm=300 / cells, detector_offset_mm=75 / cells, source_to_axis_mm=595.0,
        source_to_detector_mm=1085.6, source_angle_shift_rad=tuple(1e-3 * (2 * odd - 1)) if flies else (),
        source_radius_shift_mm=tuple(5.45 * odd) if flies else (),
    )


GRID = Grid(rows=13, columns=18, pixel_mm=0.7)
DISCS = Phantom((
    Ellipse(center=(0.0, 0.0), semi_axes=(60.0, 60.0), value=0.02),
    Ellipse(center=(25.0, 10.0), semi_axes=(14.0, 14.0), value=0.004),
    Ellipse(center=(-25.0, -20.0), semi_axes=(12.0, 18.0), value=-0.006, angle_rad=0.4),
))


def by_hand(geometry: ArcFanBeam, view: int, cell: int) -> tuple[Float64Array, Float64Array]:
    """Source and cell by the formulas of the page, one at a time."""
    t, R, D = geometry.angles_rad[view], geometry.source_to_axis_mm, geometry.source_to_detector_mm
    s = (cell - (geometry.detector_count - 1) / 2) * geometry.detector_spacing_mm + geometry.detector_offset_mm
    g = s / D
    nominal = R * np.array([math.sin(t), -math.cos(t)])
    there = nominal + D * np.array([
        math.sin(g) * math.cos(t) - math.cos(g) * math.sin(t), math.sin(g) * math.sin(t) + math.cos(g) * math.cos(t)
    ])
    shifted, far = t + geometry.source_angle_shift_rad[view], R + geometry.source_radius_shift_mm[view]
    return far * np.array([math.sin(shifted), -math.cos(shifted)]), there


def test_rays_run_from_the_true_source_to_the_cell() -> None:
    geometry = arc()
    points, directions = geometry.rays()
    for view in (0, 3, 10):
        for cell in (0, 7, 20):
            source, there = by_hand(geometry, view, cell)
            assert np.allclose(points[view, cell], source, atol=1e-12)
            assert np.allclose(points[view, cell] + directions[view, cell], there, atol=1e-12)
    part_points, part = geometry.views(slice(1, None, 3)).rays()
    assert np.array_equal(part, directions[1::3])
    assert np.array_equal(part_points, geometry.rays(slice(1, None, 3))[0])


def test_a_narrow_arc_is_nearly_flat_and_a_wide_one_is_not() -> None:
    def apart(cells: int) -> float:
        curved = arc(4, cells, angle_shift=0, radius_shift=0)
        flat = FanBeam(**{k: getattr(curved, k) for k in (
            "angles_rad", "detector_count", "detector_spacing_mm", "detector_offset_mm", "source_to_axis_mm",
            "source_to_detector_mm",
        )})
        a, b = curved.rays()[1], flat.rays()[1]
        cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
        return float(np.abs(cross / np.hypot(*np.moveaxis(a, -1, 0)) / np.hypot(*np.moveaxis(b, -1, 0))).max())

    assert apart(3) < 1e-3 < 0.04 < apart(27)


def test_json_brings_back_an_equal_object_with_exactly_the_agreed_keys() -> None:
    for geometry in (arc(), medical(7, flies=False)):
        text = geometry_to_json(geometry, GRID)
        assert geometry_from_dict(json.loads(text)) == (geometry, GRID)
        assert list(geometry.to_dict()) == [
            "geometry", "angles_rad", "detector_count", "detector_spacing_mm", "detector_offset_mm",
            "source_to_axis_mm", "source_to_detector_mm", "source_angle_shift_rad", "source_radius_shift_mm",
        ]
    values = medical(3, flies=False).to_dict()
    del values["source_angle_shift_rad"]
    assert geometry_from_dict(values)[0] == medical(3, flies=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_angle_shift_rad": [0.0]}, "one number for each of the 12 views, got shape (1,)"),
        ({"source_angle_shift_rad": ["0"] * 12}, '"source_angle_shift_rad" must be a list of numbers'),
        ({"source_angle_shift_rad": [2.0] * 12}, "is it in degrees?"),
        ({"source_radius_shift_mm": [math.nan] * 12}, "12 values that are not finite, the first at view 0"),
        ({"source_radius_shift_mm": [20.0] * 12}, "is it the radius itself?"),
        ({"detector_spacing_mm": 6.0}, "is detector_spacing_mm in another unit?"),
        ({"source_to_detector_mm": 19.0}, "are they exchanged?"),
        ({"source_to_axis_mm": 0}, "source_to_axis_mm must be a finite number > 0"),
        ({"curvature": 1}, "unknown entry 'curvature' in an arc-fan geometry"),
    ],
)
def test_impossible_geometries_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        geometry_from_dict({**arc().to_dict(), **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_field_of_view_is_where_the_edge_rays_pass() -> None:
    geometry = medical(flies=False)
    edge = (127 / 2 * 300 / 128 - 75 / 128) / 1085.6
    assert field_of_view_mm(geometry) == pytest.approx(2 * 595 * math.sin(edge))
    assert default_grid(geometry).columns == 128


# Operators


@pytest.mark.parametrize("make", [JosephOperator, lambda g, i: sparse_operator(g, i, dtype=torch.float64)])
def test_the_laws_of_operators(make: Any) -> None:
    check_operator(make(arc(), GRID))


def test_joseph_agrees_with_the_matrix_and_a_dense_oracle() -> None:
    geometry = arc()
    dense = np.zeros((*geometry.shape, *GRID.shape))
    for view in range(12):
        for cell in range(21):
            _one_ray(dense[view, cell], *by_hand(geometry, view, cell))
    matrix = joseph_matrix(geometry, GRID, np.float64).toarray()
    assert np.allclose(matrix, dense.reshape(matrix.shape), atol=1e-9)
    x = torch.randn(3, 1, *GRID.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(np.einsum("vcij,bij->bvc", dense, x[:, 0].numpy()))[:, None]
    assert torch.allclose(JosephOperator(geometry, GRID)(x), expected, atol=1e-8)
    other = joseph_matrix(arc(angle_shift=0.0101), GRID, np.float64).toarray()
    assert not np.allclose(other, dense.reshape(matrix.shape), atol=1e-5)


def _one_ray(out: Float64Array, source: Float64Array, cell: Float64Array) -> None:
    """Joseph's weights of one ray, line by line."""
    d = cell - source
    by_row = abs(d[1]) >= abs(d[0])
    lines = GRID.y_mm if by_row else GRID.x_mm
    others = GRID.x_mm if by_row else GRID.y_mm
    length = GRID.pixel_mm * math.hypot(*d) / abs(d[1] if by_row else d[0])
    for i, at in enumerate(lines):
        t = (at - source[1 if by_row else 0]) / d[1 if by_row else 0]
        cross = source[0 if by_row else 1] + t * d[0 if by_row else 1]
        for j, place in enumerate(others):
            weight = max(0.0, 1 - abs(cross - place) / GRID.pixel_mm)
            out[(i, j) if by_row else (j, i)] = length * weight


def test_astra_says_that_it_has_no_curved_detector() -> None:
    with pytest.raises(OperatorError, match="flat detectors, not ArcFanBeam's; use joseph or sparse"):
        AstraCpuOperator(arc(), GRID)
    assert choose_operator(arc(), GRID, device="cpu").range_shape == (1, 12, 21)


def mismatch(measured: ArcFanBeam, assumed: Any, size: int = 110) -> float:
    """How far the projections of the drawn discs are from their exact sinogram, relative."""
    grid = Grid(rows=size, columns=size, pixel_mm=140 / size)
    exact = DISCS.sinogram(measured)
    drawn = JosephOperator(assumed, grid)(torch.from_numpy(DISCS.image(grid))[None, None])[0, 0].numpy()
    return float(np.linalg.norm(drawn - exact) / np.linalg.norm(exact))


def test_exact_sinograms_fit_and_every_wrong_geometry_does_not() -> None:
    true = medical(60)
    good = mismatch(true, true)
    assert good < 0.006
    flat = FanBeam(**{k: getattr(true, k) for k in (
        "angles_rad", "detector_count", "detector_spacing_mm", "detector_offset_mm", "source_to_axis_mm",
        "source_to_detector_mm",
    )})
    wrong = {
        "no focal spot shifts": replace(true, source_angle_shift_rad=(), source_radius_shift_mm=()),
        "angle shifts of the other sign": replace(
            true, source_angle_shift_rad=tuple(-x for x in true.source_angle_shift_rad)
        ),
        "no quarter offset": replace(true, detector_offset_mm=0.0),
        "half a cell": replace(true, detector_offset_mm=true.detector_offset_mm + true.detector_spacing_mm / 2),
        "a flat detector": flat,
    }
    for name, geometry in wrong.items():
        assert mismatch(true, geometry) > 1.5 * good, name


def test_exact_sinograms_do_not_depend_on_how_lines_are_found() -> None:
    geometry = medical(5)
    one = DISCS.sinogram(geometry, oversample=2)
    wide = Phantom((*DISCS.primitives, Ellipse(center=(900.0, 0.0), semi_axes=(1.0, 1.0), value=0.0)))
    assert np.allclose(wide.sinogram(geometry, oversample=2), one, atol=1e-5)


# Back projection


def values(geometry: ArcFanBeam, assumed: ArcFanBeam | None = None) -> tuple[float, float, float]:
    """Means of FBP in the disc and the two inserts of ``DISCS``."""
    grid = Grid(rows=100, columns=100, pixel_mm=1.4)
    f = torch.from_numpy(DISCS.sinogram(geometry))[None, None]
    u = FilteredBackProjection(assumed or geometry, grid)(f)[0, 0].numpy()
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    means = [float(u[np.hypot(x - a, y - b) < r].mean()) for a, b, r in ((0, 30, 9), (25, 10, 9), (-25, -20, 8))]
    return means[0], means[1], means[2]


@pytest.mark.parametrize("span", [2 * math.pi, math.pi + 0.35], ids=["full", "short"])
@pytest.mark.parametrize("flies", [False, True])
def test_fbp_gives_the_right_values(flies: bool, span: float) -> None:
    found = values(medical(240, flies=flies, span=span))
    # 5 HU are 0.0001 of water's 0.02 per mm.
    assert found == pytest.approx((0.02, 0.024, 0.014), abs=4e-5)


def test_fbp_without_the_focal_spot_shifts_is_wrong() -> None:
    true = medical(240)
    assert values(true, replace(true, source_radius_shift_mm=(), source_angle_shift_rad=()))[0] != pytest.approx(
        0.02, abs=4e-5
    )


def test_torch_and_numba_agree_and_a_batch_is_its_images() -> None:
    geometry, grid = medical(31, 64), Grid(rows=23, columns=31, pixel_mm=5.0)
    back = FilteredBackProjection(geometry, grid, window="hann", cutoff=0.8)
    f = torch.randn(3, 1, *geometry.shape, generator=torch.Generator().manual_seed(0))
    by_numba, by_torch = back(f), back.on_device(back._filter(f))
    assert torch.allclose(by_numba, by_torch, atol=2e-5 * float(by_numba.abs().max()))
    # One small image goes by a stored matrix: the same numbers, added up in another order.
    assert torch.allclose(by_numba[1:2], back(f[1:2]), atol=2e-5 * float(by_numba.abs().max()))


# What else asks for a geometry


def test_the_axis_and_the_noise_are_found() -> None:
    geometry = medical(180, flies=False)
    clean = DISCS.sinogram(geometry)
    column = (128 - 1) / 2 - 0.25
    assert estimate_center(clean, geometry).column == pytest.approx(column, abs=0.05)
    noise = 0.01 * np.random.default_rng(0).standard_normal(clean.shape)
    for one in (geometry, medical(180)):
        sigma = estimate_sigma(DISCS.sinogram(one) + noise, one)[0].most
        assert 0.0097 < sigma < 0.013


@pytest.mark.parametrize("places", [2, 3])
def test_a_focal_spot_that_flies_between_few_places_leaves_as_many_steady_scans(places: int) -> None:
    at = np.arange(180) % places
    one = replace(medical(180), source_angle_shift_rad=tuple(1e-3 * at), source_radius_shift_mm=tuple(2.0 * at))
    noise = 0.01 * np.random.default_rng(1).standard_normal(one.shape)
    level, where = estimate_sigma(DISCS.sinogram(one) + noise, one)
    assert f"in {places} scans, one for each place of the focal spot" in where
    assert 0.0099 < level.most < 0.0112
    strays = replace(one, source_angle_shift_rad=tuple(1e-3 * np.random.default_rng(2).standard_normal(180)))
    level, where = estimate_sigma(DISCS.sinogram(strays) + noise, strays)
    assert "focal spot" not in where
    assert level.most > 0.0099


def test_errors_are_the_projects_own() -> None:
    with pytest.raises(CtreconError):
        replace(arc(), source_angle_shift_rad="many")  # type: ignore[arg-type]
