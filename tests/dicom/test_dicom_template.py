"""Templates as scanners of many makes write them: the series is valid all the same, and nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_files import change, ct, save, to_bytes
from dicom_series import dicom_files, errors_of, results
from pydicom import dcmread
from pydicom.dataset import Dataset

from ctrecon.dicom.series.study import Study, study_of
from ctrecon.errors import InputError, SettingError
from ctrecon.outputs.series import SeriesTarget

NAMES = [
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田\u3000太郎"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 144", "Ж^Я"),
    ("ISO_IR 192", "Žofie^Müller=山田"),
]
TRIAL = {"ClinicalTrialSponsorName": "S", "ClinicalTrialProtocolID": "P", "ClinicalTrialSubjectID": "7"}


def study(path: Path, **changes: object) -> Study:
    return study_of(save(path / "t.dcm", change(ct(0), **changes)), {})


def write(folder: Path, made: Study) -> Dataset:
    SeriesTarget(folder=folder, study=made, pictures=False).write(results(1), method="cgls", z_mm=[0.0])
    assert {path.name: errors_of(path) for path in dicom_files(folder) if errors_of(path)} == {}
    return dcmread(folder / "ct-0001.dcm")


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_names_of_all_scripts_pass_through(tmp_path: Path, charset: object, name: str) -> None:
    made = study(tmp_path, SpecificCharacterSet=charset, PatientName=name)
    assert str(made.attributes.PatientName) == name
    assert made.notes == ()


def test_a_japanese_series_is_valid(tmp_path: Path) -> None:
    charset, name = NAMES[0]
    ds = write(tmp_path / "s", study(tmp_path, SpecificCharacterSet=charset, PatientName=name, StudyDescription="胸部"))
    assert (str(ds.PatientName), ds.StudyDescription) == (name, "胸部")


@pytest.mark.parametrize(
    ("keyword", "value", "form"),
    [
        ("StudyDate", "2024.01.31", "20240131"), ("StudyTime", "10:11:12.5", "101112.5"), ("PatientSex", "f", "F"),
        ("BodyPartExamined", "chest", "CHEST"), ("PatientAge", "59Y", "059Y"), ("PatientComments", "a\tb", "a b"),
        ("DeidentificationMethod", ["a", "b"], ["a", "b"]), ("PatientComments", "a\r\nb", "a\r\nb"),
    ],
)  # fmt: skip
def test_old_forms_are_put_into_todays(tmp_path: Path, keyword: str, value: object, form: object) -> None:
    made = study(tmp_path, **{keyword: value})
    assert made.attributes[keyword].value == form
    assert made.notes == ()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "2024-01-31"), ("StudyDate", "20240231"), ("StudyTime", "256161"), ("StudyTime", "ten"),
        ("PatientBirthDate", "00000000"), ("PatientBirthDate", "1964"), ("PatientSex", "Female"), ("StudyID", "S" * 20),
        ("ReferringPhysicianName", ["Doe^Jane", "Roe^Rick"]), ("StudyDescription", ["a", "b"]), ("PatientAge", "old"),
        ("PatientWeight", "72,5"), ("BodyPartExamined", "THORAX/ABD."), ("PatientComments", "a\x07b"),
        ("PatientComments", "x" * 11000), ("TimezoneOffsetFromUTC", "+2500"), ("StudyDescription", "a\x85b"),
    ],
)  # fmt: skip
def test_what_is_invalid_is_left_out_with_a_note_that_quotes_nothing(
    tmp_path: Path, keyword: str, value: str | list[str]
) -> None:
    raw = to_bytes(change(ct(0), **{keyword: "72.5" if value == "72,5" else value})).replace(b"72.5", b"72,5")
    (tmp_path / "t.dcm").write_bytes(raw)
    made = study_of(tmp_path / "t.dcm", {})
    assert not made.attributes.get(keyword)
    assert len(made.notes) == 1
    assert made.notes[0].startswith(f"t.dcm: {keyword} is not valid DICOM")
    assert str(value) not in made.notes[0]


def test_a_series_of_a_template_full_of_errors_is_valid(tmp_path: Path) -> None:
    made = study(
        tmp_path, StudyDate="20240231", StudyTime="256161", PatientSex="Female", PatientBirthDate="1964",
        StudyID="S" * 20, PatientComments="a\tb\x07", PatientIdentityRemoved="YES", ClinicalTrialSponsorName="S",
        PatientAge="59Y", BodyPartExamined="thorax", TimezoneOffsetFromUTC="somewhere", AccessionNumber=None,
    )  # fmt: skip
    assert len(made.notes) == 9
    ds = write(tmp_path / "s", made)
    assert (str(ds.PatientName), ds.PatientID, ds.PatientAge) == ("Muster^Erika", "PID-0815", "059Y")


def test_the_side_passes_through_where_there_are_sides(tmp_path: Path) -> None:
    ds = write(tmp_path / "knee", study(tmp_path, BodyPartExamined="KNEE", Laterality="L"))
    assert (ds.BodyPartExamined, ds.Laterality) == ("KNEE", "L")
    for part, side, expected in (("KNEE", None, ""), ("CHEST", "L", None), (None, "R", "R"), ("THORAX", None, "")):
        made, ds = study(tmp_path, BodyPartExamined=part, Laterality=side), Dataset()
        made.side_to(ds)
        assert ds.get("Laterality") == expected
        assert "Laterality" not in made.attributes


def test_what_is_valid_only_as_a_whole(tmp_path: Path) -> None:
    made = study(tmp_path, **TRIAL, PatientIdentityRemoved="YES", DeidentificationMethod=["a", "b"])
    ds = write(tmp_path / "s", made)
    assert made.notes == ()
    assert (ds.ClinicalTrialSponsorName, ds.ClinicalTrialSiteID, ds.PatientIdentityRemoved) == ("S", "", "YES")
    for keyword in TRIAL:
        part = study(tmp_path, **{**TRIAL, keyword: None})
        assert [element for element in part.attributes if element.keyword.startswith("ClinicalTrial")] == []
        assert "clinical trial" in part.notes[0]
    assert "PatientIdentityRemoved" not in study(tmp_path, PatientIdentityRemoved="YES").attributes


def test_text_of_no_known_character_set(tmp_path: Path) -> None:
    path = tmp_path / "t.dcm"
    for stated in (None, "ISO_IR 999"):
        raw = to_bytes(change(ct(0), SpecificCharacterSet=stated))
        path.write_bytes(raw.replace(b"Muster^Erika", b"M\xfcster^Erik\xe4"))
        made = study_of(path, {})
        assert str(made.attributes.PatientName) == "Müster^Erikä"
        assert "read as ISO 8859-1" in made.notes[0]
        assert study(tmp_path, SpecificCharacterSet=stated).notes == ()  # plain ASCII is the same in all
    path.write_bytes(to_bytes(ct(0)).replace(b"Muster^Erika", b"M\xfcster^Erik\xe4"))
    with pytest.raises(InputError, match=r"PatientName is not valid DICOM .its bytes are not of the character set"):
        study_of(path, {})


def test_an_option_gives_what_the_template_lacks_and_is_judged_alike(tmp_path: Path) -> None:
    path = save(tmp_path / "t.dcm", change(ct(0), StudyDate="20240231"))
    assert study_of(path, {"StudyDate": "20240229"}).attributes.StudyDate == "20240229"
    with pytest.raises(SettingError, match="StudyDate '20240231' is not valid DICOM: day is out of range"):
        study_of(path, {"StudyDate": "20240231"})
