"""Laws that every geometry obeys: the classes are found by introspection, and each law fails on a broken one."""

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
import torch
from each_geometry import GRIDS, apart, every, example, grids, planar
from geometries import BREAKS, CELLS, DISCS, INSERTS, VIEWS, short
from laws import adjoint_defect

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.parts import geometry_claim
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.errors import GeometryError
from ctrecon.geometry.as_json import geometry_from_dict, geometry_to_json
from ctrecon.geometry.checks import PerView
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix, sparse_operator


@every
def test_no_length_is_beyond_any_scanner_s(kind, name):
    geometry = example(kind, name)
    lengths = [one.name for one in dataclasses.fields(geometry) if isinstance(getattr(geometry, one.name), float)]
    for field in [one.name for one in dataclasses.fields(geometry) if isinstance(getattr(geometry, one.name), PerView)]:
        values = np.array(getattr(geometry, field), dtype=float)
        values.flat[-1] = 9e18
        with pytest.raises(GeometryError, match=field.split("_")[0]):
            dataclasses.replace(geometry, **{field: values})
    for field in lengths:
        for value in (9e18, -9e18, math.inf, math.nan, 1e-300, 5e-324, 1e-20):
            try:
                made = dataclasses.replace(geometry, **{field: value})
            except GeometryError:
                continue
            assert 0 < value < 1e-9  # an offset, an angle: next to nothing is nothing
            assert dataclasses.replace(made, **{field: 0.0}) is not None


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


@every
def test_some_of_the_views_are_those_views(kind, name):
    geometry = example(kind, name)
    for index in (slice(0, 7), slice(3, None, 11), slice(-2, None), slice(None, None, -1)):
        some, all_of_them = geometry.views(index).to_vectors(), geometry.to_vectors()
        assert geometry.views(index).shape[0] == len(some.source)
        for part in ("source", "detector", "u", "v"):
            assert np.allclose(getattr(some, part), getattr(all_of_them, part)[index], rtol=0, atol=1e-12)
    assert not np.allclose(geometry.views(slice(0, 7)).to_vectors().u, geometry.to_vectors().u[1:8])


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


@pytest.mark.sampled(12)
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


def values(geometry, grid, f):
    """Means of the filtered back projection over the discs' insides."""
    u = FilteredBackProjection(geometry, grid)(f)[0, 0].numpy()
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    return [float(u[np.hypot(x - a, y - b) < radius].mean()) for (a, b), radius, _ in INSERTS]


@pytest.mark.sampled(12)
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


@pytest.mark.sampled(12)
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
