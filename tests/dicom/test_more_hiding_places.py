"""Where else a name or a date of birth can be: in bytes that no attribute owns, in other alphabets, in codes."""

from __future__ import annotations

import base64
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import change, ct, element, to_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEGLSLossless, RLELossless
from test_hiding_places import BORN, KINDS, LEFT, ME, NAME, every, nested, put, spliced

from ctrecon.dicom.deidentify.dataset import deidentify
from ctrecon.dicom.deidentify.files import deidentified_bytes
from ctrecon.dicom.deidentify.harmless import harmless_value
from ctrecon.dicom.deidentify.options import Options
from ctrecon.errors import InputError

DIGITS = "1.2.826.0.1." + ".".join(str(letter) for letter in NAME)
CODES = b"".join(b"%03d" % letter for letter in NAME)
ENCODED = (
    *LEFT, CODES, NAME.hex().encode(), base64.b64encode(NAME), DIGITS.encode(), DIGITS[12:].encode(),
    b"\\".join(b"%d" % letter for letter in NAME), *(name.encode("utf-16-le") for name in ("Qzwxjk",)),
    "Петров".encode("iso8859_5"), "Петров".encode(), *(struct.pack(f"<6{kind}", *NAME) for kind in "HLfd"),
)  # fmt: skip


def item(**values: Any) -> Dataset:
    return change(Dataset(), **values)


def of(uid: str, modality: str, **values: Any) -> bytes:
    ds = change(ct(0), SOPClassUID=uid, Modality=modality, **values)
    ds.file_meta.MediaStorageSOPClassUID = uid
    return to_bytes(ds)


def several(*elements: tuple[int, str, bytes]) -> bytes:
    ds = ct(0)
    for tag, vr, value in elements:
        put(ds, tag, vr, value)
    return to_bytes(ds)


def codes_of_letters(vr: str, form: str) -> bytes:
    """In every list of numbers of this kind, a letter's code each."""
    ds = ct(0)
    for tag, kind, count, _ in KINDS:
        if kind == vr and (room := {"6": 6, "1-n": 6, "2-n": 6, "2-2n": 6, "3-3n": 6}.get(count)):
            text = b"\\".join(b"%d" % letter for letter in NAME[:room])
            put(ds, tag, vr, struct.pack(f"<{room}{form}", *NAME[:room]) if form else text)
    return to_bytes(ds)


def nested_unknown(depth: int) -> bytes:
    """A sequence in implicit little endian, as the value of an element of unknown kind (PS3.5, 6.2.2)."""
    inner = struct.pack("<HHL", 0x8, 0x1030, len(NAME)) + NAME
    for _ in range(depth):
        inner = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HHL", 0x8, 0x1140, len(inner)) + inner
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner


def archive(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as packed:
            packed.writestr("a", NAME)
    else:
        with tarfile.open(fileobj=stream, mode="w") as packed_too:
            packed_too.addfile(tarfile.TarInfo(NAME.decode()), io.BytesIO())
    return stream.getvalue()


def in_private(value: bytes) -> bytes:
    return several(
        (0x00290010, "LO", b"SIEMENS CSA HEADER"), (0x00291010, "OB", value), (0x00710010, "LO", b"CTRECON"),
        *((0x00711000 | at, "OB", value) for at in (0x10, 0x11, 0x13, 0x20, 0x21)), (0x00711003, "LO", NAME * 10),
    )  # fmt: skip


def known_blocks(creator: bytes, group: int) -> bytes:
    """Every place of a block of which some numbers may stay."""
    kinds = (("LO", NAME), ("DS", BORN), ("FD", struct.pack("<d", 19870414.0)), ("US", NAME), ("FL", NAME + b"ab"))
    ds = put(ct(0), group << 16 | 0x10, "LO", creator)
    for at in range(256):
        put(ds, group << 16 | 0x1000 | at, *kinds[at % len(kinds)])
    return to_bytes(ds)


def header(**values: Any) -> bytes:
    ds = ct(0)
    for keyword, value in values.items():
        put(ds.file_meta, tag_for_keyword(keyword) or 0, *value)
    return to_bytes(ds)


def compressed(
    syntax: str, spoil: Callable[[bytes], bytes], table: Callable[[Dataset, bytes], None] = lambda ds, frame: None
) -> bytes:
    values = np.arange(192, dtype=np.uint16).reshape(12, 16)
    ds = pydicom.dcmread(io.BytesIO(to_bytes(ct(0, values, BitsStored=16, HighBit=15, PixelRepresentation=0))))
    ds.compress(syntax, generate_instance_uid=False)
    frame = spoil(next(generate_frames(ds.PixelData, number_of_frames=1)))
    ds.PixelData = encapsulate([frame])
    table(ds, frame)
    return to_bytes(ds)


def gap(frame: bytes) -> bytes:
    """Between the header of RLE and its first segment."""
    count, first, second = struct.unpack_from("<3L", frame)
    return struct.pack("<3L", count, first + 6, second + 6) + frame[12:64] + NAME + frame[64:]


def segment(code: int, content: bytes) -> Callable[[bytes], bytes]:
    marked = bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content
    return lambda frame: frame[:2] + marked + frame[2:]


def offsets(ds: Dataset, frame: bytes) -> None:
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended([frame])
    ds.ExtendedOffsetTableLengths = NAME + b"ab"


def basic_table(ds: Dataset, _: bytes) -> None:
    ds.PixelData = ds.PixelData[:4] + struct.pack("<LL", 12, 0) + NAME + b"ab" + ds.PixelData[12:]


def one_more(ds: Dataset, _: bytes) -> None:
    ds.PixelData += struct.pack("<HHL", 0xFFFE, 0xE000, 6) + NAME


def report(**values: Any) -> bytes:
    return of("1.2.840.10008.5.1.4.1.1.88.33", "SR", ContentSequence=[item(**values)])


def context(**values: Any) -> bytes:
    concept = item(CodeValue="113963", CodingSchemeDesignator="DCM", CodeMeaning="Qzwxjk")
    return to_bytes(ct(0, AcquisitionContextSequence=[item(ConceptNameCodeSequence=[concept], **values)]))


SAYS: dict[str, dict[str, Any]] = {
    "text": {"TextValue": "Qzwxjk"}, "name": {"PersonName": "Qzwxjk"}, "date": {"Date": "19870413"},
    "time": {"DateTime": "19870413"}, "UID": {"UID": DIGITS}, "number": {"MeasuredValueSequence": [
        item(NumericValue="19870413", FloatingPointValue=19870414.0)]}, "code": {"ConceptCodeSequence": [
        item(CodeValue="Qzwxjk", CodingSchemeDesignator="99Q", CodeMeaning="Qzwxjk")]},
    "image": {"ReferencedSOPSequence": [item(ReferencedSOPInstanceUID=DIGITS)]},
    "points": {"GraphicData": [float(letter) for letter in NAME]},
    "container": {"ContentSequence": [item(TextValue="Qzwxjk")]},
}  # fmt: skip
BLOCKS = (
    (b"GEMS_HELIOS_01", 0x45), (b"SIEMENS MR HEADER", 0x19), (b"Philips Imaging DD 001", 0x2005), (b"ELSCINT1", 0x7053)
)  # fmt: skip
LAST, KANJI = "王小东".encode(), b"\x1b$B;3ED\x1b(B"
PLACES: dict[str, Callable[[], bytes]] = {
    **{f"codes of letters in {vr}": lambda vr=vr, form=form: codes_of_letters(vr, form)  # type: ignore[misc]
       for vr, form in (("US", "H"), ("SS", "h"), ("UL", "L"), ("SL", "l"), ("FD", "d"), ("FL", "f"), ("DS", ""),
                        ("IS", ""))},
    **{f"a report's {name}": lambda says=says: report(**says) for name, says in SAYS.items()},  # type: ignore[misc]
    **{f"{name} of the context": lambda says=says: context(**says) for name, says in SAYS.items()},  # type: ignore[misc]
    **{f"unknown kind {tag:08X}": lambda tag=tag: several((tag, "UN", nested_unknown(5)))  # type: ignore[misc]
       for tag in (0x00081140, 0x00091010, 0x00189346, 0x00082112, 0x52009229)},
    **{f"block {who.decode()}": lambda who=who, at=at: known_blocks(who, at) for who, at in BLOCKS},  # type: ignore[misc]
    **{f"{kind} in private bytes": lambda kind=kind: in_private(archive(kind)) for kind in ("zip", "tar")},  # type: ignore[misc]
    "DICOM in private bytes": lambda: in_private(to_bytes(ct(0, ImageComments="Qzwxjk"))),
    "20 deep": lambda: nested(20),
    "private in a code": lambda: to_bytes(change(ct(0), DerivationCodeSequence=[put(put(item(
        CodeValue="113963", CodingSchemeDesignator="DCM", CodeMeaning="x"), 0x00090010, "LO", NAME), 0x00091001, "OB",
        NAME)])),
    "letters as digits of UIDs": lambda: every(("UI",), DIGITS.encode()),
    "three digits a letter": lambda: every(("UI",), b"2.25." + CODES),
    "several UIDs": lambda: every(("UI",), DIGITS.encode() + b"\\1.2.840.10008.1.2\\1.2." + BORN),
    "class as digits": lambda: of(DIGITS, "CT"),
    "in the header": lambda: header(
        SourceApplicationEntityTitle=("AE", NAME), PrivateInformationCreatorUID=("UI", b"1.2." + BORN),
        PrivateInformation=("OB", NAME * 50), ImplementationVersionName=("SH", NAME),
        ImplementationClassUID=("UI", DIGITS.encode()), ReceivingPresentationAddress=("UR", NAME)),
    "exponents": lambda: every(("DS",), b"1.9870413e7"),
    "shifted": lambda: every(("DS",), b"0.0000" + BORN),
    "signed": lambda: every(("DS", "IS"), b"-" + BORN),
    "zeros first": lambda: every(("DS", "IS"), b"0000" + BORN),
    "all overlays": lambda: several(*(((group << 16) | at, vr, NAME * 4) for group in range(0x6000, 0x6020, 2)
                                      for at, vr in ((0x22, "LO"), (0x1500, "LO"), (0x3000, "OB")))),
    "all curves": lambda: several(*(((group << 16) | at, vr, NAME * 4) for group in (*range(0x5000, 0x5020, 2), 0x5020)
                                    for at, vr in ((0x2500, "LO"), (0x2610, "US"), (0x3000, "OW")))),
    "odd groups": lambda: several(*((group << 16 | 0x3000, "OW", NAME) for group in (0x5001, 0x6001, 0x6101, 0x7FE1))),
    "names in three alphabets": lambda: several(
        (0x00080005, "CS", b"ISO_IR 192"), (0x00100010, "PN", b"A^B=" + LAST + b"=" + NAME),
        (0x00080090, "PN", b"==" + LAST), (0x00081030, "LO", LAST)),
    "kanji": lambda: several((0x00080005, "CS", b"\\ISO 2022 IR 87"), (0x00081050, "PN", b"Q=" + KANJI + NAME),
                             (0x0018009F, "LO", KANJI + NAME), (0x00181210, "SH", KANJI + NAME)),
    "cyrillic": lambda: several((0x00080005, "CS", b"ISO_IR 144"), *((tag, vr, "Петров".encode("iso8859_5"))
                                for tag, vr in ((0x00081030, "LO"), (0x00104000, "LT"), (0x00181210, "SH")))),
    "text for dates": lambda: several(*((tag, vr, NAME) for tag, vr in (
        (0x00080020, "DA"), (0x0018700C, "DA"), (0x00080030, "TM"), (0x0008002A, "DT"), (0x00189074, "DT"),
        (0x00404010, "DT")))),
    "born as dates": lambda: several(*((tag, "DA", BORN) for tag in (0x00080020, 0x00080023, 0x0018700C, 0x00400002))),
    "born as numbers of double bytes": lambda: several((0x00181411, "DS", BORN), (0x00189345, "FD", BORN)),
    "structures": lambda: of("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", ROIContourSequence=[
        item(ContourSequence=[item(ContourData=[float(letter) for letter in NAME])])]),
    "plan": lambda: of("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", RTPlanLabel="Qzwxjk", BeamSequence=[
        item(BeamName="Qzwxjk")]),
    "presentation": lambda: of("1.2.840.10008.5.1.4.1.1.11.1", "PR", ContentDescription="Qzwxjk",
                               GraphicAnnotationSequence=[item(TextObjectSequence=[item(UnformattedTextValue="Qzwxjk")])]),
    "clinical document": lambda: of("1.2.840.10008.5.1.4.1.1.104.2", "DOC", EncapsulatedDocument=b"<a>" + NAME + b" "),
    "model": lambda: of("1.2.840.10008.5.1.4.1.1.104.3", "M3D", EncapsulatedDocument=NAME * 20),
    "directory": lambda: of("1.2.840.10008.1.3.10", "CT", DirectoryRecordSequence=[
        item(DirectoryRecordType="PATIENT", PatientName="Qzwxjk", ReferencedFileID=["QZWXJK", "A"])]),
    "devices": lambda: to_bytes(ct(0, DeviceSequence=[item(DeviceID="Qzwxjk")], ContributingEquipmentSequence=[
        item(ContributionDescription="Qzwxjk", SoftwareVersions="Qzwxjk", DateOfLastCalibration="19870413")])),
    "encrypted": lambda: to_bytes(ct(0, EncryptedAttributesSequence=[item(EncryptedContent=NAME)])),
    "signatures": lambda: to_bytes(ct(0, MACParametersSequence=[item(MACAlgorithm="QZWXJK")],
                                      DigitalSignaturesSequence=[
        item(DigitalSignatureUID=DIGITS, CertifiedTimestamp=NAME)])),
    "colour": lambda: to_bytes(ct(0, ICCProfile=NAME * 30, OpticalPathSequence=[item(ICCProfile=NAME * 30)])),
    "after a null in a word": lambda: several((0x00080070, "LO", b"ACME\0" + NAME + b" ")),
    "a fourth word": lambda: to_bytes(ct(0, ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "QZWXJK"])),
    "words": lambda: to_bytes(ct(0, ConvolutionKernel=["Br40d", "Qzwxjk"], ScanOptions="QZWXJK", FilterType="QZWXJK")),
    "a TIFF before it": lambda: b"II*\0" + NAME * 20 + b"abcd" + to_bytes(ct(0))[128:],
    "a group of nobody": lambda: spliced(element(9, 0x10, b"LO", NAME)),
    "end of RLE": lambda: compressed(RLELossless, lambda frame: frame + NAME),
    "unused offsets of RLE": lambda: compressed(RLELossless, lambda frame: frame[:40] + NAME + frame[46:]),
    "before the segments of RLE": lambda: compressed(RLELossless, gap),
    "SPIFF": lambda: compressed(JPEGLSLossless, segment(0xE8, b"SPIFF\0" + NAME * 4)),
    "comment of JPEG-LS": lambda: compressed(JPEGLSLossless, segment(0xFE, NAME)),
    "before the end of JPEG-LS": lambda: compressed(JPEGLSLossless, lambda frame: frame[:-2] + NAME + frame[-2:]),
    "table of offsets": lambda: compressed(RLELossless, lambda frame: frame, basic_table),
    "lengths of frames": lambda: compressed(RLELossless, lambda frame: frame, offsets),
    "another fragment": lambda: compressed(RLELossless, lambda frame: frame, one_more),
    "after the last fragment": lambda: compressed(RLELossless, lambda frame: frame) + NAME,
}  # fmt: skip


@pytest.mark.sampled(42)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_left_of_it_in(place: str) -> None:
    data = PLACES[place]()
    try:
        clean, _ = deidentified_bytes("a", data, ME, Options(clean_descriptors=True))
    except InputError as why:  # refused, which must not tell it either
        clean = str(why).replace("\n", NAME.decode()).encode()
    assert [secret for secret in ENCODED if secret in clean] == []


def test_numbers_that_spell_are_found_and_those_that_count_stay() -> None:
    assert len(PLACES) >= 80
    tag = tag_for_keyword("ReferencedFrameNumber")
    assert harmless_value(tag, [97, 98, 99, 100, 101, 102]) is not None
    assert harmless_value(tag, [97, 110, 110, 97]) is not None, "four numbers may well be numbers"
    assert harmless_value(tag, list(b"Muster")) is None
    assert harmless_value(tag, [*b"Muster", 200]) is not None


@pytest.mark.parametrize(("keyword", "kind", "quiet"), [
    ("FloatPixelData", "<u4", 0x7FC00000), ("DoubleFloatPixelData", "<u8", 0x7FF8 << 48),
])  # fmt: skip
def test_what_is_no_number_is_one_and_the_same(keyword: str, kind: str, quiet: int) -> None:
    ds = ct(0)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, name)
    bits = np.full(ds.Rows * ds.Columns, quiet, kind)
    bits[:6] += np.frombuffer(b"Qzwxjk", np.uint8)
    bits[6:9] = np.array([1.5, -np.inf, -0.0], kind.replace("u", "f")).view(kind)
    setattr(ds, keyword, bits.tobytes())
    ds.BitsAllocated = bits.itemsize * 8
    after = np.frombuffer(deidentify(ds, ME, "a")[keyword].value, kind)
    assert set(after[:6].tolist()) == {quiet}
    assert after[6:].tolist() == bits[6:].tolist()
