"""Slips of scans in space are named by the row of the detector in the orbit's plane; honest ones are left alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.diagnosis.middle_row import MiddleRow
from ctrecon.errors import GeometryError
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan

CONE = ct.simulate("head", beam="cone", size=24, views=40, noise=0.01, seed=5).scan
GEOMETRY: Any = CONE.geometry


def placed(scan: Scan = CONE, **fields: Any) -> Scan:
    return dataclasses.replace(scan, geometry=dataclasses.replace(scan.geometry, **fields), grid=None)


def turned(change: Callable[[np.ndarray], np.ndarray]) -> Scan:
    return placed(angles_rad=tuple(float(a) for a in change(np.asarray(GEOMETRY.angles_rad))))


def valued(change: Callable[[np.ndarray], np.ndarray]) -> Scan:
    return dataclasses.replace(CONE, sinogram=np.ascontiguousarray(change(CONE.sinogram)))


def without(index: Any) -> Scan:
    values = CONE.sinogram.copy()
    values[index] = 0
    return dataclasses.replace(CONE, sinogram=values)


# The slip, what is named first, and whether the whole scan can be mended.
SLIPS: dict[str, tuple[Callable[[], Scan], str, bool]] = {
    "axis": (lambda: placed(detector_offset_mm=3.0), "axis", True),
    "negated": (lambda: turned(np.negative), "angles-negated", True),
    "degrees": (lambda: turned(np.rad2deg), "angles-in-degrees", True),
    "half": (lambda: turned(lambda angles: angles / 2), "angles-double", True),
    "distance": (
        lambda: placed(source_to_detector_mm=GEOMETRY.source_to_detector_mm - GEOMETRY.source_to_axis_mm + 1),
        "axis-to-detector", True,
    ),
    "not logged": (lambda: valued(lambda f: np.exp(-f)), "not-logged", False),
    "lost view": (lambda: without(np.s_[17]), "lost-views", False),
    "dead column": (lambda: without(np.s_[:, :, 15]), "bad-columns", False),
}  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_named_first(name: str) -> None:
    make, cause, mends = SLIPS[name]
    found = ct.diagnose(make())
    assert found.findings, name
    assert found.findings[0].cause == cause
    assert (found.findings[0].scan is not None) == mends
    assert found.row is not None
    assert f"detector row {found.row}" in str(found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("body", ["head", "ellipsoids"])
def test_an_honest_scan_is_left_alone(body: str) -> None:
    scan = ct.simulate(body, beam="cone", size=24, views=40, noise=0.01, seed=6).scan
    assert ct.diagnose(scan).findings == ()


def test_the_mended_scan_is_the_honest_one(tmp_path: Path) -> None:
    path, mended = tmp_path / "off.npz", tmp_path / "mended.npz"
    write_scan(path, placed(detector_offset_mm=3.0))
    run = CliRunner().invoke(cli, ["diagnose", str(path), "--apply", "-o", str(mended), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["applied"] == "axis"
    geometry: Any = ct.read_scan(mended).geometry
    assert geometry.detector_offset_mm == pytest.approx(0.0, abs=0.3 * GEOMETRY.detector_spacing_mm)
    assert dataclasses.replace(geometry, detector_offset_mm=0.0) == GEOMETRY


def test_a_certified_volume_of_a_wrong_scan_says_so() -> None:
    result = ct.reconstruct(turned(np.rad2deg), method="cgls", delta="auto")
    assert "in degrees and were taken for radians" in str(result)


@pytest.mark.parametrize("columns", [0.0, 1.3])
def test_the_row_is_the_fan_in_the_plane(columns: float) -> None:
    # An odd number of rows, one of them in the plane: then it is the scan of a fan, ray by ray.
    for offset in (0, 2):
        cone = ct.ConeBeam(
            angles_rad=(0.1, 1.2, 3.0), detector_count=8, detector_rows=7, detector_row_spacing_mm=2.0,
            detector_row_offset_mm=2.0 * offset, detector_offset_mm=columns, source_to_axis_mm=60.0,
            source_to_detector_mm=95.0,
        )  # fmt: skip
        found = MiddleRow.of(Scan(np.random.default_rng(0).random(cone.shape), cone))
        assert found.row == 3 - offset
        flat, space = found.scan.geometry, cone.to_vectors()
        assert flat is not None
        points, directions = (part.reshape(3, 7, 8, 3)[:, found.row] for part in space.rays())
        assert np.abs(points[..., 2]).max() < 1e-9
        assert np.abs(directions[..., 2]).max() < 1e-9
        p, d = flat.rays()
        across = np.stack([-d[..., 1], d[..., 0]], axis=-1) / np.linalg.norm(d, axis=-1, keepdims=True)
        assert np.abs((across * (points[..., :2] - p)).sum(-1)).max() < 1e-9
        assert np.abs((across * directions[..., :2]).sum(-1)).max() < 1e-9


def test_what_has_no_such_row_says_so() -> None:
    helix = ct.HelicalCone(
        angles_rad=GEOMETRY.angles_rad, detector_count=8, detector_rows=6, source_to_axis_mm=60.0,
        source_to_detector_mm=95.0, pitch_mm=5.0,
    )  # fmt: skip
    with pytest.raises(GeometryError, match="climbs"):
        ct.diagnose(Scan(np.ones(helix.shape), helix))
    high = placed(detector_row_offset_mm=1000.0)
    with pytest.raises(GeometryError, match=r"none of the \d+ rows lies in the plane"):
        ct.diagnose(high)
