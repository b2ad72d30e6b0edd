"""HU and mm stand only where the scan has mm and its values can be tissue."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.units import CELLS
from ctrecon.outputs.millimetres import check_tissue
from ctrecon.outputs.report.scale import choose_scale


def run(*words: object):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disc measured in cells: a sinogram alone, without geometry."""
    path = tmp_path_factory.mktemp("cells") / "s.npy"
    s = np.arange(24) - 11.5
    rows = 2 * np.sqrt(np.maximum(64 - s**2, 0)) * 0.05
    np.save(path, rows + np.random.default_rng(0).normal(0, 0.01, (24, 24)))
    return path


ASKED = ("--geometry", "parallel-180", "--delta", "20%", "--method", "cgls")


def test_a_scan_in_cells_says_neither_mm_nor_hu(scan: Path, tmp_path: Path) -> None:
    image, page = tmp_path / "u.npy", tmp_path / "u.html"
    done = run("reconstruct", scan, *ASKED, "-o", image, "--report", page)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "u.history.json").read_text())["length_unit"] == "cell"
    said = json.loads((tmp_path / "u.certificate.json").read_text())["image"]
    assert said["unit"] == "1/cell"
    checked = run("verify", tmp_path / "u.certificate.json")
    assert checked.exit_code == 0, checked.output
    text = page.read_text()
    shown = text.split("</style>")[1].split("<script")[0]
    for word in (" mm", "HU</", "1/mm", "per mm"):
        assert word not in shown.replace("neither mm nor HU", ""), word
    assert "x in cells" in text
    assert "x in mm" not in text
    facts = json.loads(run("reconstruct", scan, *ASKED, "-o", tmp_path / "v.npy", "--json").output)
    assert facts["unit"] == "1/cell"
    told = run("info", scan, "--geometry", "parallel-180").output
    assert "detector spacing cells" in told.replace("_", " ")
    assert " mm" not in told.replace("_", " ")
    (tmp_path / "u.history.json").unlink()  # the certificate alone knows the unit
    asked = run("audit", tmp_path / "u.certificate.json", "--roi", "12,12,3", "--iterations", "60", "--kappa", "9")
    assert "1/cell" in asked.output, asked.output
    assert "mm" not in asked.output.replace("command", "")


@pytest.mark.parametrize("output", ["series/", "u.nii.gz"])
def test_what_needs_mm_is_refused_by_name(scan: Path, tmp_path: Path, output: str) -> None:
    done = run("reconstruct", scan, *ASKED, "--no-preview", "-o", f"{tmp_path}/{output}")
    assert done.exit_code == 2, done.output
    assert "its lengths are in detector cells" in done.stderr
    assert "--geometry FILE" in done.stderr
    assert not list(tmp_path.iterdir())


def test_values_that_no_tissue_has_are_not_told_in_hu() -> None:
    grid = Grid(rows=4, columns=4, pixel_mm=0.01)
    tooth = choose_scale(np.full((4, 4), 1.2), grid, None)
    assert (tooth.unit, tooth.water) == ("1/mm", None)
    assert "far more than" in tooth.note
    assert choose_scale(np.full((4, 4), 0.06), grid, None).unit == "HU"
    assert choose_scale(np.full((4, 4), 1.2), grid, 0.5).unit == "HU", "water was stated"
    assert choose_scale(np.full((4, 4), 0.02), grid, 0.02, units=CELLS).unit == "1/cell"


@pytest.mark.parametrize("output", ["series/", "u.nii.gz"])
def test_a_scan_in_mm_without_tissue_is_not_written_in_hu(tmp_path: Path, output: str) -> None:
    """A tooth at 20 keV: refused before the work where the data show it, else before a file is written."""
    angles = tuple(np.arange(30) * np.pi / 30)
    beam = ct.ParallelBeam(angles_rad=angles, detector_count=24, detector_spacing_mm=0.01)
    place = (np.arange(24) - 11.5) * 0.01
    chord = 2 * np.sqrt(np.maximum(0.08**2 - place**2, 0))
    for mu, begun in ((1.2, False), (0.002, True)):
        scan = ct.Scan(sinogram=np.tile(chord * mu, (30, 1)), geometry=beam)
        results = [ct.reconstruct(scan, method="cgls", delta="5%")]
        write = results[0].to_dicom if output == "series/" else results[0].save
        with pytest.raises(InputError, match="would mislead; --water-mu"):
            write(tmp_path / output)
        assert not list(tmp_path.iterdir())
        if not begun:
            with pytest.raises(InputError, match="would mislead; --water-mu"):
                check_tissue(scan, "a series", None)
        check_tissue(scan, "a series", mu)
    results[0].save(tmp_path / "u.nii.gz", water_mu=0.002)
    assert (tmp_path / "u.nii.gz").is_file()
