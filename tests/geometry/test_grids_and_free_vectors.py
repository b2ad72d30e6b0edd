"""Grids that stand elsewhere, free vectors in the plane, and what needs a plane and is given a space."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from each_geometry import GRIDS
from geometries import CELLS, DISCS, EXAMPLES, VIEWS, short

import ctrecon as ct
import ctrecon.geometry
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.cli.main import cli
from ctrecon.errors import GeometryError
from ctrecon.geometry.as_json import geometry_to_json, grid_from_dict
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import sparse_operator


def test_a_grid_that_stands_or_measures_otherwise_does_not_fit():
    geometry, grid = EXAMPLES[FanBeam]["fan"](), GRIDS["elsewhere"]
    exact = DISCS.sinogram(geometry)
    drawn = torch.from_numpy(DISCS.image(grid))[None, None]
    for wrong in ({"centre_mm": (1.3, 0.7)}, {"centre_mm": (0.0, 0.0)}, {"pixel_mm": (0.66, 0.43)}, {"pixel_mm": 0.53}):
        found = JosephOperator(geometry, dataclasses.replace(grid, **wrong))(drawn)[0, 0].numpy()
        assert np.linalg.norm(found - exact) > 0.05 * np.linalg.norm(exact), wrong


def test_back_projection_of_a_wobbling_axis_needs_to_know_it():
    wobbling, grid = EXAMPLES[VectorGeometry]["wobbling fan"](), GRIDS["centred"]
    f = torch.from_numpy(DISCS.sinogram(wobbling))[None, None]
    inside = np.hypot(grid.x_mm[None, :] - 6, grid.y_mm[:, None] - 4) < 6
    truth = DISCS.image(grid)

    def off(geometry):
        return float(np.abs(FilteredBackProjection(geometry, grid)(f)[0, 0].numpy() - truth)[inside].mean())

    assert off(wobbling) < 0.6 * off(EXAMPLES[FanBeam]["fan"]())


@pytest.mark.parametrize("kind", ["ConeBeam", "HelicalCone", "ArcCone", "ParallelRows", "VectorsInSpace"])
def test_what_needs_a_plane_says_so_before_the_work(kind):
    geometry, grid = next(iter({k.__name__: v for k, v in EXAMPLES.items()}[kind].values()))(), GRIDS["centred"]
    for use in (
        lambda: JosephOperator(geometry, grid),
        lambda: sparse_operator(geometry, grid),
        lambda: DISCS.sinogram(geometry),
        lambda: VectorGeometry.of(geometry),
        lambda: FilteredBackProjection(geometry, grid),
    ):
        with pytest.raises(GeometryError) as caught:
            use()
        assert kind in str(caught.value) or "in space" in str(caught.value)
    volume = Grid(rows=4, columns=5, slices=3, slice_mm=2.0, centre_mm=(0.0, 1.0, 2.0))
    with pytest.raises(GeometryError, match="one slice, and this grid has 3"):
        JosephOperator(EXAMPLES[FanBeam]["fan"](), volume)
    assert volume.z_mm.tolist() == [0.0, 2.0, 4.0]
    assert volume.shape == (3, 4, 5)
    assert grid_from_dict(json.loads(json.dumps(volume.to_dict()))) == volume


def test_a_grid_says_where_its_pixels_stand_and_old_ones_are_written_as_ever():
    grid = GRIDS["elsewhere"]
    assert (grid.x_mm[1] - grid.x_mm[0], grid.y_mm[0] - grid.y_mm[1]) == pytest.approx((0.66, 0.43))
    assert (grid.x_mm.mean(), grid.y_mm.mean()) == pytest.approx((1.3, -0.7))
    assert grid.reach_mm() == pytest.approx(min(0.43 * 45 - 0.7, 0.66 * 31 - 1.3))
    assert np.allclose(grid.finer(2).x_mm.reshape(-1, 2).mean(1), grid.x_mm)
    assert Grid(rows=4, columns=5, pixel_mm=(0.5, 0.5)) == Grid(rows=4, columns=5, pixel_mm=0.5)
    assert Grid(rows=4, columns=5, pixel_mm=0.5).to_dict() == {"rows": 4, "columns": 5, "pixel_mm": 0.5}
    assert grid.to_dict() == {"rows": 90, "columns": 62, "pixel_mm": [0.43, 0.66], "centre_mm": [1.3, -0.7]}
    with pytest.raises(GeometryError, match=r"square pixels are needed here, these are 0.43 x 0.66 mm"):
        _ = grid.square_mm
    for bad in ({"pixel_mm": (1, 0)}, {"pixel_mm": (1, 2, 3)}, {"centre_mm": (0.0,)}, {"centre_mm": (0.0, math.inf)},
                {"slices": 3}, {"slices": 0, "slice_mm": 1.0}, {"centre_mm": (0.0, 0.0, 0.0)}):  # fmt: skip
        with pytest.raises(GeometryError):
            Grid(**{"rows": 4, "columns": 5, **bad})


def test_a_file_of_a_geometry_in_space_with_data_of_a_plane_is_refused_in_one_line(tmp_path):
    cone = next(iter(EXAMPLES[ConeBeam].values()))()
    np.save(tmp_path / "scan.npy", np.zeros((VIEWS, CELLS)))
    (tmp_path / "scan.json").write_text(geometry_to_json(cone))
    done = CliRunner().invoke(cli, ["reconstruct", str(tmp_path / "scan.npy"), "-o", str(tmp_path / "u.npy")])
    assert done.exit_code == 2
    assert "its geometry measures in space, [views, rows, detectors]" in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "u.npy").exists()


def test_free_vectors_are_simulated_and_reconstructed_from_python():
    made = ct.simulate("chest", geometry=short(EXAMPLES[VectorGeometry]["wobbling fan"](), 60), grid=GRIDS["centred"])
    assert ct.reconstruct(made.scan, delta=1.2 * made.delta, method="cgls").certified


def test_the_axis_of_free_vectors_is_where_they_say(tmp_path):
    np.save(tmp_path / "scan.npy", np.ones((VIEWS, CELLS)))
    (tmp_path / "scan.json").write_text(geometry_to_json(EXAMPLES[VectorGeometry]["wobbling fan"]()))
    for center in ("auto", "40"):
        done = CliRunner().invoke(
            cli, ["reconstruct", str(tmp_path / "scan.npy"), "--center", center, "-o", str(tmp_path / "u.npy")]
        )
        assert done.exit_code == 2
        assert "VectorGeometry.with_center" in done.output
