"""Raw data to a slice's file to a series: patient, study, patient position and z arrive in the CT images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.series.said import said_in, study_said, texts_of
from ctrecon.dicom.series.study import study_of
from ctrecon.errors import InputError, SettingError
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.study_words import OPTIONAL

RAW = "synthesise-projections -o raw --rows 4 --columns 48 --per-turn 48 --turns 1.1 --feed 2 --photons 1e3 --seed 3"
QUICK = "--method cgls --no-preview --size 40"


def run(words: str) -> Result:
    return CliRunner().invoke(cli, words.split(), catch_exceptions=False)


def change(folder: Path, **values: str | list[str]) -> None:
    for path in folder.iterdir():
        one = dcmread(path)
        for keyword, value in values.items():
            setattr(one, keyword, value)
        one.save_as(path)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run(RAW).exit_code == 0
    return tmp_path / "raw"


@pytest.mark.long
def test_a_slice_of_a_file_is_of_its_patient_and_stands_where_it_was_scanned(raw: Path) -> None:
    for position in ("FFS", "HFS"):
        named = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Žofie^M", "StudyDate": "20240229"}
        named["KVP"] = "140"
        change(raw, PatientPosition=position, **named)
        first = dcmread(next(raw.iterdir()))
        assert run(f"rebin raw -o {position} --z 0.25").exit_code == 0
        done = run(f"reconstruct {position}/slice_0001.npz -o s{position}/ {QUICK}")
        assert done.exit_code == 0, done.output
        image = dcmread(f"s{position}/ct-0001.dcm")
        assert image.PatientPosition == position
        # A detector row as it is seen at the axis, where every ray passes its slice; and what the tube was set to.
        assert float(image.SliceThickness) == pytest.approx(read_projections(raw).row_at_axis_mm)
        assert float(image.KVP) == 140
        assert float(image.ImagePositionPatient[2]) == float(image.SliceLocation) == 0.25
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate"):
            assert image.get(keyword) == first.get(keyword), keyword
        assert image.SeriesInstanceUID != first.SeriesInstanceUID


def test_a_folder_gives_the_same_and_an_option_that_contradicts_is_refused_before_the_work(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(f"reconstruct raw -o whole/ {QUICK}").exit_code == 0
    scan = read_scan("raw")
    assert scan.z_mm is not None
    assert float(dcmread("whole/ct-0001.dcm").ImagePositionPatient[2]) == pytest.approx(scan.z_mm, abs=1e-6)
    assert scan.z_mm != 0
    assert run(f"reconstruct raw -o v.nii.gz {QUICK}").exit_code == 0
    assert read_volume_z(Path("v.nii.gz")) == pytest.approx(scan.z_mm, abs=1e-4)
    assert run("rebin raw -o slices --z 0").exit_code == 0
    monkeypatch.setattr("ctrecon.reconstruction.run.load_method", never)
    done = run("reconstruct slices/slice_0001.npz -o s/ --patient-id OTHER")
    assert done.exit_code == 2
    assert "contradicts the scan" in done.output
    assert not Path("s").exists()


def never(*_: object) -> None:
    raise AssertionError("the work began")


def read_volume_z(path: Path) -> float:
    import SimpleITK

    return float(SimpleITK.ReadImage(str(path)).GetOrigin()[2])


def test_all_that_a_template_says_goes_through_texts(raw: Path, tmp_path: Path) -> None:
    one = dcmread(next(raw.iterdir()))
    texts = {k: "X" for k in OPTIONAL if k.startswith("ClinicalTrial")} | {
        "PatientAge": "059Y", "PatientIdentityRemoved": "YES", "BodyPartExamined": "KNEE", "Laterality": "L",
    }  # fmt: skip
    for keyword, text in texts.items():
        setattr(one, keyword, text)
    one.DeidentificationMethod = ["one", "two"]
    one.save_as(tmp_path / "t.dcm")
    study = study_of(tmp_path / "t.dcm", {})
    again = study_said("a scan", texts_of(study), study_of(None, {}))
    assert again.attributes == study.attributes
    assert again.side == study.side == "L"
    assert study_said("a scan", {"PatientID": "other"}, study) is study, "a template goes first"
    with pytest.raises(SettingError, match="contradicts the scan"):
        study_said("a scan", texts_of(study), study_of(None, {"PatientID": "other"}))


@pytest.mark.parametrize("said", [{"PixelData": "x"}, {"StudyInstanceUID": "no"}, {"PatientName": "a\tb"}])
def test_what_is_no_study_is_refused_by_name(said: dict[str, str]) -> None:
    with pytest.raises(InputError, match=next(iter(said))):
        study_said("a scan", said, study_of(None, {}))


def test_half_a_patient_is_not_taken(raw: Path) -> None:
    change(raw, PatientID="1\t2")
    said, notes = said_in(next(raw.iterdir()))
    assert said == {}
    assert "PatientID is not valid DICOM" in notes[0]
    projections = read_projections(raw)
    assert projections.study == {}
    assert dataclasses.replace(projections, study={"PatientID": "1"}).study == {"PatientID": "1"}


@pytest.mark.parametrize("output", ["series/", "u.nii.gz", "u.mha"])
def test_what_a_scan_in_cells_cannot_become_is_refused_before_the_work(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("s.npy", np.ones((24, 24)))
    monkeypatch.setattr("ctrecon.reconstruction.run.load_method", never)
    words = "reconstruct s.npy --geometry parallel-180 -o "
    done = run(words + output)
    assert done.exit_code == 2, done.output
    assert "its lengths are in detector cells" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["s.npy"]
    with pytest.raises(AssertionError, match="the work began"):
        run(words + "u.npy")
