"""``ctrecon reconstruct -o FOLDER`` and ``ctrecon verify FOLDER`` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dicom_series import dicom_files, errors_of
from pydicom import dcmread

from ctrecon.cli.main import cli


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    result = run("simulate", "--phantom", "head", "--size", 28, "--views", 30, "--noise", "2%", "-o", path)
    assert result.exit_code == 0, result.output
    return path


def reconstruct(scan: Path, output: object, *options: object) -> Result:
    return run("reconstruct", scan, "--method", "cgls", "--delta", "3%", "--no-preview", "-o", output, *options)


@pytest.mark.parametrize("name", ["series/", "CT.2024/"])
def test_a_folder_gets_a_series(scan: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    result = reconstruct(scan, f"{tmp_path}/{name}", "--patient-id", "P-1", "--slice-mm", 1.25, "--water-mu", 0.021)
    assert result.exit_code == 0, result.output
    assert "certified" in result.output
    assert {path.name for path in folder.iterdir()} == {
        "ct-0001.dcm", "certificate-0001.dcm", "report.dcm", "report-pdf.dcm", "residual.dcm", "manifest.dcm",
        "certificates",
    }  # fmt: skip
    image = dcmread(folder / "ct-0001.dcm")
    assert (image.PatientID, image.SliceThickness) == ("P-1", 1.25)
    assert image.private_block(0x71, "CTRECON")[1].value == 0.021
    said = run("verify", folder, "--scan", scan)
    assert said.exit_code == 0, said.output
    for path in dicom_files(folder):
        assert errors_of(path) == []


def test_a_name_without_a_suffix_is_refused_with_the_choices(scan: Path, tmp_path: Path) -> None:
    result = reconstruct(scan, tmp_path / "series")
    assert result.exit_code == 2
    assert "series/" in result.output
    assert ".npy" in result.output
    assert not (tmp_path / "series").exists()


def test_json_names_image_and_certificate(scan: Path, tmp_path: Path) -> None:
    facts = json.loads(reconstruct(scan, f"{tmp_path}/s/", "--json").output)
    assert facts["status"] == "certified"
    assert Path(facts["image"]) == tmp_path / "s" / "ct-0001.dcm"
    assert Path(facts["certificate"]).is_file()
    assert facts["residual"] <= facts["delta"]


def test_delta_not_met_is_exit_code_3(scan: Path, tmp_path: Path) -> None:
    options = ("--method", "cgls", "--delta", "1e-6", "--iterations", 3, "--no-preview")
    result = run("reconstruct", scan, *options, "-o", f"{tmp_path}/s/")
    assert result.exit_code == 3
    assert "NOT certified" in dcmread(tmp_path / "s" / "ct-0001.dcm").SeriesDescription
    # How it came about is told of what is not certified, too; nothing else stands there, and no raw data.
    assert [path.name for path in (tmp_path / "s" / "certificates").iterdir()] == ["slice-0001.history.json"]
    assert not list((tmp_path / "s").rglob("*.certificate.json"))
    assert not list((tmp_path / "s").glob("certificate-*.dcm"))
    assert run("verify", tmp_path / "s").exit_code == 1


def test_what_does_not_fit_is_refused_in_one_line(scan: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("x")
    cases = [
        ((f"{full}/",), "not empty"),
        ((f"{full}/", "--overwrite"), "'mine.txt'"),
        ((tmp_path / "u.npy", "--patient-id", "1"), "--patient-id belongs to a DICOM series"),
        ((f"{tmp_path}/s/", "--patient-id", "x" * 65), "PatientID"),
        ((f"{tmp_path}/s/", "--study-date", "tomorrow"), "StudyDate"),
        ((f"{tmp_path}/s/", "--template", scan), "not a DICOM file"),
        ((f"{tmp_path}/s/", "--water-mu", "-1"), "water_mu"),
        ((f"{tmp_path}/s/", "--water-mu", "nan"), "water_mu"),
        ((f"{tmp_path}/no/folder/",), "no folder"),
        ((f"{scan.parent}/", "--overwrite"), "is no part of such a result"),
        ((tmp_path / "u.jpg",), "the image is written as .npy or"),
    ]
    for (output, *options), said in cases:
        result = reconstruct(scan, output, *options)
        assert result.exit_code == 2, result.output
        assert said in result.output
        assert len([line for line in result.output.splitlines() if line.startswith("ctrecon: ")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    assert sorted(path.name for path in full.iterdir()) == ["mine.txt"]


def test_a_matrix_without_pixel_size_cannot_be_a_series(tmp_path: Path) -> None:
    from scipy.io import savemat
    from scipy.sparse import random as random_matrix

    matrix = random_matrix(60, 64, density=0.3, random_state=1, format="csc")
    sinogram = (matrix @ np.ones(64)).reshape(6, 10)
    savemat(tmp_path / "m.mat", {"A": matrix, "m": sinogram.T})
    result = reconstruct(tmp_path / "m.mat", f"{tmp_path}/s/")
    assert result.exit_code == 2
    assert "no pixel size" in result.output
    assert not (tmp_path / "s").exists()


def test_verify_wants_a_series_for_the_folder_of_certificates(scan: Path, tmp_path: Path) -> None:
    result = run("verify", tmp_path / "x.certificate.json", "--certificates", tmp_path)
    assert result.exit_code == 2
    assert "folder of a DICOM series" in result.output
