"""FDK: values right in the mid-plane for every geometry it serves, refused by name for others."""

import math

import numpy as np
import pytest
import torch
from volumes import GRID, OBJECT, cone

import ctrecon as ct
from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.errors import GeometryError, OperatorError

FINE = ct.Grid(rows=40, columns=40, slices=25, pixel_mm=2.4, slice_mm=3.4, centre_mm=(2.0, -1.0, 1.0))
TURN = 0.2 + np.arange(90) * 2 * math.pi / 90
SHORT = 0.2 + np.arange(64) * (math.pi + 0.55) / 64
ROW = {"detector_count": 60, "detector_rows": 44, "detector_spacing_mm": 2.6, "detector_row_spacing_mm": 3.4,
       "detector_offset_mm": 1.3, "detector_row_offset_mm": -2.0}  # fmt: skip
BOTH = {**ROW, "source_to_axis_mm": 400.0, "source_to_detector_mm": 600.0}
HALF = {**BOTH, "detector_offset_mm": 40.0}
CASES = {
    "flat": lambda: ct.ConeBeam(angles_rad=TURN, **BOTH),
    "arc": lambda: ct.ArcCone(angles_rad=TURN, **BOTH),
    "flat, short": lambda: ct.ConeBeam(angles_rad=SHORT, **BOTH),
    "arc, short": lambda: ct.ArcCone(angles_rad=SHORT, **BOTH),
    "flat, half fan": lambda: ct.ConeBeam(angles_rad=TURN, **HALF),
    "arc, half fan, other side": lambda: ct.ArcCone(angles_rad=TURN, **{**HALF, "detector_offset_mm": -40.0}),
    "high circle": lambda: ct.ArcCone(angles_rad=TURN, **BOTH, source_z_mm=(1.5,) * 90),
    "parallel rows": lambda: ct.ParallelRows(
        angles_rad=TURN[:45], **{**ROW, "detector_spacing_mm": 1.8, "detector_row_spacing_mm": 2.3}
    ),
}


def means(volume, k):
    """Of the two inserts and of the body, in slice ``k``."""
    x, y = FINE.x_mm[None, :], FINE.y_mm[:, None]
    discs = (np.hypot(x - 16, y + 8) < 6), (np.hypot(x + 12, y - 12) < 6), (np.hypot(x - 4, y + 2) < 27)
    return [float(volume[k][disc].mean()) for disc in discs]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES)
def test_values_in_the_mid_plane_are_right(case):
    geometry = CASES[case]()
    data = torch.from_numpy(OBJECT.sinogram(geometry, 1))[None, None]
    inverse = FeldkampBackProjection(geometry, FINE)
    found, truth = inverse(data)[0, 0].numpy(), OBJECT.image(FINE, 2)
    middle = 12
    assert means(found, middle) == pytest.approx(means(truth, middle), rel=0.02)
    assert means(found, middle + 4)[2] == pytest.approx(means(truth, middle + 4)[2], rel=0.02)
    # It is linear, and a smoother filter gives less.
    assert torch.allclose(inverse(2 * data), 2 * inverse(data), rtol=1e-5, atol=1e-8)
    assert float(inverse.with_filter("hann", 0.4)(data).std()) < float(inverse(data).std())
    # Upside down, mirrored or counted from elsewhere it is another volume.
    for other in (data.flip(3), data.flip(4), data.roll(7, dims=2)):
        error = np.abs(inverse(other)[0, 0].numpy() - truth)[6:-6].mean()
        assert error > 1.3 * np.abs(found - truth)[6:-6].mean()


def test_what_it_does_not_serve_it_refuses_by_name():
    for geometry, why in (
        (ct.HelicalCone(angles_rad=TURN, **BOTH, pitch_mm=10.0), "HelicalCone climbs by 9.889 mm; use another"),
        (ct.ConeBeam(angles_rad=TURN, **BOTH, tilt_rad=0.1), "upright detector, ConeBeam's leans; use another"),
        (ct.VectorsInSpace.of(cone()), "VectorsInSpace.orbit"),
    ):
        with pytest.raises(GeometryError, match=why):
            FeldkampBackProjection(geometry, FINE)
    with pytest.raises(GeometryError, match="needs a grid of slices"):
        FeldkampBackProjection(cone(), ct.Grid(rows=3, columns=3))
    with pytest.raises(OperatorError, match="expected data"):
        FeldkampBackProjection(cone(), GRID)(torch.zeros(1, 1, 3, 4, 5))
