"""How the patient lay is never guessed: a series is of a known position, or said to be of no patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.dicom.raw.patient_axes import PatientAxes
from ctrecon.errors import InputError, SettingError
from ctrecon.io.write import write_scan
from ctrecon.measurement.terms import NOBODY, POSITIONS, enumerated

BEAM = ct.ParallelBeam(angles_rad=tuple(np.linspace(0, 3, 12)), detector_count=16, detector_spacing_mm=2.0)
ROWS = np.tile(2 * np.sqrt(np.maximum(12.0**2 - ((np.arange(16) - 7.5) * 2.0) ** 2, 0)) * 0.02, (12, 1))
BARE = ct.Scan(ROWS, BEAM)
QUICK = {"method": "cgls", "delta": "20%"}


def refused(scan: object, folder: Path, **options: object) -> str:
    with pytest.raises((InputError, SettingError)) as caught:
        ct.reconstruct(scan, **QUICK).to_dicom(folder, pictures=False, **options)
    assert not folder.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def head(folder: Path) -> tuple[str, str]:
    ds = dcmread(folder / "ct-0001.dcm")
    return ds.PatientPosition or "", ds.ImageComments


def test_a_file_that_does_not_say_it_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path, out = tmp_path / "s.npz", tmp_path / "out"
    write_scan(path, BARE)
    line = [str(path), "--method", "cgls", "--delta", "20%", "--no-preview", "-o", f"{out}/"]
    done = CliRunner().invoke(cli, ["reconstruct", *line])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    for said in (refused(path, out), done.stderr):
        assert str(path) in said
        assert "give --patient-position (HFS" in said
        assert "none for a phantom" in said
    assert not out.exists()
    done = CliRunner().invoke(cli, ["reconstruct", *line, "--patient-position", "HFP"])
    assert done.exit_code == 0, done.output
    assert head(out)[0] == "HFP"


@pytest.mark.parametrize("stated", ["SITTING", "hfs", " HFS", "HFSX", "None", "RFS"])
def test_a_term_that_is_none_is_refused_by_whatever_makes_a_scan_of_it(stated: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the scan: patient_position must be HFS, .*none or empty .* got"):
        replace(BARE, patient_position=stated)
    path = tmp_path / "s.npz"
    write_scan(path, replace(BARE, patient_position="HFS"))
    with np.load(path) as arrays:
        kept = dict(arrays)
    (facts,) = (name for name, value in kept.items() if "patient_position" in str(value))
    kept[facts] = np.array(str(kept[facts]).replace('"HFS"', f'"{stated}"'))
    np.savez(path, **kept)
    for words in (["info", str(path)], ["reconstruct", str(path), "-o", str(tmp_path / "o.npy")]):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 2, done.output
        assert len(done.stderr.splitlines()) == 1
        assert str(path) in done.stderr
        assert repr(stated) in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize("name", sorted(enumerated(ct.Scan)))
@pytest.mark.parametrize("value", ["nonsense", 3, None, ["mm"], b"mm"])
def test_every_enumerated_field_of_a_scan_takes_its_terms_and_no_others(name: str, value: object) -> None:
    for term in enumerated(ct.Scan)[name]:
        assert getattr(replace(BARE, **{name: term}), name) == term
    with pytest.raises(InputError, match=f"the scan: {name} must be "):
        replace(BARE, **{name: value})


def test_each_position_and_none_can_be_said_when_a_series_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    (tmp_path / "Jan Kowalczyk beam.geometry.json").touch()
    write_scan(path, replace(BARE, notes=("geometry from Jan Kowalczyk beam.geometry.json",)))
    result = ct.reconstruct(path, **QUICK)
    for said in (POSITIONS[1], NOBODY):
        result.to_dicom(tmp_path / said, pictures=False, patient_position=said)
        position, comments = head(tmp_path / said)
        assert position == ("" if said == NOBODY else said)
        assert ("mean nothing" in comments) == (said == NOBODY)
        assert ("to the patient's left" in comments) == (said != NOBODY)
        assert "geometry from a file that is not named here" in comments
        assert not [one for one in (tmp_path / said).rglob("*") if one.is_file() and b"Kowalczyk" in one.read_bytes()]


def test_what_a_program_puts_together_is_of_nobody_until_somebody_is_named(tmp_path: Path) -> None:
    ct.reconstruct(BARE, **QUICK).to_dicom(tmp_path / "mine", pictures=False)
    assert head(tmp_path / "mine")[0] == ""
    assert "is of no patient" in head(tmp_path / "mine")[1]
    assert "PatientPosition is missing" in refused(BARE, tmp_path / "p", patient_id="P-17")
    assert "PatientPosition is missing" in refused(BARE, tmp_path / "p", template=tmp_path / "mine" / "ct-0001.dcm")
    assert "PatientPosition is missing" in refused(replace(BARE, study={"PatientID": "P-17"}), tmp_path / "p")


def test_what_is_said_may_not_contradict_the_scan(tmp_path: Path) -> None:
    lay = replace(BARE, patient_position="FFS")
    for said in ("HFS", NOBODY):
        assert "FFS" in refused(lay, tmp_path / "p", patient_position=said)
    assert "must be one of" in refused(BARE, tmp_path / "p", patient_position="hfs")


def test_a_simulated_scan_says_that_it_is_of_nobody() -> None:
    assert ct.simulate("ellipses", size=16, views=8).scan.patient_position == NOBODY


def test_raw_data_of_nobody_keep_the_scanners_axes() -> None:
    angles = np.linspace(0, 1, 5)
    np.testing.assert_array_equal(PatientAxes(NOBODY).angles(angles), PatientAxes("HFS").angles(angles))
    assert not np.array_equal(PatientAxes(NOBODY).angles(angles), PatientAxes("FFS").angles(angles))
