"""Projectors in space: both loops agree, are adjoint, and see what exact line integrals say, whatever the geometry."""

import dataclasses
import math
import os

import numpy as np
import pytest
import torch
from geometries import BREAKS, EXAMPLES, short
from laws import adjoint_defect, check_layer, check_operator

import ctrecon as ct
from ctrecon.errors import CtreconError, GeometryError, OperatorError
from ctrecon.geometry.arc_cone import ArcCone
from ctrecon.geometry.cone import ConeBeam, HelicalCone
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.operators.choose import choose, choose_operator
from ctrecon.operators.volume import joseph, singly
from ctrecon.operators.volume.joseph import VolumeJosephOperator
from ctrecon.phantoms.solids import Body, Ellipsoid

SPACE = {name: made for cases in EXAMPLES.values() for name, made in cases.items() if len(made().shape) == 3}
in_space = pytest.mark.parametrize("name", SPACE)
GRID = Grid(rows=17, columns=14, slices=6, pixel_mm=(2.1, 2.5), slice_mm=0.9, centre_mm=(1.3, -0.7, 0.4))

# Nothing about it is symmetric: every axis, offset and sense that is wrong moves something.
ODD_ONE = Body((
    Ellipsoid(center=(2.0, -1.0, 0.1), semi_axes=(12.0, 9.0, 4.0), value=0.02, angle_rad=0.4),
    Ellipsoid(center=(7.0, -4.0, 0.8), semi_axes=(2.5, 2.0, 1.2), value=0.03),
    Ellipsoid(center=(-3.0, 4.0, -1.0), semi_axes=(2.0, 2.5, 1.0), value=0.025),
    Ellipsoid(center=(-5.0, -3.0, 0.6), semi_axes=(1.8, 1.8, 0.9), value=-0.015),
))
FINE = Grid(rows=64, columns=66, slices=44, pixel_mm=0.45, slice_mm=0.22, centre_mm=(1.0, -0.6, 0.2))


def by_rays(geometry, grid):
    """The operator, by the general loop whatever the geometry."""
    operator = VolumeJosephOperator(geometry, grid)
    operator._columns, operator._cells = None, singly.cells_of(geometry, grid)
    return operator


def wide(geometry):
    """The same scanner with rows enough for the phantom and the grid."""
    if hasattr(geometry, "kind") and geometry.kind == "vectors-in-space":
        return VectorsInSpace.from_vectors(dataclasses.replace(geometry.to_vectors(), rows=13, row_mm=0.9))
    return dataclasses.replace(geometry, detector_rows=13, detector_row_spacing_mm=0.9)


def relative(found, exact):
    return float(np.linalg.norm(np.asarray(found, dtype=np.float64) - exact) / np.linalg.norm(exact))


@pytest.mark.sampled(5)
@in_space
def test_laws(name):
    operator = VolumeJosephOperator(short(SPACE[name](), 7), GRID)
    check_operator(operator)
    check_operator(operator, dtype=torch.float32)
    if name in ("cone", "leaning cone"):
        check_layer(operator)
    assert adjoint_defect(operator) < 1e-10
    assert adjoint_defect(operator, dtype=torch.float32) < 1e-6


@pytest.mark.sampled(4)
@in_space
def test_both_loops_are_one_operator(name):
    geometry = short(SPACE[name](), 7)
    operator = VolumeJosephOperator(geometry, GRID)
    assert operator.by_columns == (name not in ("leaning cone", "free cone"))
    x = torch.rand((1, *operator.domain_shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.rand((1, *operator.range_shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    other = by_rays(geometry, GRID)
    assert torch.allclose(operator(x), other(x), rtol=0, atol=1e-11)
    assert torch.allclose(operator.adjoint(y), other.adjoint(y), rtol=0, atol=1e-10)
    assert torch.allclose(operator(x.float()).double(), other(x), rtol=0, atol=1e-4)
    # An adjoint of another geometry is none.
    broken = VolumeJosephOperator(VectorsInSpace.from_vectors(BREAKS["half a cell"](geometry)), GRID)
    z = operator(x)
    assert abs(float((z * z).sum() - (x * broken.adjoint(z)).sum())) > 1e-5 * float((z * z).sum())


@in_space
def test_it_sees_what_exact_line_integrals_say(name):
    """Of an asymmetric phantom; a mirrored or shifted one, or a detector that is, would be seen."""
    geometry = wide(short(SPACE[name](), 9))
    exact = ODD_ONE.sinogram(geometry, 2)
    volume = torch.from_numpy(ODD_ONE.image(FINE, 2))[None, None]
    seen = VolumeJosephOperator(geometry, FINE)(volume)[0, 0].numpy()
    assert relative(seen, exact) < 0.04
    for axis in (2, 3, 4):
        assert relative(VolumeJosephOperator(geometry, FINE)(volume.flip(axis))[0, 0].numpy(), exact) > 0.12
    for broken in BREAKS.values():
        other = VectorsInSpace.from_vectors(broken(geometry))
        assert relative(VolumeJosephOperator(other, FINE)(volume)[0, 0].numpy(), exact) > 0.06
    upside_down = dataclasses.replace(geometry.to_vectors(), v=-geometry.to_vectors().v)
    other = VolumeJosephOperator(VectorsInSpace.from_vectors(upside_down), FINE)
    assert relative(other(volume)[0, 0].numpy(), exact) > 0.06


def test_a_leaning_detector_leans_as_its_documentation_says():
    plain = {"angles_rad": (0.0,), "detector_count": 5, "detector_rows": 3, "source_to_axis_mm": 70.0}
    plain |= {"source_to_detector_mm": 120.0}

    def cells(**turned):
        return ConeBeam(**plain, **turned).to_vectors().cells()[0]

    # At angle 0 rows run along x, columns along z, and rays along y, away from the source.
    assert cells(roll_rad=0.1)[1, -1, 2] == pytest.approx(2 * math.sin(0.1))  # row direction towards column direction
    assert cells(tilt_rad=0.1)[-1, 2, 1] == pytest.approx(50 + math.sin(0.1))  # the upper edge goes away
    assert cells(swivel_rad=0.1)[1, -1, 1] == pytest.approx(50 + 2 * math.sin(0.1))  # counter-clockwise from above
    with pytest.raises(GeometryError, match="is it in degrees"):
        ConeBeam(**plain, tilt_rad=4.0)


def test_an_arc_is_that_of_the_plane_with_heights():
    flying = EXAMPLES[ArcCone]["flying helix"]()
    flat = {name: getattr(flying, name) for name in (
        "angles_rad", "detector_count", "detector_spacing_mm", "detector_offset_mm", "source_to_axis_mm",
        "source_to_detector_mm", "source_angle_shift_rad", "source_radius_shift_mm",
    )}  # fmt: skip
    plane, space = ct.ArcFanBeam(**flat).to_vectors(), flying.to_vectors()
    assert np.allclose(space.source[:, :2], plane.source[:, :2], atol=1e-12)
    assert np.allclose(space.cells()[:, 2, :, :2], plane.cells()[:, 0, :, :2], atol=1e-12)
    rise = np.array(flying.source_z_mm)
    assert np.allclose(space.source[:, 2] - rise, flying.source_z_shift_mm)
    assert np.allclose(space.cells()[:, 0, 0, 2] - rise, 0.4 - 1.5)
    with pytest.raises(GeometryError, match="is it in degrees"):
        dataclasses.replace(flying, source_angle_shift_rad=(1.0,) * len(rise))


def test_rays_along_slices_and_steep_ones_are_summed_by_the_slices_they_cross():
    """One ray straight up through the middle of a column of voxels, and one that climbs more than it advances."""
    grid = Grid(rows=5, columns=5, slices=7, slice_mm=2.0)
    volume = torch.rand((1, 1, *grid.shape), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    up = VectorsInSpace(
        parallel=True, source=((0.0, 0.0, 1.0),), detector_mm=((1.0, -1.0, 30.0),), detector_axis=((1.0, 0.0, 0.0),),
        detector_column_axis=((0.0, 1.0, 0.0),), detector_count=1, detector_rows=1,
    )
    operator = VolumeJosephOperator(up, grid)
    assert not operator.by_columns
    assert float(operator(volume)[0, 0, 0, 0, 0]) == pytest.approx(2.0 * float(volume[0, 0, :, 3, 3].sum()))
    steep = dataclasses.replace(
        up, source=((0.6, 0.0, 0.8),), detector_mm=((6.0, 0.0, 8.0),), detector_axis=((0.8, 0.0, -0.6),)
    )
    assert not VolumeJosephOperator(steep, Grid(rows=5, columns=5, slices=7, slice_mm=0.5)).by_columns
    check_operator(VolumeJosephOperator(steep, grid))


def test_threads_do_not_change_a_bit(monkeypatch):
    geometry = wide(short(SPACE["cone"](), 12))
    monkeypatch.setattr(joseph, "_CHUNK_BYTES", 20_000)  # several chunks of views
    x = torch.rand((1, 1, *GRID.shape), generator=torch.Generator().manual_seed(0))
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            operator = VolumeJosephOperator(geometry, GRID)
            y = operator(x)
            found.append((y, operator.adjoint(y)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_it_works_in_a_forked_child():
    operator = VolumeJosephOperator(short(SPACE["cone"](), 5), GRID)
    x = torch.ones((1, 1, *GRID.shape))
    operator.adjoint(operator(x))
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.isfinite(operator.adjoint(operator(x))).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_who_serves_a_volume_is_decided_in_one_place():
    geometry = short(SPACE["cone"](), 5)
    assert isinstance(choose(geometry, GRID).operator, VolumeJosephOperator)
    for name in ("sparse", "astra"):
        with pytest.raises(OperatorError, match=f"by joseph on the CPU, not by {name}"):
            choose_operator(geometry, GRID, name=name)
    with pytest.raises(OperatorError, match="on the CPU, not on meta"):
        choose_operator(geometry, GRID, device="meta")
    with pytest.raises(GeometryError, match="needs a grid of slices"):
        VolumeJosephOperator(geometry, dataclasses.replace(GRID, slices=None, slice_mm=None, centre_mm=(0, 0)))
    with pytest.raises(OperatorError, match="works on the CPU"):
        VolumeJosephOperator(geometry, GRID)(torch.empty((1, 1, *GRID.shape), device="meta"))


def test_a_grid_by_default_covers_what_the_rows_see_at_the_axis():
    turn = tuple(np.arange(8) * math.pi / 4)
    row = {"angles_rad": turn, "detector_count": 20, "detector_rows": 10, "detector_row_spacing_mm": 1.5}
    cone = {**row, "source_to_axis_mm": 100.0, "source_to_detector_mm": 150.0}
    for geometry, slices, slice_mm, z in (
        (ConeBeam(**cone), 10, 1.0, 0.0),
        (ArcCone(**cone), 10, 1.0, 0.0),
        (ConeBeam(**cone, detector_row_offset_mm=3.0), 10, 1.0, 2.0),
        (ParallelRows(**row, detector_row_offset_mm=-2.0), 10, 1.5, -2.0),
        (HelicalCone(**cone, pitch_mm=8.0), 17, 1.0, 3.5),
    ):
        grid = default_grid(geometry)
        assert (grid.slices, grid.rows) == (slices, 20)
        assert grid.slice_mm == pytest.approx(slice_mm)
        assert grid.centre_mm == pytest.approx((0.0, 0.0, z))
    low = default_grid(ConeBeam(**{**cone, "detector_rows": 1}))
    assert (low.slices, low.slice_mm) == (1, pytest.approx(1.0))


def test_a_scan_of_a_volume_has_an_operator():
    geometry = short(SPACE["cone"](), 6)
    scan = ct.Scan(np.zeros(geometry.shape, np.float32), geometry)
    operator = ct.operator(scan)
    assert operator.range_shape == (1, *geometry.shape)
    assert operator.domain_shape == (1, *scan.with_grid().grid.shape)
    assert "Scan(6 x 5 x 84" in repr(scan)
    with pytest.raises(CtreconError, match="three-dimensional"):
        ct.Scan(np.zeros((6, 84)), geometry)
    with pytest.raises(CtreconError, match="6 views of 5 x 83 detectors, the geometry 6 angles and 5 rows and 84"):
        ct.Scan(np.zeros((6, 5, 83)), geometry)
    with pytest.raises(CtreconError, match="its grid has one plane; give slices"):
        ct.Scan(np.zeros(geometry.shape), geometry, grid=Grid(rows=4, columns=4))
    with pytest.raises(CtreconError, match="its grid has 6 slices; drop slices"):
        ct.Scan(np.zeros((90, 84)), EXAMPLES[ct.FanBeam]["fan"](), grid=GRID)
