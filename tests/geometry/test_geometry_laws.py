"""Laws that every geometry obeys: the classes are found by introspection, and each law fails on a broken one."""

import copy
import dataclasses
import json
import math
import pickle

import astra
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from geometries import BREAKS, CELLS, DISCS, EXAMPLES, INSERTS, VIEWS, short
from laws import adjoint_defect, classes_in

import ctrecon as ct
import ctrecon.geometry
from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.parts import geometry_claim
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.cli.main import cli
from ctrecon.errors import GeometryError, OperatorError
from ctrecon.geometry.as_json import GEOMETRIES, geometry_from_dict, geometry_to_json, grid_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.operators.astra import AstraCpuOperator, vectors_for_astra
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix, sparse_operator

CLASSES = classes_in(ctrecon.geometry, Geometry)
NAMED = [(kind.__name__, name) for kind in CLASSES for name in EXAMPLES.get(kind, {"": None})]
GRIDS = {
    "centred": Grid(rows=72, columns=76, pixel_mm=0.52),
    "elsewhere": Grid(rows=90, columns=62, pixel_mm=(0.43, 0.66), centre_mm=(1.3, -0.7)),
}


def example(kind, name):
    cases = {one.__name__: made for one, made in EXAMPLES.items()}
    if kind not in cases or kind not in {one.__name__ for one in GEOMETRIES.values()}:
        pytest.fail(f"{kind} is new: give it examples in tests/geometries.py, and register it in as_json.py")
    return cases[kind][name]()


def every(test):
    return pytest.mark.parametrize(("kind", "name"), NAMED, ids=[name or kind for kind, name in NAMED])(test)


def planar(test):
    flat = [(kind, name) for kind, name in NAMED if len(example(kind, name).shape) == 2]
    return pytest.mark.parametrize(("kind", "name"), flat, ids=[name or kind for kind, name in flat])(test)


grids = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


# What a geometry is


@every
def test_json_and_pickle_bring_back_an_equal_object(kind, name):
    geometry = example(kind, name)
    for grid in GRIDS.values():
        assert geometry_from_dict(json.loads(geometry_to_json(geometry, grid))) == (geometry, grid)
    for again in (pickle.loads(pickle.dumps(geometry)), copy.deepcopy(geometry)):
        assert again == geometry
        assert hash(again) == hash(geometry)
    other = dataclasses.replace(geometry, detector_spacing_mm=math.nextafter(geometry.detector_spacing_mm, 9))
    assert other != geometry
    assert json.loads(geometry_to_json(other)) != json.loads(geometry_to_json(geometry))


@every
def test_it_prints_on_one_line_and_is_hashed_once(kind, name):
    geometry = example(kind, name)
    said = repr(geometry)
    assert "\n" not in said
    assert len(said) < 420
    assert said.startswith(kind)
    assert str(VIEWS) in said
    hash(geometry)
    for field in dataclasses.fields(geometry):
        value = getattr(geometry, field.name)
        if isinstance(value, tuple):
            # Hashed once, not entry by entry each time.
            assert value.__dict__["_hash"] == hash(value)


@every
def test_entries_of_another_type_are_refused_in_one_line(kind, name):
    values = example(kind, name).to_dict()
    for key in set(values) - {"geometry", "parallel"}:
        for wrong in ("7", [["a"]], {}, [True], math.nan):
            with pytest.raises(GeometryError) as caught:
                geometry_from_dict({**values, key: wrong})
            assert key in str(caught.value) or "angles" in str(caught.value)
            assert "\n" not in str(caught.value)


# Views, rays, vectors


@every
def test_some_of_the_views_are_those_views(kind, name):
    geometry = example(kind, name)
    for index in (slice(0, 7), slice(3, None, 11), slice(-2, None), slice(None, None, -1)):
        some, all_of_them = geometry.views(index).to_vectors(), geometry.to_vectors()
        assert geometry.views(index).shape[0] == len(some.source)
        for part in ("source", "detector", "u", "v"):
            assert np.allclose(getattr(some, part), getattr(all_of_them, part)[index], rtol=0, atol=1e-12)
    assert not np.allclose(geometry.views(slice(0, 7)).to_vectors().u, geometry.to_vectors().u[1:8])


def apart(rays, others):
    """How far lines are from each other within 40 mm about the axis, in mm."""
    lines = []
    for points, directions in (rays, others):
        d = directions / np.hypot(directions[..., 0], directions[..., 1])[..., None]
        nearest = points - (points * d).sum(-1)[..., None] * d
        lines.append([nearest - 40 * d, nearest + 40 * d])
    return max(float(np.abs(a - b).max()) for a, b in zip(*lines, strict=True))


@planar
def test_rays_are_those_of_the_vectors(kind, name):
    geometry = example(kind, name)
    for per_cell in (1, 3):
        own = geometry.rays(slice(2, 40, 5), per_cell=per_cell)
        assert own[1].shape == (8, CELLS * per_cell, 2)
        cut = geometry.to_vectors().views(slice(2, 40, 5)).split(per_cell)
        assert apart(own, [part[:, 0, :, :2] for part in cut.rays()]) < 1e-11
    own = geometry.rays()
    for broken in BREAKS.values():
        assert apart(own, [part[:, 0, :, :2] for part in broken(geometry).rays()]) > 0.1


@every
def test_axes_are_at_right_angles_and_the_source_faces_the_detector(kind, name):
    vectors = example(kind, name).to_vectors()
    assert np.allclose((vectors.u * vectors.v).sum(1), 0, atol=1e-12)
    assert np.allclose(np.linalg.norm(vectors.u, axis=1), 1, atol=1e-12)
    towards = -vectors.source if vectors.parallel else vectors.source - vectors.detector
    assert ((vectors.normal() * towards).sum(1) > 0).all()
    with pytest.raises(GeometryError, match="u must have length 1"):
        dataclasses.replace(vectors, u=1.1 * vectors.u)
    with pytest.raises(GeometryError, match="detector at view 0"):
        dataclasses.replace(vectors, source=vectors.u if vectors.parallel else vectors.detector + vectors.u)


# ASTRA's own arrays


def by_astra(geometry):
    """ASTRA's plain geometry turned into vectors by ASTRA, the detector moved by ASTRA; None where it has none."""
    columns, spacing = geometry.detector_count, geometry.detector_spacing_mm
    turn = np.asarray(getattr(geometry, "angles_rad", None) or (0.0,))
    behind = getattr(geometry, "source_to_detector_mm", 0) - getattr(geometry, "source_to_axis_mm", 0)
    if geometry.kind == "parallel":
        plain = astra.create_proj_geom("parallel", spacing, columns, turn)
    elif geometry.kind == "fan":
        plain = astra.create_proj_geom("fanflat", spacing, columns, turn, geometry.source_to_axis_mm, behind)
    elif geometry.kind == "parallel-rows":
        plain = astra.create_proj_geom(
            "parallel3d", spacing, geometry.detector_row_spacing_mm, geometry.detector_rows, columns, turn
        )
    elif geometry.kind in ("cone", "helical-cone"):
        plain = astra.create_proj_geom(
            "cone", spacing, geometry.detector_row_spacing_mm, geometry.detector_rows, columns, turn,
            geometry.source_to_axis_mm, behind,
        )
    else:
        return None
    factor = geometry.detector_offset_mm / spacing
    if len(geometry.shape) == 3:
        factor = (factor, geometry.detector_row_offset_mm / geometry.detector_row_spacing_mm)
    found = astra.functions.geom_postalignment(astra.functions.geom_2vec(plain), factor)
    if geometry.kind == "helical-cone":
        climbed = geometry.pitch_mm * (turn - turn[0]) / (2 * math.pi) + geometry.start_mm
        found["Vectors"][:, [2, 5]] += climbed[:, None]
    return found


@every
def test_vectors_are_those_of_astra(kind, name):
    geometry = example(kind, name)
    expected = by_astra(geometry)
    if expected is None or name == "leaning cone":
        # The plain class that it was made from is compared; arcs and lean detectors are compared to a hand's formula.
        assert kind in ("VectorGeometry", "ArcFanBeam", "ArcCone", "VectorsInSpace", "ConeBeam")
        return
    for one, same in ((geometry, True), *((broken(geometry), False) for broken in BREAKS.values())):
        made = vectors_for_astra(one.to_vectors() if isinstance(one, Geometry) else one)
        assert made.keys() == expected.keys()
        assert made["type"] == expected["type"]
        assert np.allclose(made["Vectors"], expected["Vectors"], rtol=0, atol=1e-10) == same


def test_arcs_in_space_and_parallel_rays_are_taken_by_astra_as_they_are():
    vectors = EXAMPLES[FanBeam]["fan"]().to_vectors()
    curved = vectors_for_astra(dataclasses.replace(vectors, rows=3, radius_mm=120.0))
    assert curved["type"] == "cyl_cone_vec"
    assert curved["Vectors"].shape == (VIEWS, 13)
    straight = dataclasses.replace(vectors, rows=3, parallel=True, source=-vectors.normal())
    plain = astra.create_proj_geom("parallel3d", 1.1, 1.0, 3, CELLS, np.asarray(EXAMPLES[FanBeam]["fan"]().angles_rad))
    made, expected = vectors_for_astra(straight)["Vectors"], astra.functions.geom_2vec(plain)["Vectors"]
    assert np.allclose(made[:, :3], -expected[:, :3], atol=1e-12)  # rays have no sense
    assert np.allclose(made[:, 6:], expected[:, 6:], atol=1e-12)


# Projectors


@planar
@grids
def test_projectors_agree_and_their_adjoints_are(kind, name, grid):
    geometry = short(example(kind, name))
    joseph, stored = JosephOperator(geometry, grid), sparse_operator(geometry, grid, dtype=torch.float64)
    x = torch.rand((2, 1, *grid.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Joseph counts in 2^-35 of a pixel, and steps along a ray for all of its lines.
    assert torch.allclose(joseph(x), stored(x), rtol=0, atol=1e-7)
    assert adjoint_defect(joseph) < 1e-12
    assert adjoint_defect(stored) < 1e-12
    for broken in BREAKS.values():
        other = JosephOperator(VectorGeometry.from_vectors(broken(geometry)), grid)
        assert not torch.allclose(other(x), stored(x), rtol=0, atol=1e-2)
        # An adjoint of another geometry is none.
        y = joseph(x)
        assert abs(float((y * y).sum() - (x * other.adjoint(y)).sum())) > 1e-4 * float((y * y).sum())


@planar
@grids
def test_drawn_discs_have_their_exact_line_integrals(kind, name, grid):
    geometry = short(example(kind, name), 30)
    exact = DISCS.sinogram(geometry)
    drawn = torch.from_numpy(DISCS.image(grid))[None, None]

    def off(one):
        return float(np.linalg.norm(JosephOperator(one, grid)(drawn)[0, 0].numpy() - exact) / np.linalg.norm(exact))

    assert off(geometry) < 0.011
    for broken in BREAKS.values():
        assert off(VectorGeometry.from_vectors(broken(geometry))) > 0.013


def test_a_grid_that_stands_or_measures_otherwise_does_not_fit():
    geometry, grid = EXAMPLES[FanBeam]["fan"](), GRIDS["elsewhere"]
    exact = DISCS.sinogram(geometry)
    drawn = torch.from_numpy(DISCS.image(grid))[None, None]
    for wrong in ({"centre_mm": (1.3, 0.7)}, {"centre_mm": (0.0, 0.0)}, {"pixel_mm": (0.66, 0.43)}, {"pixel_mm": 0.53}):
        found = JosephOperator(geometry, dataclasses.replace(grid, **wrong))(drawn)[0, 0].numpy()
        assert np.linalg.norm(found - exact) > 0.05 * np.linalg.norm(exact), wrong


# Back projection


def values(geometry, grid, f):
    """Means of the filtered back projection over the discs' insides."""
    u = FilteredBackProjection(geometry, grid)(f)[0, 0].numpy()
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    return [float(u[np.hypot(x - a, y - b) < radius].mean()) for (a, b), radius, _ in INSERTS]


@planar
@grids
def test_back_projection_recovers_the_discs_where_there_is_an_orbit(kind, name, grid):
    geometry = example(kind, name)
    f = torch.from_numpy(DISCS.sinogram(geometry))[None, None]
    if geometry.orbit is None:
        with pytest.raises(GeometryError, match=f"filtered back projection needs {kind}.orbit"):
            FilteredBackProjection(geometry, grid)
        return
    expected = [value for _, _, value in INSERTS]
    assert values(geometry, grid, f) == pytest.approx(expected, abs=3e-4)
    backwards = values(geometry, grid, f.flip(-1))
    assert backwards != pytest.approx(expected, abs=3e-3)
    back = FilteredBackProjection(geometry, grid)
    by_torch = back.on_device(back._filter(f))
    assert torch.allclose(back(f), by_torch, atol=3e-5 * float(by_torch.abs().max()))


def test_back_projection_of_a_wobbling_axis_needs_to_know_it():
    wobbling, grid = EXAMPLES[VectorGeometry]["wobbling fan"](), GRIDS["centred"]
    f = torch.from_numpy(DISCS.sinogram(wobbling))[None, None]
    inside = np.hypot(grid.x_mm[None, :] - 6, grid.y_mm[:, None] - 4) < 6
    truth = DISCS.image(grid)

    def off(geometry):
        return float(np.abs(FilteredBackProjection(geometry, grid)(f)[0, 0].numpy() - truth)[inside].mean())

    assert off(wobbling) < 0.6 * off(EXAMPLES[FanBeam]["fan"]())


# Certificates


@planar
@grids
def test_the_checker_certifies_by_itself(kind, name, grid, tmp_path):
    geometry = short(example(kind, name))
    rng = np.random.default_rng(0)
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.02)
    exact = joseph_matrix(geometry, grid, np.float64) @ image.ravel().astype(np.float64)
    data = (exact + 1e-4 * rng.standard_normal(exact.size)).reshape(geometry.shape)
    delta = 1.0001e-4 * math.sqrt(data.size) * 1.1
    found = certify(image, data, geometry, grid, delta)
    assert isinstance(found, FeasibleCertificate)
    assert found.residual_upper_bound - found.residual < 1e-8
    paths = found.write(tmp_path / "scan.npy")
    verdict = verify.check(paths[""])
    assert verdict.valid, verdict.reason
    for broken in BREAKS.values():
        other = certify(image, data, VectorGeometry.from_vectors(broken(geometry)), grid, delta)
        assert isinstance(other, NotCertified)


@planar
def test_the_checker_has_the_geometrys_own_rays(kind, name):
    geometry = short(example(kind, name))
    claim = geometry_claim(geometry)
    assert verify.views(claim) == geometry.shape[0]
    points, directions = geometry.rays()
    for view in range(geometry.shape[0]):
        (px, py, dx, dy), off = verify.rays(claim, view)
        own = np.stack([px, py], -1)[None], np.stack([dx, dy], -1)[None]
        assert apart(own, (points[view : view + 1], directions[view : view + 1])) < 1e-11
        assert 0 < off < 1e-11
    assert apart(own, (points[:1], directions[:1])) > 0.1


# In space


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


# In ASTRA's plane


@planar
def test_astras_own_projector_sees_the_same(kind, name):
    """Also of an image elsewhere. Its fans weigh by lengths in pixels (Siddon): they agree on smooth images."""
    geometry, grid = short(example(kind, name)), dataclasses.replace(GRIDS["centred"], centre_mm=(1.3, -0.7))
    if geometry.to_vectors().radius_mm:
        with pytest.raises(OperatorError, match=f"flat detectors, not {kind}'s"):
            AstraCpuOperator(geometry, grid)
        return
    drawn = torch.from_numpy(DISCS.image(grid))[None, None]
    astras, ours = AstraCpuOperator(geometry, grid)(drawn), JosephOperator(geometry, grid)(drawn)
    bound = 2e-5 if geometry.to_vectors().parallel else 0.02
    assert float((astras - ours).norm() / ours.norm()) < bound
    for wrong in (dataclasses.replace(grid, centre_mm=(-1.3, -0.7)), dataclasses.replace(grid, centre_mm=(1.3, 0.7))):
        assert float((JosephOperator(geometry, wrong)(drawn) - astras).norm() / ours.norm()) > 5 * bound


def test_astra_has_square_pixels():
    with pytest.raises(OperatorError, match=r"square pixels, not 0.43 x 0.66 mm; use joseph or sparse"):
        AstraCpuOperator(EXAMPLES[FanBeam]["fan"](), GRIDS["elsewhere"])


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
