"""Changes that keep every value as it was read, and yet are changes: of kinds of values, of blank lines, by chance."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dicom_series import write
from pydicom import config, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from test_dicom_manifest import change, verify
from test_series_attacks import item, manifest_of, sets
from test_series_rewritten import CT, REPORT, header, noticed

from ctrecon.certificates.verify import Refused
from ctrecon.dicom.series.file_check import check_file
from ctrecon.dicom.series.plain_values import coercible

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sleights") / "series", 2)


def written_as(raw: bytes, tag: int, vr: str) -> bytes | None:
    """The file with this element, of the same bytes, as another kind of value."""
    before = dictionary_VR(tag).split(" or ")[-1]
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, before.encode())
    at = raw.find(start)
    if at < 0 or before in LONG:
        return None
    (length,) = struct.unpack_from("<H", raw, at + 6)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    head += struct.pack("<HL", 0, length) if vr in LONG else struct.pack("<H", length)
    return raw[:at] + head + raw[at + 8 :]


def refused(path: Path) -> str:
    try:
        check_file(path, dcmread(path))
    except Refused as why:
        return str(why)
    return ""


@pytest.mark.parametrize("name", [CT, REPORT])
def test_every_attribute_is_of_the_kind_that_the_standard_says(name: str, original: Path, tmp_path: Path) -> None:
    """By introspection over what stands at the top: as UN, which some programs skip, or as another text."""
    raw, path = (original / name).read_bytes(), tmp_path / "x.dcm"
    tried, unnoticed = 0, []
    for element in dcmread(original / name):
        if not dictionary_has_tag(element.tag):
            continue
        for vr in {"UN", "LO"} - {element.VR}:
            changed = written_as(raw, int(element.tag), vr)
            if changed is None:
                continue
            path.write_bytes(changed)
            tried += 1
            said = refused(path)
            if f"written as {vr}, not" not in said:
                unnoticed.append((element.keyword, vr, said))
    assert unnoticed == []
    assert tried > 50


def element(tag: int, vr: str, value: bytes, *, reserved: int = 0) -> bytes:
    form = ("<HH2sHL", reserved, len(value)) if vr in LONG else ("<HH2sH", len(value))
    return struct.pack(form[0], tag >> 16, tag & 0xFFFF, vr.encode(), *form[1:]) + value


def data_set_at(raw: bytes) -> int:
    (length,) = struct.unpack_from("<L", raw, 140)
    return 144 + int(length)


def before_all(more: bytes) -> Callable[[bytes], bytes]:
    """In front of the first element of the data set."""
    return lambda raw: raw[: data_set_at(raw)] + more + raw[data_set_at(raw) :]


def instead(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def of(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new, 1)

    return of


def meta_length(by: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:140] + struct.pack("<L", data_set_at(raw) - 144 + by) + raw[144:]


def of_syntax(uid: str) -> Callable[[bytes], bytes]:
    """Named as another transfer syntax, and nothing else changed."""
    both = (one.encode() + b"\0" * (len(one) % 2) for one in (uid, ExplicitVRLittleEndian))
    new, old = (element(0x00020010, "UI", one) for one in both)
    return lambda raw: instead(old, new)(meta_length(len(new) - len(old))(raw))


SAID = b"Approved for diagnosis"
ROWS = element(0x00280010, "US", b"")[:6]
UNSEEN: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    **{f"a length of a group as {vr}": (CT, before_all(element(0x00080000, vr, SAID))) for vr in ("LT", "OB", "UN")},
    "a sequence as a group's length": (CT, before_all(element(0x00080000, "SQ", b"\xfe\xff\x00\xe0\0\0\0\0"))),
    "two numbers as a group's length": (REPORT, before_all(element(0x00080000, "UL", bytes(8)))),
    "no kind of value": (CT, instead(ROWS + b"\2\0", ROWS[:4] + b"\2\0\0\0")),
    "a kind in small letters": (CT, instead(ROWS, ROWS[:4] + b"us")),
    "reserved bytes": (CT, instead(b"\xe0\x7f\x10\0OW\0\0", b"\xe0\x7f\x10\0OWok")),
    "reserved bytes of the header": (REPORT, instead(b"\2\0\1\0OB\0\0", b"\2\0\1\0OBok")),
    "a kind of the header": (REPORT, instead(b"\2\0\x12\0UI", b"\2\0\x12\0LO")),
    **{f"a header longer by {by}": (CT, meta_length(by)) for by in (-8, 2, 200, 100_000)},
    "a header of no length": (CT, lambda raw: raw[:132] + raw[144:]),
    **{f"report as {uid}": (REPORT, of_syntax(uid)) for uid in (
        "1.2.840.113619.5.2", "1.2.840.10008.1.20", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.6.1", "1.2.3")},
}  # fmt: skip


@pytest.mark.parametrize("case", UNSEEN)
def test_nothing_stands_where_nobody_looks_and_nothing_leads_elsewhere(
    case: str, original: Path, tmp_path: Path
) -> None:
    name, what = UNSEEN[case]
    path = tmp_path / "x.dcm"
    raw = (original / name).read_bytes()
    for content, right in ((before_all(element(0x00080000, "UL", bytes(4)))(raw), True), (what(raw), False)):
        path.write_bytes(content)
        assert (refused(path) == "") == right


@pytest.mark.parametrize("before", ["\n" * 400, " " * 400, "\0"])
def test_texts_are_not_pushed_out_of_sight(before: str, original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    manifest = manifest_of(series)

    def push(ds: Dataset) -> None:
        ds["ImageComments"].value = before + ds.ImageComments

    def push_report(ds: Dataset) -> None:
        text = next(one for one in ds.ContentSequence if one.ValueType == "TEXT")
        text["TextValue"].value = before + text.TextValue

    for file, what in ((CT, push), (REPORT, push_report)):
        said = noticed(manifest, series / file, what)
        assert "is not what the manifest says" in said, file


def test_a_change_whose_byte_is_the_same_by_chance_is_noticed_by_all_together(original: Path) -> None:
    manifest = manifest_of(original)
    ds = dcmread(original / CT)
    was = coercible(ds)["whose"]["PatientID"]
    same = []
    for k in range(1000):
        ds.PatientID = f"P-{k + 1000}"
        if coercible(ds)["whose"]["PatientID"] == was:
            same.append(ds.PatientID)
    assert same, "else nothing is tried"
    for number in same[:3]:
        ds.PatientID = number
        one = replace(manifest, coerced=set())
        one.check(ds)
        assert one.coerced == {"an attribute of patient or study"}


HEADERS = {
    "class": (header(ImplementationClassUID="1.2.3"), "by the implementation 1.2.3"),
    "version": (lambda ds: setattr(ds.file_meta, "FileMetaInformationVersion", b"\1\1"), "another version of the file"),
    "a longer name": (header(ImplementationVersionName="CTRECON APPROVED"), "by 'CTRECON APPROVED'"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_who_wrote_the_header_of_a_file_is_named(name: str, original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    what, said = HEADERS[name]
    assert said in noticed(manifest_of(series), series / CT, what)


def test_the_directory_of_a_medium_is_named_and_no_object(original: Path, tmp_path: Path) -> None:
    """Of a series on a disc, whatever files it names; beside it or above it."""
    series = Path(shutil.copytree(original, tmp_path / "disc" / "IMAGES"))
    directory = item(FileSetID="X", FileSetConsistencyFlag=0)
    directory.file_meta = FileMetaDataset()
    sets(MediaStorageSOPClassUID=MediaStorageDirectoryStorage, MediaStorageSOPInstanceUID="1.2.3.77",
         TransferSyntaxUID=ExplicitVRLittleEndian)(directory.file_meta)  # fmt: skip
    with config.disable_value_validation():
        directory.DirectoryRecordSequence = Sequence([item(
            DirectoryRecordType="IMAGE", ReferencedFileID=["..", "..", "ETC"],
            ReferencedSOPInstanceUIDInFile=dcmread(series / CT).SOPInstanceUID,
        )])  # fmt: skip
        directory.save_as(series.parent / "DICOMDIR", enforce_file_format=True)
    (series / "pipe.dcm").symlink_to("nowhere")
    shutil.copy(series.parent / "DICOMDIR", series / "DICOMDIR")
    for folder in (series, series.parent):
        result = verify(folder)
        assert result.exit_code == 0, result.output
        assert "DICOMDIR" in result.output.splitlines()[-1]
    (series / "link").symlink_to(tmp_path)
    assert "no part of the series: DICOMDIR, link, pipe.dcm" in verify(series).output.splitlines()[-1]


def test_numbers_written_as_another_kind_are_refused(original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))

    def as_floats(ds: Dataset) -> None:
        values = [float(one) for one in ds.WindowWidth]
        del ds.WindowWidth
        ds.add_new(0x00281051, "FD", values)

    change(series / CT, as_floats)
    result = verify(series)
    assert result.exit_code == 1
    assert "WindowWidth is written as FD, not DS" in result.output
