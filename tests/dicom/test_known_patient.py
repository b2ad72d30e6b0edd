"""What is the patient's own goes, also where a list would let it stay: names that are words, numbers of any length."""

from __future__ import annotations

import pytest
from dicom_files import ct
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from ctrecon.dicom.deidentify.dataset import deidentify
from ctrecon.dicom.deidentify.descriptors import clean
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.known import Known, known_of
from ctrecon.dicom.deidentify.options import Options

ME = Identity(secret=b"0123456789abcdef")


def described(text: str, **whose: object) -> str:
    ds = ct(0, SeriesDescription=text, **{"PatientName": "A^B", "PatientID": "X", "AccessionNumber": "", **whose})
    return str(deidentify(ds, ME, "a", Options(clean_descriptors=True)).SeriesDescription)


NAMES = {
    "as a word": ("Hand^Young", "chest HAND thin"),
    "with accents": ("Hánd^Yöung", "chest hand thin"),
    "accents in the text": ("Hand^Young", "chest hánd thin"),
    "other letters": ("Bøne^Lung", "chest bone thin lung"),
    "joined": ("TS^Pine", "chest TSPINE thin"),
    "joined the other way": ("Pine^TS", "chest tspine thin"),
    "joined by halves": ("Whole Body^Ann", "chest wholebody thin"),
    "with a space": ("Le Foot^Ann", "chest foot thin"),
    "in a second group": ("Yamada=Neck^Liver", "chest neck thin liver"),
    "two letters": ("Ax^Mm", "chest ax thin mm"),
    "one letter": ("W^Ann", "chest w thin"),
    "as a kernel": ("B30F^Ann", "chest B30f thin"),
}


@pytest.mark.parametrize("case", NAMES)
def test_no_part_of_a_name_is_left(case: str) -> None:
    name, text = NAMES[case]
    assert described(text, PatientName=name) == "chest thin"
    assert described(text, OtherPatientNames=name) == "chest thin"
    assert described(text, ReferringPhysicianName=name) == "chest thin"
    if text.isascii():
        assert described(text, PatientName="Qz^Xv") != "chest thin", "else nothing is shown"


NUMBERS = {
    "two digits": ({"PatientID": "17"}, "chest 17 thin"),
    "with a unit": ({"PatientID": "17"}, "chest 17mm thin"),
    "four digits apart": ({"PatientID": "1234"}, "chest 12 34 thin"),
    "among others": ({"PatientID": "1234"}, "chest 5 12 34 thin"),
    "with words between": ({"AccessionNumber": "123456"}, "chest 12 34 thin 56"),
    "with units between": ({"AccessionNumber": "123456"}, "chest 12mm 34mm thin 56s"),
    "with points": ({"StudyID": "123456"}, "chest 12.34 thin 56"),
    "without zeros": ({"PatientID": "000017"}, "chest 17 thin"),
    "with letters": ({"PatientID": "AB-12/34"}, "chest 12/34 thin"),
    "in other numbers": ({"OtherPatientIDs": ["Q", "4711"]}, "chest 47 11 thin"),
    "of a birth": ({"PatientBirthDate": "19310203"}, "chest 03/02/31 thin"),
    "of a birth, American": ({"PatientBirthDate": "19310203"}, "chest 02-03-31 thin"),
    "of a birth, with units": ({"PatientBirthDate": "19310203"}, "chest 03mm 02mm thin 31mm"),
    "of anybody else": ({}, "chest 12 34 5 thin"),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_no_number_that_somebody_is_filed_by_is_left(case: str) -> None:
    whose, text = NUMBERS[case]
    assert described(text, **whose) == "chest thin"


def test_numbers_of_the_technique_stay() -> None:
    text = "chest 5.0mm B31f 120kv 1.5 mm pitch 3"
    assert described(text, PatientID="4711", PatientBirthDate="19310203") == "chest 5.0mm B31f 120kv 1.5 mm 3"
    assert clean("abdomen 2.5mm 80kv", Known()) == "abdomen 2.5mm 80kv"


@pytest.mark.parametrize("number", ["4711", "123456", "0012345"])
@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "StudyID", "OtherPatientIDs"])
def test_a_number_of_the_patient_is_no_number_of_the_image(keyword: str, number: str) -> None:
    hiding = {"SeriesNumber": int(number), "InstanceNumber": 7, "KVP": "120", "ReconstructionDiameter": f"{number}.0",
              "SmallestImagePixelValue": min(int(number), 65535)}  # fmt: skip
    whose: dict[str, object] = {"PatientID": "X", "AccessionNumber": "", "StudyID": ""} | {keyword: number}
    after = deidentify(ct(0, **hiding, **whose), ME, "a")
    assert after.SeriesNumber is None
    assert after.ReconstructionDiameter is None
    assert (after.InstanceNumber, after.KVP) == (7, 120)
    other = deidentify(ct(0, **hiding, **(whose | {keyword: "9876"})), ME, "a")
    assert (other.SeriesNumber, other.ReconstructionDiameter) == (int(number), int(number))


@pytest.mark.parametrize("number", ["823417", "19870413", "8234", "823410"])
def test_a_point_in_it_or_zeros_after_it_hide_no_number(number: str) -> None:
    """As whole numbers, decimals and exponents, of either sign; of a birth as well."""
    for whose in ({"PatientID": f"X-{number}"}, {"PatientBirthDate": number} if len(number) == 8 else {}):
        for k in range(-9, 3):
            value = float(f"{number}e{k}")
            after = deidentify(ct(0, KVP=f"{-value:.16g}"[:16], CTDIvol=value, **{"PatientID": "X"} | whose), ME, "a")
            kept = (after.get("KVP"), after.get("CTDIvol"))
            assert kept == (None, None) or not whose or value >= 1e9, (value, kept)
    assert deidentify(ct(0, PatientID="823417", CTDIvol=82.3416, KVP="120"), ME, "a").CTDIvol == 82.3416


def test_whose_it_is_is_also_said_within_sequences_and_of_trials() -> None:
    inner = Dataset()
    inner.PatientID = "823417"
    outer = Dataset()
    outer.ReferencedPatientSequence = Sequence([inner])
    for whose in (
        {"ReferencedPatientSequence": Sequence([inner])}, {"ReferencedStudySequence": Sequence([outer])},
        {"ClinicalTrialSubjectID": "S/823417"}, {"ClinicalTrialSubjectReadingID": "823417"},
    ):  # fmt: skip
        assert deidentify(ct(0, PatientID="X", KVP="823417", **whose), ME, "a").KVP is None


def test_place_and_scale_of_pixels_stay_whoever_it_is() -> None:
    ds = ct(0, PatientID="1024", RescaleIntercept="-1024", WindowWidth="1024")
    after = deidentify(ds, ME, "a")
    assert after.RescaleIntercept == -1024
    assert after.WindowWidth is None
    assert after.pixel_array.tolist() == ds.pixel_array.tolist()


def test_numbers_are_found_where_orders_and_sequences_name_them() -> None:
    ds, inner = Dataset(), Dataset()
    inner.RequestedProcedureID, inner.AccessionNumber = "RP-77-11", "00912"
    ds.RequestAttributesSequence = Sequence([inner])
    ds.PatientBirthDate = "20010923"
    found = known_of(ds, words=False).numbers
    assert {"77", "11", "7711", "912", "20010923", "230901", "92301", "10923", "23092001"} <= found
    assert "2001" not in found
