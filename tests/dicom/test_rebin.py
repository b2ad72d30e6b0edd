"""From projections to slices: HU of a known phantom, each part of the geometry shown to matter, noise as it is."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.rebin import _rows, read_projection_slices, rebin, slice_positions
from ctrecon.dicom.raw.synthesise import WATER_MU_PER_MM, Protocol, synthesise, water_phantom
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import read_scan
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.solids import Body, Cylinder, Ellipsoid

INSERTS_HU = (100.0, -150.0, 300.0, 50.0)
MODES = ("FFSNONE", "FFSZ", "FFSXY", "FFSXYZ")
GRID = Grid(rows=110, columns=110, pixel_mm=2.0)
HELIX = Protocol(columns=96, column_pitch_mm=9.85, per_turn=120, turns=1.3, first_z_mm=-14.95)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProjectionSet]:
    """A helix of 64 rows for every way the focal spot flies."""
    folder = tmp_path_factory.mktemp("helices")
    for mode in MODES:
        synthesise(folder / mode, water_phantom(INSERTS_HU), dataclasses.replace(HELIX, flying=mode))
    return {mode: read_projections(folder / mode) for mode in MODES}


def flat_phantom() -> Phantom:
    """``water_phantom`` in any plane, drawn here once more."""
    parts = [Ellipse(center=(0.0, 0.0), semi_axes=(100.0, 100.0), value=WATER_MU_PER_MM)]
    for k, hu in enumerate(INSERTS_HU):
        turn = math.pi / 2 * (k + 0.15)
        center = (55 * math.cos(turn), 55 * math.sin(turn))
        parts.append(Ellipse(center=center, semi_axes=(20.0, 20.0), value=hu / 1000 * WATER_MU_PER_MM))
    return Phantom(tuple(parts))


def image_hu(scan: Scan) -> Any:
    assert scan.geometry is not None
    back = FilteredBackProjection(scan.geometry, GRID)
    u = back(torch.from_numpy(scan.sinogram)[None, None])[0, 0].numpy()
    assert scan.water_mu_per_mm == WATER_MU_PER_MM
    return 1000 * (u / scan.water_mu_per_mm - 1)


def errors_hu(scan: Scan) -> list[float]:
    """How far the means in the inserts and in water are from the truth."""
    hu, (x, y) = image_hu(scan), np.meshgrid(GRID.x_mm, GRID.y_mm)
    found = [hu[np.hypot(x, y) < 20].mean()]
    for k, insert in enumerate(INSERTS_HU):
        turn = math.pi / 2 * (k + 0.15)
        found.append(hu[np.hypot(x - 55 * math.cos(turn), y - 55 * math.sin(turn)) < 14].mean() - insert)
    return [abs(float(value)) for value in found]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("span", ["full", "short"])
def test_inserts_have_their_hu(scans: dict[str, ProjectionSet], mode: str, span: Any) -> None:
    for z in (0.0, 3.0):
        assert max(errors_hu(rebin(scans[mode], z, span=span))) < 4.0


def sinogram_error(scan: Scan) -> float:
    """Distance from the exact fan-beam sinogram of the plane, relative."""
    assert scan.geometry is not None
    exact = flat_phantom().sinogram(scan.geometry, oversample=1)
    return float(np.linalg.norm(scan.sinogram - exact) / np.linalg.norm(exact))


def changed(scan: ProjectionSet, **more: Any) -> ProjectionSet:
    centre = more.pop("centre", scan.common.centre)
    return dataclasses.replace(scan, common=dataclasses.replace(scan.common, centre=centre), **more)


def test_every_part_of_the_geometry_is_handled_and_would_be_missed(scans: dict[str, ProjectionSet]) -> None:
    """What is right stays within the bound; half a column, the quarter offset, each shift left out do not."""
    scan = scans["FFSXYZ"]
    bound = 2e-4
    assert sinogram_error(rebin(scan, 1.0)) < bound
    column, row = scan.common.centre
    none = np.zeros(len(scan.files))
    wrong = {
        "half a column": changed(scan, centre=(column + 0.5, row)),
        "no quarter offset": changed(scan, centre=((scan.common.columns + 1) / 2, row)),
        "counted from 0": changed(scan, centre=(column + 1, row)),
        "no shift in the plane": changed(scan, angle_shift_rad=none),
        "shift to the other side": changed(scan, angle_shift_rad=-scan.angle_shift_rad),
        "no shift outwards": changed(scan, radius_shift_mm=none),
        "columns from the other end": changed(scan, centre=(scan.common.columns + 1 - column, row)),
        "turning the other way": changed(scan, angle_rad=-scan.angle_rad),
    }
    for name, other in wrong.items():
        assert sinogram_error(rebin(other, 1.0)) > 5 * bound, name


@pytest.mark.long
def test_the_image_stays_within_5_hu_and_does_not_without_the_handling(scans: dict[str, ProjectionSet]) -> None:
    """Compared with the image of the plane's exact data, so that pixels and cells blur both alike."""
    scan = scans["FFSXYZ"]
    right = rebin(scan, 0.0)
    assert right.geometry is not None
    exact = image_hu(dataclasses.replace(right, sinogram=flat_phantom().sinogram(right.geometry, oversample=1)))
    x, y = np.meshgrid(GRID.x_mm, GRID.y_mm)
    inside = np.hypot(x, y) < 90

    def worst(other: ProjectionSet) -> float:
        return float(np.abs(image_hu(rebin(other, 0.0)) - exact)[inside].max())

    (column, row), none = scan.common.centre, np.zeros(len(scan.files))
    assert worst(scan) < 1
    for other in (
        changed(scan, centre=(column + 0.5, row)),
        changed(scan, centre=((scan.common.columns + 1) / 2, row)),
        changed(scan, angle_shift_rad=none),
        changed(scan, radius_shift_mm=none),
    ):
        assert worst(other) > 5


def test_the_row_taken_crosses_the_plane_where_it_is_nearest_to_the_axis(scans: dict[str, ProjectionSet]) -> None:
    """Against the synthesiser's rays in space; without the shift of the focal spot in z it is off."""
    protocol = dataclasses.replace(HELIX, flying="FFSXYZ")
    scan = scans["FFSXYZ"]
    views = slice(30, 60)
    geometry = scan.geometry(views)
    still = changed(scan, z_shift_mm=np.zeros(len(scan.files)))

    def heights(assumed: ProjectionSet, v: int) -> Any:
        rows, cosine = _rows(assumed, geometry, v, 30 + v, 0.4)
        spot, directions = protocol.rays(30 + v)
        below = rows.astype(int)
        part, column = (rows - below)[:, None], np.arange(protocol.columns)
        d = (1 - part) * directions[column, below] + part * directions[column, below + 1]
        far = -(spot[0, 0, :2] * d[:, :2]).sum(-1) / (d[:, :2] ** 2).sum(-1)
        assert cosine == pytest.approx(np.hypot(d[:, 0], d[:, 1]) / np.linalg.norm(d, axis=1), abs=1e-4)
        return spot[0, 0, 2] + far * d[:, 2]

    for v in (0, 7, 29):
        assert heights(scan, v) == pytest.approx(0.4, abs=1e-4)
    assert np.abs(heights(still, 7) - 0.4).max() > 0.2


@pytest.mark.long
def test_circles_give_slices_about_their_planes(tmp_path: Path) -> None:
    protocol = dataclasses.replace(HELIX, feed_mm=0.0, turns=2, first_z_mm=5.0, rows=16, flying="FFSZ")
    synthesise(tmp_path / "axial", water_phantom(INSERTS_HU), protocol)
    scan = read_projections(tmp_path / "axial")
    for z in (5.0, 7.0, 35.0):
        found = rebin(scan, z)
        assert found.sinogram.shape == (120, 96)
        assert max(errors_hu(found)) < 4.0
    with pytest.raises(InputError, match="no circle of the axial scan sees z = 20 mm"):
        rebin(scan, 20.0)


@pytest.mark.long
def test_a_table_may_move_the_other_way(tmp_path: Path) -> None:
    protocol = dataclasses.replace(HELIX, feed_mm=-23.0, first_z_mm=14.95, rows=48, flying="FFSZ")
    synthesise(tmp_path / "down", water_phantom(INSERTS_HU), protocol)
    scan = read_projections(tmp_path / "down")
    assert scan.feed_mm == pytest.approx(23.0, abs=1e-4)
    assert np.allclose(slice_positions(scan, spacing_mm=1.0), -slice_positions(scan, spacing_mm=1.0)[::-1], atol=0.3)
    assert sinogram_error(rebin(scan, 1.0)) < 2e-4


@pytest.mark.long
def test_noise_has_the_variance_that_is_said(tmp_path: Path, scans: dict[str, ProjectionSet]) -> None:
    protocol = dataclasses.replace(HELIX, flying="FFSZ", photons=2e4)
    synthesise(tmp_path / "noisy", water_phantom(INSERTS_HU), protocol)
    noisy, clean = rebin(read_projections(tmp_path / "noisy"), 0.0), rebin(scans["FFSZ"], 0.0)
    assert clean.variance is None
    assert noisy.variance is not None
    whitened = (noisy.sinogram - clean.sinogram) ** 2 / noisy.variance
    # 11,520 squares of standard normals: their mean has a standard error of 0.013.
    assert float(whitened.mean()) == pytest.approx(1, abs=0.05)
    assert float((whitened * 1.1).mean()) != pytest.approx(1, abs=0.05)


def test_slices_come_one_by_one_with_their_z(scans: dict[str, ProjectionSet], tmp_path: Path) -> None:
    scan = scans["FFSZ"]
    places = slice_positions(scan, spacing_mm=2.0)
    assert np.allclose(np.diff(places), 2.0)
    turn = 23.0
    assert places[0] >= scan.z_mm[0] + turn / 2 - 0.2
    assert places[-1] <= scan.z_mm[-1] - turn / 2 + 0.2
    found = list(read_projection_slices(scan.folder, z_mm=[0.5, 1.5]))
    assert [z for z, _ in found] == [0.5, 1.5]
    write_scan(tmp_path / "s.npz", found[0][1])
    again = read_scan(tmp_path / "s.npz")
    assert again.geometry == found[0][1].geometry
    assert again.water_mu_per_mm == WATER_MU_PER_MM
    assert np.array_equal(again.sinogram, found[0][1].sinogram)
    whole = read_scan(scan.folder, z_mm=0.5)
    assert np.array_equal(whole.sinogram, again.sinogram)
    assert any("slices from" in note for note in whole.notes)


def test_what_was_not_scanned_is_refused_in_one_line(scans: dict[str, ProjectionSet]) -> None:
    scan = scans["FFSNONE"]
    with pytest.raises(InputError, match=r"z = 40 mm was not scanned; there are slices from -3.\d+ to 3.\d+ mm"):
        rebin(scan, 40.0)
    with pytest.raises(SettingError, match="spacing of slices must be > 0 mm, got 0"):
        slice_positions(scan, spacing_mm=0.0)
    with pytest.raises(SettingError, match="more than 100000"):
        slice_positions(scan, spacing_mm=1e-9)
    with pytest.raises(InputError, match="drop --geometry, --row and --image"):
        read_scan(scan.folder, row=3)
    first = slice(0, 20)
    arrays = ("step", "angle_rad", "z_mm", "angle_shift_rad", "z_shift_mm", "radius_shift_mm")
    short = changed(scan, files=scan.files[first], **{name: getattr(scan, name)[first] for name in arrays})
    with pytest.raises(InputError, match="20 projections do not hold the"):
        slice_positions(short)


@pytest.mark.long
def test_a_fast_table_is_rebinned_from_part_of_a_turn_and_says_what_it_missed(tmp_path: Path) -> None:
    fast = dataclasses.replace(HELIX, feed_mm=48.0, turns=1.2, first_z_mm=-28.8, flying="FFSNONE", columns=60,
                               column_pitch_mm=15.76)
    synthesise(tmp_path / "fast", water_phantom(INSERTS_HU), fast)
    scan = read_projections(tmp_path / "fast")
    assert rebin(scan, 0.0).sinogram.shape[0] < 120
    full = rebin(scan, 0.0, span="full")
    assert any("needed a row beyond the detector" in note for note in full.notes)


# Solids


def test_chords_of_solids_agree_with_steps_along_the_ray() -> None:
    rng = np.random.default_rng(0)
    solids = (
        Ellipsoid(center=(1.0, -2.0, 3.0), semi_axes=(4.0, 5.0, 6.0), value=0.5),
        Cylinder(center=(-1.0, 1.0), semi_axes=(3.0, 5.0), value=1.5, bottom_mm=-2.0, top_mm=4.0),
        Cylinder(center=(2.0, 1.0), semi_axes=(2.0, 2.0), value=-0.3),
    )
    points, directions = rng.normal(0, 3, (40, 3)), rng.normal(0, 1, (40, 3))
    directions[:, 2] *= 0.3  # not along the endless one
    directions[0] = (1.0, 0.5, 0.0)
    exact = Body(solids).line_integral(points, directions)
    t = np.linspace(-100, 100, 100001)
    for k in range(40):
        unit = directions[k] / np.linalg.norm(directions[k])
        along = points[k] + t[:, None] * unit
        total = 0.0
        for solid in solids:
            total += solid.mu_per_mm * float(_inside(solid, along).sum()) * (t[1] - t[0])
        assert exact[k] == pytest.approx(total, abs=0.02), k


def _inside(solid: Any, along: Any) -> Any:
    u = along - np.array([*solid.center, 0.0])[:3]
    a = solid.semi_axes
    if isinstance(solid, Ellipsoid):
        return ((u / np.array(a)) ** 2).sum(-1) < 1
    radial = (u[:, 0] / a[0]) ** 2 + (u[:, 1] / a[1]) ** 2 < 1
    return radial & (along[:, 2] > solid.bottom_mm) & (along[:, 2] < solid.top_mm)


def test_slices_of_solids_hold_what_is_inside() -> None:
    grid = Grid(rows=40, columns=40, pixel_mm=0.5)
    ball = Body((Ellipsoid(center=(0.0, 0.0, 0.0), semi_axes=(5.0, 5.0, 5.0), value=1.0),))
    assert ball.slice(grid, 3.0).sum() * 0.25 == pytest.approx(math.pi * 16, rel=0.02)
    assert ball.slice(grid, 5.1).sum() == 0


@pytest.mark.long
@pytest.mark.parametrize(("feed_mm", "least", "most"), [(6.0, 1.0, 8.0), (36.0, 15.0, 60.0)])
def test_what_changes_along_the_axis_is_seen_only_nearly(
    feed_mm: float, least: float, most: float, tmp_path: Path
) -> None:
    """A ball of +200 HU 60 mm off the axis, cut where its side is steep: the figures of docs/projections.md."""
    radius, z = 15.0, 9.0
    body = Body((
        Cylinder(center=(0.0, 0.0), semi_axes=(100.0, 100.0), value=WATER_MU_PER_MM),
        Ellipsoid(center=(60.0, 0.0, 0.0), semi_axes=(radius,) * 3, value=0.2 * WATER_MU_PER_MM),
    ))
    protocol = dataclasses.replace(HELIX, feed_mm=feed_mm, turns=1.1, first_z_mm=z - 0.55 * feed_mm)
    synthesise(tmp_path / "ball", body, protocol)
    scan = rebin(read_projections(tmp_path / "ball"), z, span="full")
    assert scan.geometry is not None
    cut = math.sqrt(radius**2 - z**2)
    plane = Phantom((
        Ellipse(center=(0.0, 0.0), semi_axes=(100.0, 100.0), value=WATER_MU_PER_MM),
        Ellipse(center=(60.0, 0.0), semi_axes=(cut, cut), value=0.2 * WATER_MU_PER_MM),
    ))
    exact = dataclasses.replace(scan, sinogram=plane.sinogram(scan.geometry, oversample=1))
    worst = float(np.abs(image_hu(scan) - image_hu(exact)).max())
    print(f"feed {feed_mm} mm: at most {worst:.1f} HU from the image of the plane")
    assert least < worst < most
