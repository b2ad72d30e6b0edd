"""DICOM-CT-PD as it was measured: every ray where the files say that it ran, for every flight and position."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.synthesise import Protocol, synthesise
from ctrecon.dicom.raw.views import Views
from ctrecon.dicom.raw.whole import whole_scan
from ctrecon.errors import InputError
from ctrecon.phantoms.solids import Body, Ellipsoid

BODY = Body((
    Ellipsoid(center=(10.0, -20.0, 5.0), semi_axes=(90.0, 70.0, 60.0), value=0.02, angle_rad=0.3),
    Ellipsoid(center=(40.0, 25.0, 20.0), semi_axes=(20.0, 15.0, 12.0), value=0.02),
))  # fmt: skip
HELIX = Protocol(
    rows=11, columns=47, column_pitch_mm=9.9, row_pitch_mm=9.5, per_turn=16, turns=1.5, feed_mm=40.0, first_z_mm=-30.0,
    central_row=5.3,
)  # fmt: skip
CASES = {
    "helix": HELIX,
    "circle": dataclasses.replace(HELIX, feed_mm=0.0, turns=1.0, first_z_mm=4.0),
    "flying in z and the plane": dataclasses.replace(HELIX, flying="FFSXYZ"),
    "head first, on the side": dataclasses.replace(HELIX, flying="FFSXYZ", patient_position="HFDR"),
    "feet first, face down": dataclasses.replace(HELIX, patient_position="FFP"),
}


def off(scan: ct.Scan, geometry: ct.ArcCone) -> float:
    return float(np.abs(scan.sinogram - BODY.sinogram(geometry, 1)).max())


@pytest.mark.parametrize("case", CASES)
def test_every_ray_ran_where_the_geometry_says(case: str, tmp_path: Path) -> None:
    synthesise(tmp_path / "scan", BODY, CASES[case])
    scan = ct.read_scan(tmp_path / "scan", all_rows=True)
    geometry = scan.geometry
    assert isinstance(geometry, ct.ArcCone)
    assert scan.sinogram.shape == (CASES[case].count, 11, 47)
    assert scan.in_space
    assert off(scan, geometry) < 2e-3
    wrong = {
        "upside down": {"detector_row_offset_mm": -geometry.detector_row_offset_mm},
        "mirrored": {"detector_offset_mm": -geometry.detector_offset_mm},
        "turned the other way": {"angles_rad": tuple(-a for a in geometry.angles_rad)},
        "climbing the other way": {"source_z_mm": tuple(-z for z in geometry.source_z_mm)},
    }
    if CASES[case].flying != "FFSNONE":
        shifts = ("source_angle_shift_rad", "source_z_shift_mm", "source_radius_shift_mm")
        wrong |= {name: {name: ()} for name in shifts}
    for name, change in wrong.items():
        assert off(scan, dataclasses.replace(geometry, **change)) > 4e-3, name


def test_a_volume_of_it_is_certified(tmp_path: Path) -> None:
    synthesise(tmp_path / "scan", BODY, dataclasses.replace(HELIX, photons=4e4, turns=2.0))
    found = ct.reconstruct(tmp_path / "scan", all_rows=True, size=15, pixel_mm=16.0, method="cgls", delta="12%")
    assert found.certified
    assert found.scan.variance is not None
    grid = found.scan.grid
    assert grid is not None

    def at(x: float, y: float, z: float) -> float:
        places = ((grid.z_mm, z), (grid.y_mm, y), (grid.x_mm, x))
        return float(found.image[tuple(int(np.abs(axis - place).argmin()) for axis, place in places)])

    assert at(0, -20, 5) == pytest.approx(0.02, rel=0.25)
    assert at(40, 25, 20) > 1.3 * at(-40, 25, 20), "the insert stands at the patient's left"
    assert at(40, 25, 20) > 1.3 * at(40, 25, -30), "and above the middle"


def test_one_view_in_three_and_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesise(tmp_path / "scan", BODY, HELIX)
    whole, third = (ct.read_scan(tmp_path / "scan", all_rows=True, every=every) for every in (1, 3))
    assert np.array_equal(third.sinogram, whole.sinogram[::3])
    assert isinstance(whole.geometry, ct.ArcCone)
    assert isinstance(third.geometry, ct.ArcCone)
    assert third.geometry.angles_rad == whole.geometry.angles_rad[::3]
    monkeypatch.setattr("ctrecon.dicom.raw.whole.MAX_BYTES", whole.sinogram.nbytes // 2 + 1)
    with pytest.raises(InputError, match=r"keep one in 2 \(--every 2\), or drop --all-rows"):
        whole_scan(read_projections(tmp_path / "scan"))
    with pytest.raises(InputError, match="reads a volume, so drop --z"):
        ct.read_scan(tmp_path / "scan", all_rows=True, z_mm=3.0)
    assert math.isclose(whole.geometry.source_z_mm[-1] - whole.geometry.source_z_mm[0], 40.0 * 23 / 16, rel_tol=1e-4)


def test_a_view_in_another_order_is_refused_and_noise_edges_and_air_are_not() -> None:
    rng = np.random.default_rng(3)
    along = np.linspace(-1, 1, 400)
    body = np.broadcast_to(7 * np.sqrt(np.maximum(0.64 - along**2, 0)) + 2 * (abs(along - 0.2) < 0.02), (12, 400))
    noisy = body + rng.normal(0, 0.5, body.shape)
    air, broken = rng.normal(0, 0.02, body.shape), np.zeros(body.shape)
    broken[:, ::40] = 9.0
    for values in (body, noisy, air, broken, rng.permutation(body.T)[:20].T):
        assert Views("raw").accept("one", values, None)
    swapped = (body / 2e-4).astype("<u2").byteswap() * 2e-4
    for values in (rng.permutation(body.T).T, rng.permutation(noisy.T).T, swapped):
        with pytest.raises(InputError, match="raw: one holds no shadow of a body"):
            Views("raw").accept("one", values, None)
