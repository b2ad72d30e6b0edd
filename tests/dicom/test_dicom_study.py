"""Whose images these are: what passes through from a template, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_series import GIVEN, dicom_files, errors_of, results, write
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from ctrecon.dicom.series.series_check import check_series
from ctrecon.dicom.series.study import NO_DATE, study_of
from ctrecon.errors import CtreconError, InputError, SettingError
from ctrecon.outputs.series import SeriesTarget


def template(path: Path, **changes: object) -> Path:
    """A DICOM file of a study, written without any validation, as careless programs do."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6"
    values = {
        "PatientName": "Müller^Hans", "PatientID": "4711", "PatientBirthDate": "19500102", "PatientSex": "M",
        "PatientAge": "074Y", "StudyInstanceUID": "1.2.3.4", "StudyDate": "20240229", "StudyTime": "101112.5",
        "StudyID": "S1", "AccessionNumber": "A1", "ReferringPhysicianName": "", "StudyDescription": "Thorax",
        "BodyPartExamined": "CHEST", "SeriesDescription": "of the template",
    }  # fmt: skip
    for keyword, value in {**values, **changes}.items():
        if value is not None:
            ds.add(_careless(keyword, value))
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    return path


def _careless(keyword: str, value: object) -> DataElement:
    from pydicom import config
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None
    return DataElement(tag, dictionary_VR(keyword), value, validation_mode=config.IGNORE)


def test_patient_and_study_pass_through(tmp_path: Path) -> None:
    study = study_of(template(tmp_path / "t.dcm"), {})
    folder = write(tmp_path / "s", slices=1, study=study)
    for path in dicom_files(folder):
        ds = dcmread(path)
        assert (str(ds.PatientName), ds.PatientID, ds.PatientBirthDate) == ("Müller^Hans", "4711", "19500102")
        assert (ds.PatientSex, ds.PatientAge, ds.StudyInstanceUID) == ("M", "074Y", "1.2.3.4")
        assert (ds.StudyDate, ds.StudyTime, ds.AccessionNumber) == ("20240229", "101112.5", "A1")
        assert (ds.StudyID, ds.StudyDescription, ds.BodyPartExamined) == ("S1", "Thorax", "CHEST")
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert ds.SeriesDescription.startswith("RESEARCH ")
        assert errors_of(path) == []
    assert dcmread(folder / "report.dcm").ContentDate == "20240229"
    # Its own frame of reference: nobody said that the scan stands where the template's images do.
    assert check_series(folder).valid


def test_without_a_template_the_patient_is_nobody_and_two_nobodies_differ(tmp_path: Path) -> None:
    one = write(tmp_path / "one", slices=1, study=study_of(None, {}))
    two = SeriesTarget(folder=tmp_path / "two", study=study_of(None, {}), pictures=False)
    two.write([results(2)[1]], method="cgls")
    images = [dcmread(folder / "ct-0001.dcm") for folder in (one, tmp_path / "two")]
    assert {str(image.PatientName) for image in images} == {"RESEARCH^NO PATIENT"}
    assert len({image.PatientID for image in images}) == 2
    for image in images:
        # An archive's own patient has neither such a name, nor such a number of such an issuer; and it is said.
        assert (image.PatientID[:9], image.IssuerOfPatientID) == ("RESEARCH-", "ctrecon")
        assert "No patient is named: PatientName is RESEARCH^NO PATIENT" in image.ImageComments
    assert len({image.StudyInstanceUID for image in images}) == 2
    report = dcmread(one / "report.dcm")
    assert (report.StudyDate, report.ContentDate) == ("", NO_DATE)
    # Two methods on one scan belong to one study.
    target = SeriesTarget(folder=tmp_path / "three", study=study_of(None, {}), pictures=False)
    target.write([results(1)[0]], method="fbp", z_mm=[-12.5])
    other = dcmread(tmp_path / "three" / "ct-0001.dcm")
    assert other.StudyInstanceUID == images[0].StudyInstanceUID
    assert other.SeriesInstanceUID != images[0].SeriesInstanceUID
    for path in dicom_files(one):
        assert errors_of(path) == []


@pytest.mark.sampled(1)
@pytest.mark.parametrize("whose", [{"PatientID": "", "PatientName": "A^B"}, {"PatientID": "9", "PatientName": ""},
                                   {"PatientID": "", "PatientName": ""}])  # fmt: skip
def test_a_patient_of_an_archive_stays_as_it_is_there_also_without_name_or_number(
    tmp_path: Path, whose: dict[str, str]
) -> None:
    study = study_of(template(tmp_path / "t.dcm", **whose), {})
    folder = write(tmp_path / "one", slices=1, study=study)
    for path in dicom_files(folder):
        ds = dcmread(path)
        assert {"PatientID": ds.PatientID or "", "PatientName": str(ds.PatientName or "")} == whose
        assert ds.StudyInstanceUID == study.attributes.StudyInstanceUID
        assert "IssuerOfPatientID" not in ds
        assert errors_of(path) == []
    assert "No patient is named" not in dcmread(folder / "ct-0001.dcm").ImageComments


def test_options_fill_what_the_template_leaves_open(tmp_path: Path) -> None:
    path = template(tmp_path / "t.dcm", StudyDescription=None, PatientID="")
    study = study_of(path, {"StudyDescription": "Knie", "PatientID": "9", "StudyDate": "20240229"})
    assert (study.attributes.StudyDescription, study.attributes.PatientID) == ("Knie", "9")
    with pytest.raises(SettingError, match="PatientID '9' contradicts the template"):
        study_of(template(tmp_path / "t.dcm"), {"PatientID": "9"})


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "x" * 65), ("PatientID", "a\x1b[2J"), ("PatientID", "a\nb"), ("AccessionNumber", "x" * 17),
        ("PatientName", "a\\b"), ("StudyInstanceUID", "../../x"), ("StudyInstanceUID", None),
        ("PatientName", "a^b^c^d^e^f"), ("PatientName", "a=b=c=d"), ("PatientID", ["a", "b"]),
    ],
)  # fmt: skip
def test_what_a_pacs_files_by_must_be_valid(tmp_path: Path, keyword: str, value: str | None) -> None:
    with pytest.raises(InputError, match=keyword) as caught:
        study_of(template(tmp_path / "t.dcm", **{keyword: value}), {})
    assert str(tmp_path / "t.dcm") in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_what_is_optional_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = template(tmp_path / "t.dcm", PatientAge="74 years", BodyPartExamined="chest (thorax) of the patient")
    study = study_of(path, {})
    assert "PatientAge" not in study.attributes
    assert "BodyPartExamined" not in study.attributes
    assert len(study.notes) == 2
    assert "PatientAge" in " ".join(study.notes)


@pytest.mark.parametrize("text", ["", "x" * 65, "a\nb", "\x1b[2J", "a\\b"])
def test_options_must_be_valid(text: str) -> None:
    if text:
        with pytest.raises(SettingError, match="PatientID"):
            study_of(None, {"PatientID": text})
    with pytest.raises(SettingError, match="StudyDate"):
        study_of(None, {"StudyDate": text or "today"})


@pytest.mark.parametrize(
    "raw", [b"", b"text", b"PK\x03\x04" + bytes(200), bytes(128) + b"DICM", bytes(128) + b"DICM\x08"]
)
def test_a_template_that_is_no_dicom_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "t.dcm"
    path.write_bytes(raw)
    with pytest.raises(CtreconError, match=r"t\.dcm"):
        study_of(path, {})
    with pytest.raises(InputError, match="does not exist"):
        study_of(tmp_path / "none.dcm", {})


def test_a_given_patient_is_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", slices=1)
    assert dcmread(folder / "ct-0001.dcm").PatientID == GIVEN["PatientID"]


def test_clinical_templates_pass(tmp_path: Path, data_dir: Path) -> None:
    files = [
        sorted((data_dir / "ct_slices" / "tcga_luad").rglob("*.dcm"))[0],
        data_dir / "dicom" / "transfer_syntaxes" / "CTImage.dcm",
    ]
    for k, path in enumerate(files):
        source, study = dcmread(path), study_of(path, {})
        folder = write(tmp_path / str(k), slices=1, study=study)
        for file in dicom_files(folder):
            assert dcmread(file).StudyInstanceUID == source.StudyInstanceUID
            assert str(dcmread(file).PatientID) == str(source.PatientID or "") or not source.PatientID
            assert errors_of(file) == [], file.name
