"""Views that stand elsewhere than stated are found by the data, but for what no data tell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.classical.self_calibration import refine, remaining
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, SettingError
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan

Move = Callable[[ct.VectorGeometry], ct.VectorGeometry]


def jitter(cells: float, seed: int = 4) -> Move:
    def moved(stated: ct.VectorGeometry) -> ct.VectorGeometry:
        shift = cells * np.random.default_rng(seed).standard_normal(stated.shape[0])
        return stated.with_detector_shift(shift * stated.detector_spacing_mm)

    return moved


def distances_of(geometry: ct.VectorGeometry) -> np.ndarray:
    return np.hypot(*np.array(geometry.source).T)


def breathing(stated: ct.VectorGeometry) -> ct.VectorGeometry:
    spread = 1 + 0.02 * np.random.default_rng(5).standard_normal(stated.shape[0])
    return stated.with_source_distance(distances_of(stated) * spread)


def moved_scan(
    move: Move, phantom: str = "chest", beam: str = "fan", size: int = 64, views: int = 60, noise: float = 0.01
) -> tuple[Scan, ct.VectorGeometry, ct.VectorGeometry]:
    """The scan as stated, the geometry stated, and the true one."""
    plain = ct.simulate(phantom, beam=beam, size=size, views=views, noise=noise, seed=3).scan
    assert plain.geometry is not None
    stated = ct.VectorGeometry.of(plain.geometry)
    truth = move(stated)
    scan = ct.simulate(phantom, geometry=truth, grid=plain.grid, noise=noise, seed=3).scan
    return dataclasses.replace(scan, geometry=plain.geometry), stated, truth


@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_jitter_is_found_to_a_tenth_of_a_cell(beam: str) -> None:
    scan, stated, truth = moved_scan(jitter(0.7), beam=beam)
    assert remaining(stated, truth) > 0.5
    found = refine(scan)
    assert remaining(found.geometry, truth) < 0.1
    assert found.misfits[-1] < 0.5 * found.misfits[0]


def test_a_right_scan_stays_where_it_is() -> None:
    scan, stated, _ = moved_scan(lambda geometry: geometry)
    found = refine(scan)
    assert remaining(found.geometry, stated) < 0.05
    assert found.misfits[-1] > 0.9 * found.misfits[0]


def test_what_moves_the_object_alone_is_left_alone() -> None:
    """The sine and cosine of the angle are nothing that data could tell, and nothing that is made up."""
    scan, _, _ = moved_scan(jitter(0.7))
    found = refine(scan)
    axis = np.array(found.geometry.detector_axis)
    assert np.abs(axis.T @ found.shifts).max() < 1e-6


def test_distances_and_a_turn_are_found() -> None:
    scan, _, truth = moved_scan(breathing)
    found = refine(scan, ("distances",))
    assert found.distances_mm is not None
    assert np.std(found.distances_mm / distances_of(truth)) < 0.3 * 0.02
    scan, _, _ = moved_scan(lambda geometry: geometry.with_detector_turn(np.full(60, 0.05)))
    assert refine(scan, ("turn",)).turn_rad == pytest.approx(0.05, abs=0.01)


def test_missing_views_have_no_say() -> None:
    scan, _, truth = moved_scan(jitter(0.5))
    broken = scan.sinogram.copy()
    broken[7] = np.nan
    found = refine(dataclasses.replace(scan, sinogram=broken))
    left = np.array(found.geometry.detector_mm) - np.array(truth.detector_mm)
    assert remaining(found.geometry, truth) < np.abs(left).max()
    assert found.misfits[-1] < 0.6 * found.misfits[0]


@pytest.mark.long
@pytest.mark.parametrize("phantom", ["head", "ellipses", "polygons", "textured"])
@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_jitter_is_found_in_every_family(phantom: str, beam: str) -> None:
    scan, stated, truth = moved_scan(jitter(0.7), phantom, beam, size=160, views=180)
    assert remaining(stated, truth) > 0.5
    assert remaining(refine(scan).geometry, truth) < 0.1


def test_what_cannot_be_calibrated_is_refused() -> None:
    scan, _, _ = moved_scan(lambda geometry: geometry, beam="parallel")
    with pytest.raises(InputError, match="parallel rays have no source"):
        refine(scan, ("distances",))
    with pytest.raises(SettingError, match="use shifts, distances, turn"):
        refine(scan, ("roll",))
    with pytest.raises(SettingError, match="rounds must be >= 1"):
        refine(scan, rounds=0)


def test_the_command_writes_a_scan_that_reconstruct_reads(tmp_path: Path) -> None:
    scan, _, truth = moved_scan(jitter(0.7))
    path, mended, image = tmp_path / "s.npz", tmp_path / "c.npz", tmp_path / "r.npy"
    write_scan(path, scan)
    result = CliRunner().invoke(cli, ["calibrate", str(path), "-o", str(mended), "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.output)["shifts_cells"]) == 60
    again = ct.read_scan(mended)
    assert isinstance(again.geometry, ct.VectorGeometry)
    assert remaining(again.geometry, truth) < 0.1
    assert any("calibrated by the data: views shifted by 0." in note for note in again.notes)
    result = CliRunner().invoke(cli, ["reconstruct", str(mended), "-o", str(image), "--method", "cgls"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(cli, ["calibrate", str(path), "-o", str(tmp_path / "c.npy")])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert CliRunner().invoke(cli, ["calibrate", str(path), "-o", str(mended)]).exit_code == 2
