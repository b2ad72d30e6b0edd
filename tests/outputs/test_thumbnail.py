"""The thumbnail shows the sinogram as it is, missing rays apart; ``info`` says what is implausible and no more."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PillowImage

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.io.write import write_scan
from ctrecon.measurement.implausible import implausible
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.thumbnail import MISSING, as_text, thumbnail, write_thumbnail


def scan(views: int = 90, cells: int = 64, **changes: object) -> Scan:
    angles = tuple(np.arange(views) * np.pi / views)
    geometry = ct.ParallelBeam(angles_rad=angles, detector_count=cells)
    ramp = np.linspace(0, 1, views)[:, None] + np.linspace(0, 2, cells)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(ramp.shape)
    return Scan(ramp + noise, geometry, **changes)


@pytest.mark.parametrize(("rows", "columns"), [(44, 72), (10, 7), (500, 500), (1, 1)])
def test_it_is_the_sinogram_in_small(rows: int, columns: int) -> None:
    small = thumbnail(scan(), rows=rows, columns=columns)
    assert small.shape == (min(rows, 90), min(columns, 64), 3)
    grey = small[..., 0].astype(int)
    assert (small == small[..., :1]).all()
    if min(rows, columns) > 5:
        assert (np.diff(grey, axis=0) >= -1).all()
        assert (np.diff(grey, axis=1) >= -1).all()
        assert grey[0, 0] < 20 < 235 < grey[-1, -1]


def test_missing_rays_are_red_and_decide_nothing_else() -> None:
    values = scan().sinogram.copy()
    values[30:60, 20:40] = np.nan
    holed = thumbnail(replace(scan(), sinogram=values), rows=30, columns=32)
    assert (holed[15, 15] == MISSING).all()
    assert (holed[2, 2] != MISSING).any()
    assert abs(int(holed[2, 2, 0]) - int(thumbnail(scan(), rows=30, columns=32)[2, 2, 0])) < 8


def test_in_a_terminal_and_as_a_file(tmp_path) -> None:
    small = thumbnail(scan(), rows=11, columns=9)
    lines = as_text(small).splitlines()
    assert [line.count("\u2580") for line in lines] == [9] * 6
    assert all(line.endswith("\x1b[0m") for line in lines)
    assert lines[0].startswith("\x1b[38;5;232;48;5;23")  # from black at the upper left
    assert "38;5;25" in lines[-1]  # to white
    assert "38;5;160;48;5;160m" in as_text(np.full((2, 1, 3), MISSING, np.uint8))
    write_thumbnail(tmp_path / "a.png", scan())
    with PillowImage.open(tmp_path / "a.png") as picture:
        assert picture.size == (64, 90)


def test_of_a_volume_the_middle_row(tmp_path) -> None:
    flat = scan()
    values = np.stack([flat.sinogram + k for k in range(3)], axis=1)
    geometry = ct.geometry.parallel_rows.ParallelRows(
        angles_rad=flat.geometry.angles_rad, detector_count=64, detector_rows=3
    )
    volume = Scan(values, geometry)
    np.testing.assert_array_equal(thumbnail(volume, rows=20, columns=20), thumbnail(flat, rows=20, columns=20))


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: replace(s, sinogram=-s.sinogram), "hardly any line integral is above 0"),
    (lambda s: replace(s, sinogram=s.sinogram - 1), r"below -0\.0.* white field"),
    (lambda s: replace(s, sinogram=100 * s.sinogram), "leave exp"),
    (lambda s: replace(s, sinogram=np.minimum(s.sinogram, 1.2)), "of the values are exactly 1.2"),
    (lambda s: replace(s, geometry=replace(s.geometry, detector_spacing_mm=1e-6)), "are the lengths in mm"),
    (lambda s: s.every(10), "9 views are few"),
    (lambda s: replace(s, geometry=replace(s.geometry, angles_rad=(0.0, *s.geometry.angles_rad[:-1]))), "angle of"),
])  # fmt: skip
def test_what_is_implausible_is_said(change, words: str) -> None:
    assert implausible(scan()) == []
    said = implausible(change(scan()))
    assert len(said) == 1
    assert __import__("re").search(words, said[0]), said


def test_simulated_scans_are_plausible() -> None:
    for subject, beam in (("chest", "fan"), ("seeds", "parallel")):
        assert implausible(ct.simulate(subject, beam=beam, size=48, views=60, noise=0.01, seed=1).scan) == []


def test_the_command(tmp_path) -> None:
    small = scan(24, 24)
    write_scan(tmp_path / "s.npz", replace(small, sinogram=100 * small.sinogram))
    runner = CliRunner()
    line = ["info", str(tmp_path / "s.npz"), "--png", str(tmp_path / "p.png")]
    done = runner.invoke(cli, [*line, "--thumbnail"])
    assert done.exit_code == 0, done.output
    assert "\u2580" in done.output
    assert "implausible: line integrals of" in done.output
    with PillowImage.open(tmp_path / "p.png") as picture:
        assert picture.size == (24, 24)
    assert runner.invoke(cli, line).exit_code != 0  # it is there already
    quiet = runner.invoke(cli, ["info", str(tmp_path / "s.npz"), "--json", "--thumbnail"])
    assert json.loads(quiet.output)["implausible"]
