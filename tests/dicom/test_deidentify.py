"""De-identification: of what identified, nothing is left in the bytes; of what is needed, everything."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from dicom_files import UIDS, change, ct, enhanced, save, to_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

from ctrecon.cli.main import cli
from ctrecon.dicom.deidentify.dataset import deidentify
from ctrecon.dicom.deidentify.files import deidentified_bytes, deidentify_folder
from ctrecon.dicom.deidentify.harmless import action_for
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.options import BASIC, MODIFIED_DATES, SAFE_PRIVATE
from ctrecon.dicom.deidentify.profile import Action, table
from ctrecon.dicom.images.images import read_volume
from ctrecon.errors import InputError, OutputError

ME = Identity(secret=b"0123456789abcdef")
ROWS = list(csv.DictReader(files("ctrecon.dicom.deidentify").joinpath("basic_profile.csv").read_text().splitlines()))
SECRET_TEXT = {"PN": "Zq{}xv^Wk{}jy", "LO": "Zq{}xv LO", "SH": "Zq{}xv", "ST": "Zq{}xv ST", "LT": "Zq{}xv\r\nLT",
               "UT": "Zq{}xv UT", "UC": "Zq{}xv UC", "CS": "ZQ{}XV", "AE": "ZQ{}XV", "UR": "http://zq{}xv",
               "AS": "0{:02d}Y", "DA": "1987{:02d}{:02d}", "TM": "11{:02d}{:02d}.4321", "DT": "1987{:02d}{:02d}112233",
               "UI": "1.2.3.987654.{}", "IS": "9{:06d}", "DS": "9.87{:05d}"}  # fmt: skip


def hostile_value(vr: str, k: int):
    """A value of its representation that occurs nowhere else, and what of it must not be found again."""
    if vr in ("DA", "DT", "TM"):
        return SECRET_TEXT[vr].format(1 + k % 12, 1 + k % 28)
    if vr in ("OB", "OW", "UN"):
        return b"Zq%04dxv by" % k
    if vr in SECRET_TEXT and vr != "AS":
        return SECRET_TEXT[vr].format(k + 100, k) if vr == "PN" else SECRET_TEXT[vr].format(k + 100)
    return None


def full(k: int = 0) -> tuple[Dataset, list[str]]:
    """A slice with every attribute of the table that can stand in it, also inside a kept sequence; and the values."""
    ds, nested, values = ct(k), Dataset(), []
    for n, row in enumerate(ROWS):
        if "x" in row["tag"] or row["tag"][:4] in ("0000", "0002"):
            continue
        if row["keyword"] in ("ContentSequence", "EncapsulatedDocument"):  # of documents, which are refused
            continue
        tag = int(row["tag"], 16)
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            vr = "LO"
        value = hostile_value(vr.split(" ")[0], n)
        if value is None:
            continue
        with pydicom.config.disable_value_validation():
            ds.add_new(tag, vr.split(" ")[0], value)
            nested.add_new(tag, vr.split(" ")[0], value)
        values.append(value.decode() if isinstance(value, bytes) else value)
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{UIDS}.77"
    nested.add(item["ReferencedSOPClassUID"])
    ds.ReferencedImageSequence = [nested]
    values += [f"{UIDS}.77"]
    return ds, values


def occurrences(data: bytes, values: list[str]) -> list[str]:
    """Values found in the bytes, in any of the encodings a file may have."""
    found = []
    for value in values:
        parts = {p for p in re.split(r"[\^=\\\s]+", value) if len(p) > 3} | {value}
        for text in parts:
            if any(text.encode(code) in data for code in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")):
                found.append(text)
    return found


def test_the_table_is_the_standards_and_names_what_the_dictionary_knows():
    assert len(table()) > 640
    for keyword, action in {
        "PatientName": Action.EMPTY, "PatientID": Action.DUMMY, "SOPInstanceUID": Action.UID,
        "StudyDate": Action.EMPTY, "SeriesDescription": Action.REMOVE, "ProtocolName": Action.DUMMY,
        "DeviceSerialNumber": Action.DUMMY, "ReferencedImageSequence": Action.KEEP, "ImageComments": Action.REMOVE,
    }.items():  # fmt: skip
        assert table()[pydicom.datadict.tag_for_keyword(keyword)] is action, keyword
    for row in ROWS:
        if "x" not in row["tag"] and row["keyword"]:
            assert keyword_for_tag(int(row["tag"], 16)) in ("", row["keyword"])


def test_no_original_value_survives_anywhere_in_the_bytes():
    ds, values = full()
    before = to_bytes(ds)
    assert len(values) > 400
    assert len(occurrences(before, values)) >= len(values)  # the search finds what is there
    data, _ = deidentified_bytes("a", before, ME)
    assert occurrences(data, values) == []


def test_hiding_places():
    ds = ct(0)
    name, number = "Kowalczyk", "PX99417"
    change(ds, PatientName=f"{name}^Zofia", PatientID=number)
    ds.preamble = f"{name} {number}".encode().ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "KOWALCZYK-AE"
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3.4.99417"
    ds.file_meta.PrivateInformation = name.encode()
    block = ds.private_block(0x0099, "KOWALCZYK INC", create=True)
    block.add_new(1, "LO", name)
    block.add_new(2, "SQ", [change(Dataset(), PatientName=name)])
    own = ds.private_block(0x0071, "CTRECON", create=True)
    own.add_new(1, "FD", 0.0193)
    own.add_new(3, "LO", name)
    own.add_new(9, "LO", name)
    ds.add_new(0x50000010, "US", 1)
    ds.add_new(0x50003000, "OW", name.encode() + b"\0")
    ds.add_new(0x60003000, "OW", name.encode() + b"\0")
    ds.add_new(0x60001500, "LO", name)
    ds.add_new(0x00091001, "UN", name.encode() + b"\0")
    ds.add_new(0xFFFCFFFC, "OB", name.encode() + b"\0")
    ds.ConvolutionKernel = f"SOFT {name.upper()}"[:16]
    ds.ManufacturerModelName = f"X for {number.lower()}"
    ds.SecondaryReviewerName = name
    ds.EvaluatorName = "Zofia"
    deeper = change(Dataset(), ContributionDescription=name, InstitutionName=name, Manufacturer="SIEMENS",
                    PurposeOfReferenceCodeSequence=[change(Dataset(), CodeMeaning=f"for {name}")])  # fmt: skip
    source = change(Dataset(), ReferencedSOPInstanceUID="1.2.3.99417", RequestAttributesSequence=[deeper])
    ds.SourceImageSequence = [source]
    ds.AnatomicRegionSequence = [deeper]
    data, after = deidentified_bytes("a", to_bytes(ds) + b"", ME)
    assert occurrences(data.lower(), [name.lower(), "zofia", number.lower(), "99417"]) == []
    assert after.Manufacturer == "REMOVED"  # "Maker" is no maker that the list knows
    assert after.AnatomicRegionSequence[0].Manufacturer == "SIEMENS"
    # Of our own block, the numbers stay and the name in the hash's place goes.
    assert after.private_block(0x0071, "CTRECON")[1].value == 0.0193
    assert 3 not in after.private_block(0x0071, "CTRECON")
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert codes == [BASIC, SAFE_PRIVATE]


def test_what_is_written_says_so_and_the_picture_is_the_same(tmp_path):
    before = read_volume(save(tmp_path / "in", *(ct(k) for k in range(3))))
    done = deidentify_folder(tmp_path / "in", tmp_path / "out", ME)
    assert (done.written, done.left_out) == (3, 0)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["00001.dcm", "00002.dcm", "00003.dcm"]
    after = read_volume(tmp_path / "out")
    np.testing.assert_array_equal(before.hu, after.hu)
    np.testing.assert_array_equal(before.affine, after.affine)
    all_of = [pydicom.dcmread(p) for p in sorted((tmp_path / "out").iterdir())]
    for ds in all_of:
        assert ds.PatientIdentityRemoved == "YES"
        assert ds.LongitudinalTemporalInformationModified == "REMOVED"
        assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == [BASIC, SAFE_PRIVATE]
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.PatientID.startswith("ANON-")
    assert len({ds.SOPInstanceUID for ds in all_of}) == 3
    for same in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({getattr(ds, same) for ds in all_of}) == 1


def test_uids_follow_the_secret_and_references_still_lead_somewhere():
    first, second = ct(0), ct(1)
    second.SourceImageSequence = [change(Dataset(), ReferencedSOPClassUID=first.SOPClassUID,
                                         ReferencedSOPInstanceUID=first.SOPInstanceUID)]  # fmt: skip
    a, b = deidentify(first, ME, "a"), deidentify(second, ME, "b")
    assert b.SourceImageSequence[0].ReferencedSOPInstanceUID == a.SOPInstanceUID
    assert b.SourceImageSequence[0].ReferencedSOPClassUID == a.SOPClassUID
    assert a.SOPInstanceUID.is_valid
    assert len(a.SOPInstanceUID) <= 64
    other = deidentify(ct(0), Identity(secret=b"another secret!!"), "c")
    assert other.SOPInstanceUID != a.SOPInstanceUID
    assert other.PatientID != a.PatientID
    assert deidentify(ct(0), ME, "d").SOPInstanceUID == a.SOPInstanceUID
    with pytest.raises(InputError, match="at least 16 bytes, got 3"):
        Identity(secret=b"abc")


def test_moved_dates_keep_their_distance_and_no_original():
    mover = Identity(secret=ME.secret, move_dates=True)
    early = deidentify(ct(0, AcquisitionDateTime="20240131101112.5+0100", PatientBirthDate="19640812"), mover, "a")
    late = deidentify(ct(1, StudyDate="20240214"), mover, "b")
    days = [pydicom.valuerep.DA(ds.StudyDate) for ds in (early, late)]
    assert (days[1] - days[0]).days == 14
    assert days[0].year < 2024 or days[0].month == 1
    assert early.StudyDate != "20240131"
    assert early.AcquisitionDateTime == early.StudyDate + "101112.5"  # the zone is a place
    assert not early.PatientBirthDate
    codes = [item.CodeValue for item in early.DeidentificationMethodCodeSequence]
    assert codes == [BASIC, MODIFIED_DATES, SAFE_PRIVATE]
    assert early.LongitudinalTemporalInformationModified == "MODIFIED"
    # What is no date is not moved but removed, or a name could stand there.
    odd = deidentify(ct(0, StudyDate="Muster"), mover, "c")
    assert not odd.StudyDate


def test_attributes_of_enhanced_files_and_of_nobody():
    data, after = deidentified_bytes("a", to_bytes(enhanced()), ME)
    assert len(after.PerFrameFunctionalGroupsSequence) == 3
    assert b"Muster" not in data
    assert action_for(0x00101022) is Action.REMOVE  # of the patient, not in the table
    assert not pydicom.DataElement(0x00181319, "LO", "Muster").keyword  # in no dictionary
    assert action_for(0x00181319) is Action.REMOVE


def test_comments_within_compressed_pixels(data_dir):
    folder = data_dir / "dicom" / "transfer_syntaxes"
    for kind, marker in (("JPEG2000LosslessOnly", 0x64), ("JPEGProcess14SV1", 0xFE), ("JPEGLSLossless", 0xFE)):
        ds = pydicom.dcmread(next(folder.glob(f"*{kind}*")))
        frame = get_frame(ds.PixelData, 0, number_of_frames=1)
        # After the start marker; in JPEG 2000 also after SIZ, which must come first.
        at = 2 if kind.startswith("JPEGP") or kind.startswith("JPEGL") else 4 + int.from_bytes(frame[4:6], "big")
        comment = bytes([0xFF, marker]) + (16).to_bytes(2, "big") + b"Muster^Erika__"
        spoiled = frame[:at] + comment + frame[at:]
        ds.PixelData = encapsulate([spoiled])
        data, after = deidentified_bytes("a", to_bytes(ds), ME)
        assert b"Muster" in spoiled
        assert b"Muster" not in data, kind
        plain = pydicom.dcmread(folder / "CTImage.dcm")
        np.testing.assert_array_equal(after.pixel_array, plain.pixel_array)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
def test_dciodvfy_finds_no_new_errors(tmp_path, data_dir):
    def errors(path: Path) -> set[str]:
        run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
        return {line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")}

    given = [save(tmp_path / "small.dcm", ct(0)), data_dir / "dicom" / "transfer_syntaxes" / "CTImage.dcm",
             next((data_dir / "ct_slices" / "tcga_luad" / "TCGA-17-Z021").iterdir()),
             data_dir / "dicom" / "gantry_tilt_series" / "01.dcm"]  # fmt: skip
    assert errors(given[0]) == set()
    for k, path in enumerate(given):
        for move in (False, True):
            out = tmp_path / f"{k}{move}.dcm"
            out.write_bytes(deidentified_bytes("a", path.read_bytes(), Identity(secret=ME.secret, move_dates=move))[0])
            assert errors(out) <= errors(path), path
    broken = change(pydicom.dcmread(out), SOPInstanceUID="")
    assert errors(save(tmp_path / "broken.dcm", broken)) - errors(given[-1])


def test_the_command(tmp_path):
    folder = save(tmp_path / "Muster_Erika", ct(0), ct(1, BurnedInAnnotation="YES"))
    (folder / "report.txt").write_text("Muster")
    report = change(ct(2), PixelData=None)
    report.ContentSequence = [change(Dataset(), TextValue="Muster")]
    (folder / "report.dcm").write_bytes(to_bytes(report))
    secret = tmp_path / "secret"
    secret.write_bytes(b"sixteen bytes or")
    arguments = ["dicom", "deidentify", str(folder), str(tmp_path / "out"), "--secret-file", str(secret)]
    result = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["written"], told["left_out"]) == (2, 2)
    assert any("burned" in warning for warning in told["warnings"])
    assert any("reports" in warning for warning in told["warnings"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["00001.dcm", "00002.dcm"]
    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.output
    # The same secret gives the same names, without it others.
    CliRunner().invoke(cli, [*arguments[:3], str(tmp_path / "twin"), *arguments[4:]], catch_exceptions=False)
    one, twin = (pydicom.dcmread(tmp_path / name / "00001.dcm") for name in ("out", "twin"))
    assert one.SOPInstanceUID == twin.SOPInstanceUID
    CliRunner().invoke(cli, [*arguments[:3], str(tmp_path / "else")], catch_exceptions=False)
    assert pydicom.dcmread(tmp_path / "else" / "00001.dcm").SOPInstanceUID != one.SOPInstanceUID


def test_nothing_is_left_of_a_run_that_fails(tmp_path):
    folder = save(tmp_path / "in", ct(0), ct(1))
    (folder / "zz.dcm").write_bytes(to_bytes(ct(2))[:-20])
    with pytest.raises(InputError, match=r"zz\.dcm"):
        deidentify_folder(folder, tmp_path / "out", ME)
    with pytest.raises(OutputError, match="is within"):
        deidentify_folder(folder, folder / "out", ME)
    with pytest.raises(OutputError, match="cannot be written"):
        deidentify_folder(folder, tmp_path / "no" / "out", ME)
    with pytest.raises(InputError, match="is a document"):
        deidentify(change(ct(0), EncapsulatedDocument=b"%PDF"), ME, "a")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]

