"""An object beyond the detector is noticed, has a place in the image, and what nobody measured is marked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.ndimage import map_coordinates

import ctrecon as ct
from ctrecon.classical.cgls import cgls
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.cli.main import cli
from ctrecon.diagnosis.suggestion import with_geometry
from ctrecon.geometry.grid import default_grid
from ctrecon.io.write import write_scan
from ctrecon.measurement.cut_off import cut_off
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.operators.choose import choose_operator
from ctrecon.reconstruction.problem import prepare
from ctrecon.simulation.simulated import Simulated

SIZE, CUT = 80, 16


def simulated(beam: str = "fan") -> Simulated:
    return ct.simulate("chest", beam=beam, size=SIZE, views=72, noise=0.005, seed=3)


def middle_of(scan: Scan, *, left: int = CUT, right: int = CUT) -> Scan:
    """Without the outer cells, and without a grid."""
    values = np.ascontiguousarray(scan.sinogram[:, left : scan.sinogram.shape[1] - right])
    geometry = scan.geometry
    assert isinstance(geometry, ct.FanBeam | ct.ParallelBeam)
    offset = geometry.detector_offset_mm + (left - right) / 2 * geometry.detector_spacing_mm
    return Scan(values, dataclasses.replace(geometry, detector_count=values.shape[1], detector_offset_mm=offset))


def psnr(image: np.ndarray, grid: ct.Grid, made: Simulated) -> float:
    """Within the field of view."""
    assert made.scan.grid is not None
    radius = 0.9 * max(default_grid(middle_of(made.scan).geometry).size_mm) / 2
    x = (np.arange(grid.rows) - (grid.rows - 1) / 2) * grid.spacing_mm[0]
    at = np.stack(np.meshgrid(x, x, indexing="ij"))
    truth = map_coordinates(made.truth, at / made.scan.grid.spacing_mm[0] + (len(made.truth) - 1) / 2, order=1)
    inside = np.hypot(*at) < radius
    return 20 * float(np.log10(truth.max() / np.sqrt(np.mean((image - truth)[inside] ** 2))))


@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_it_is_noticed_and_nothing_else_is(beam: str) -> None:
    whole = simulated(beam).scan
    assert middle_of(whole).is_cut_off
    assert not dataclasses.replace(whole, grid=None).is_cut_off
    assert dataclasses.replace(whole, grid=None).with_grid().undecided_beyond_mm is None
    rng = np.random.default_rng(1)
    for other in (np.ones(whole.sinogram.shape), rng.random(whole.sinogram.shape), np.zeros(whole.sinogram.shape)):
        assert whole.geometry is not None
        assert not cut_off(other, whole.geometry)


def test_half_a_fan_is_whole_if_its_longer_side_is() -> None:
    """Each ray that the shorter side lacks is measured from the other side."""
    whole = simulated().scan
    assert not middle_of(whole, left=30, right=0).is_cut_off
    assert middle_of(whole, left=30, right=20).is_cut_off


@pytest.mark.parametrize("left", [24, 32])
@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_without_a_whole_turn_the_shorter_side_cuts_off(beam: str, left: int) -> None:
    """Of the rays that it lacks some are measured in no view: the image reaches as far as the longer side sees."""
    made = simulated(beam)
    whole, pixels = made.scan.geometry, made.scan.grid
    assert whole is not None
    assert pixels is not None
    # Of the fan's whole turn 250 degrees; of parallel beams half a turn is all there is.
    short = dataclasses.replace(made.scan, sinogram=made.scan.sinogram[:50], geometry=whole.views(slice(50)))
    cut = middle_of(short if beam == "fan" else made.scan, left=left, right=0)
    geometry = cut.geometry
    assert geometry is not None
    assert cut.is_cut_off
    wide = cut.with_grid()
    assert wide.grid is not None
    assert max(wide.grid.size_mm) > max(pixels.size_mm)
    assert max(wide.grid.plane) < 1.5 * SIZE, "pixels are no finer than cells"
    assert any("the data leave it open" in note for note in wide.notes)
    data = torch.from_numpy(cut.sinogram.astype(np.float32))[None, None]
    errors = []
    for grid, cells in ((default_grid(geometry), 0), (wide.grid, cut.cells_cut_off)):
        image = FilteredBackProjection(geometry, grid, window="hann", cells_cut_off=cells)(data)[0, 0].numpy()
        at = np.stack(np.meshgrid(grid.x_mm, grid.x_mm, indexing="ij")) / pixels.spacing_mm[0] + (SIZE - 1) / 2
        inside = np.hypot(grid.x_mm[None], grid.y_mm[:, None]) < 0.45 * max(default_grid(geometry).size_mm)
        truth = map_coordinates(made.truth, at, order=1)
        errors.append(float(np.sqrt(np.mean((image - truth)[inside] ** 2))))
    assert 20 * np.log10(errors[0] / errors[1]) > 8
    # A diagnosis compares geometries on squares that hold the object.
    moved = with_geometry(wide, geometry.with_center(30.0))
    assert moved is not None
    assert moved.grid is not None


@pytest.mark.long
def test_the_image_is_wide_enough_and_explains_the_data() -> None:
    made = simulated()
    cut = middle_of(made.scan)
    wide = ct.reconstruct(cut, method="huber-tv", device="cpu")
    assert wide.certified
    assert wide.scan.grid is not None
    assert psnr(wide.image, wide.scan.grid, made) > 28
    # On the field of view alone no image does, however long one tries.
    assert cut.geometry is not None
    narrow = default_grid(cut.geometry)
    operator = choose_operator(cut.geometry, narrow, uses="few")
    data = torch.from_numpy(cut.sinogram.astype(np.float32))[None, None]
    assert float(cgls(operator, data, most_iterations=60).discrepancy) > 3 * wide.delta.value
    assert max(wide.scan.grid.size_mm) == pytest.approx(1.5 * max(narrow.size_mm), rel=0.03)
    pixel = 1.5 * max(narrow.size_mm) / 50
    assert cut.with_grid(size=50).grid == ct.Grid(rows=50, columns=50, pixel_mm=pixel)


@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_filtered_back_projection_sees_no_edge_at_the_detectors_end(beam: str) -> None:
    made = simulated(beam)
    cut = middle_of(made.scan)
    assert cut.geometry is not None
    grid = default_grid(cut.geometry)
    data = torch.from_numpy(cut.sinogram.astype(np.float32))[None, None]

    def of(cells: int) -> float:
        inverse = FilteredBackProjection(cut.geometry, grid, window="hann", cells_cut_off=cells)
        return psnr(inverse(data)[0, 0].numpy(), grid, made)

    assert of(cut.cells_cut_off) > of(0) + 3
    # How far it goes on decides: to the detector's half again, as for any object, is worse than not at all.
    assert of(data.shape[-1] // 2) < of(0)


@pytest.mark.parametrize("subject", ["chest", "ellipses", "head", "polygons", "seeds", "textured"])
def test_it_goes_on_as_far_as_the_object_seems_to(subject: str) -> None:
    """Never at a loss, whatever is cut off how far; much won where much is."""
    made = ct.simulate(subject, beam="parallel", size=SIZE, views=72, noise=0.005, seed=3)
    for cells in (8, 14, 20):
        cut = middle_of(made.scan, left=cells, right=cells)
        assert cut.geometry is not None
        if not cut.is_cut_off:
            assert cut.cells_cut_off == 0
            continue
        grid = default_grid(cut.geometry)
        data = torch.from_numpy(cut.sinogram.astype(np.float32))[None, None]
        x = (np.arange(grid.rows) - (grid.rows - 1) / 2) * grid.spacing_mm[0]
        at = np.stack(np.meshgrid(x, x, indexing="ij"))
        assert made.scan.grid is not None
        truth = map_coordinates(made.truth, at / made.scan.grid.spacing_mm[0] + (SIZE - 1) / 2, order=1)
        inside = np.hypot(*at) < 0.45 * max(grid.size_mm)
        plain, extended = (
            FilteredBackProjection(cut.geometry, grid, window="hann", cells_cut_off=k)(data)[0, 0].numpy() - truth
            for k in (0, cut.cells_cut_off)
        )
        won = 20 * np.log10(np.linalg.norm(plain[inside]) / np.linalg.norm(extended[inside]))
        assert won > (6 if cells == 20 else -0.1), (subject, cells)


def test_ends_alone_have_an_answer() -> None:
    """Hardly anything but one end is seen, beside values below zero."""
    cut = middle_of(simulated("parallel").scan)
    rare = np.zeros_like(cut.sinogram)
    rare[::3, 0], rare[::3, 1] = 1, -2
    rare[::3, -1] = 1
    only = dataclasses.replace(cut, sinogram=rare)
    assert only.is_cut_off
    assert 1 <= only.cells_cut_off <= cut.sinogram.shape[1] // 2


def test_slices_that_share_an_operator_go_on_each_as_far_as_it_must() -> None:
    """An empty slice goes first: what it leaves to the next is no inverse of an object that is cut off."""
    cut = middle_of(simulated("parallel").scan).with_grid()
    faint = np.zeros_like(cut.sinogram)
    faint[:, 20:28] = cut.sinogram[:, 20:28]
    whole = dataclasses.replace(cut, sinogram=faint)
    assert (whole.cells_cut_off, cut.cells_cut_off > 0) == (0, True)
    delta = Delta(value=1.0, norm="2-norm", how="given")
    alone = {scan: prepare(scan, delta, device="cpu") for scan in (whole, cut)}
    data = alone[cut].energy.data
    expected = {scan: problem.precondition(data) for scan, problem in alone.items()}
    assert not torch.allclose(expected[whole], expected[cut], rtol=1e-3)
    for first, then in ((whole, cut), (cut, whole)):
        after = prepare(then, delta, device="cpu", shared=alone[first])
        assert after.operator is alone[first].operator
        assert torch.equal(after.precondition(data), expected[then])


def test_what_lies_outside_is_marked_wherever_the_image_goes(tmp_path: Path) -> None:
    path, image, page = tmp_path / "s.npz", tmp_path / "r.npy", tmp_path / "r.html"
    write_scan(path, middle_of(simulated().scan))
    words = ["reconstruct", str(path), "-o", str(image), "--method", "cgls", "--json", "--report", str(page)]
    found = json.loads(CliRunner().invoke(cli, words).output)
    radius = found["undecided_beyond_mm"]
    assert radius == pytest.approx(max(default_grid(middle_of(simulated().scan).geometry).size_mm) / 2)
    assert any("the data leave it open" in note for note in found["notes"])
    assert "outside of the dashed circle" in page.read_text()
