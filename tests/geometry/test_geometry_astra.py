"""Vectors are those of ASTRA's own conversion, and its projector in the plane sees the same."""

import dataclasses
import math

import astra
import numpy as np
import pytest
import torch
from each_geometry import GRIDS, every, example, planar
from geometries import BREAKS, CELLS, DISCS, EXAMPLES, VIEWS, short

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.operators.astra import AstraCpuOperator, vectors_for_astra
from ctrecon.operators.joseph import JosephOperator


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


PLAIN = ("ParallelBeam", "FanBeam", "ParallelRows", "ConeBeam", "HelicalCone")
"""Those that ASTRA has, too."""


@every
def test_vectors_are_those_of_astra(kind, name):
    geometry = example(kind, name)
    expected = by_astra(geometry)
    if expected is None or name == "leaning cone":
        # The plain class that it was made from is compared; arcs and lean detectors are compared to a hand's formula.
        assert kind not in PLAIN or name == "leaning cone"
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
