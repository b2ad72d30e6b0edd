"""The Helsinki challenge: its score, its scanner, and parts of whole turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner
from PIL import Image

from ctrecon.cli.main import cli
from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.simulation.own_family import read_family
from ctrecon.studies.helsinki import (
    PIXEL_MM,
    SIDE,
    STEP_DEG,
    challenge_scanner,
    matthews,
    measured_cases,
    score,
    segmented,
    simulated_cases,
)  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
DISCS = ROOT / "docs" / "static" / "discs.py"


def test_the_coefficient_is_one_for_the_truth_and_minus_one_for_its_contrary() -> None:
    rng = np.random.default_rng(0)
    truth, other = rng.random((2, 64, 64)) < 0.3
    assert matthews(truth, truth) == pytest.approx(1)
    assert matthews(~truth, truth) == pytest.approx(-1)
    assert abs(matthews(other, truth)) < 0.05
    assert matthews(other, truth) == pytest.approx(np.corrcoef(other.ravel(), truth.ravel())[0, 1])
    assert matthews(np.ones_like(truth), truth) == 0


def test_an_image_of_fewer_pixels_is_segmented_where_it_lies() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    truth = np.hypot(y - 200, x - 300) < 120
    coarse = truth.reshape(128, 4, 128, 4).mean((1, 3)).astype(np.float32)
    assert matthews(segmented(0.05 * coarse), truth) > 0.995
    assert matthews(segmented(0.05 * coarse[::-1]), truth) < 0.9


def whole_turn(folder: Path) -> tuple[Path, np.ndarray]:
    """A file as the challenge's: a whole turn in half degrees, the last view the first, of few cells."""
    values = np.random.default_rng(1).random((721, 8)) + 1
    parameters = {
        "angles": np.arange(721) * STEP_DEG, "distanceUnit": "mm", "pixelSizePost": 14.0,
        "distanceSourceOrigin": 410.66, "distanceSourceDetector": 553.74,
    }  # fmt: skip
    path = folder / "htc_01a_full.mat"
    scipy.io.savemat(path, {"CtDataFull": {"sinogram": values, "parameters": parameters}})
    return path, values


def test_a_part_of_a_turn_holds_the_views_that_it_says(tmp_path: Path) -> None:
    path, values = whole_turn(tmp_path)
    with pytest.raises(InputError, match=r"its segmentation htc_01a_recon_fbp_seg\.png is missing"):
        next(measured_cases([tmp_path], [30], size=16))
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(tmp_path / "htc_01a_recon_fbp_seg.png")
    cases = list(measured_cases([tmp_path], [90, 30], size=16, seed=2))
    assert [one.scan.sinogram.shape for one in cases] == [(181, 8), (61, 8)]
    for one in cases:
        first = round(one.start_deg / STEP_DEG)
        np.testing.assert_array_equal(one.scan.sinogram, values[first : first + len(one.scan.sinogram)])
        angles = one.scan.geometry.angles_rad
        assert np.rad2deg(angles[-1] - angles[0]) == pytest.approx(one.opening_deg)
        assert np.rad2deg(angles[0]) == pytest.approx(one.start_deg)
        assert one.acrylic.all()
    assert cases[0].start_deg != next(measured_cases([tmp_path], [90], size=16, seed=3)).start_deg
    with pytest.raises(InputError, match="ctrecon data fetch htc2022"):
        next(measured_cases([ROOT / "docs"], [30], size=16))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "htc_01a_recon_fbp_seg.png")
    with pytest.raises(InputError, match="512 x 512"):
        next(measured_cases([tmp_path], [30], size=16))
    assert path.exists()


def test_the_scanner_is_the_challenges(data_dir: Path) -> None:
    measured = read_scan(data_dir / "sinograms" / "htc2022" / "htc2022_ta_full.mat")
    ours = challenge_scanner(30, 0.0)
    assert ours.detector_spacing_mm == pytest.approx(measured.geometry.detector_spacing_mm)
    assert ours.detector_count == measured.geometry.detector_count
    assert ours.magnification == pytest.approx(measured.geometry.magnification)
    assert measured.grid.square_mm == PIXEL_MM
    np.testing.assert_allclose(ours.angles_rad, measured.geometry.angles_rad[:61], atol=1e-12)


def test_a_simulated_disc_lies_on_its_truth() -> None:
    family = read_family(DISCS)
    one, same = (next(simulated_cases(family, 1, [120], size=48, seed=5)) for _ in range(2))
    np.testing.assert_array_equal(one.scan.sinogram, same.scan.sinogram)
    row = score(one, "cgls", method="cgls", delta="3%")
    assert row.matthews > 0.85
    assert row.certified
    assert row.misfit <= 1
    other = next(simulated_cases(family, 1, [120], size=48, seed=6))
    assert matthews(other.acrylic, one.acrylic) < row.matthews


def test_the_command_asks_for_one_source_of_discs(tmp_path: Path) -> None:
    for line, told in (
        ([], "give either --set FOLDER"), (["--set", str(tmp_path), "--phantoms", str(DISCS)], "give either --set"),
        (["--phantoms", str(DISCS), "--correct", "bimodal"], "--correct bimodal is of scans that were measured"),
    ):  # fmt: skip
        result = CliRunner().invoke(cli, ["reproduce", "helsinki", *line])
        assert result.exit_code == 2
        assert told in result.output
