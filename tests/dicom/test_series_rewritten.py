"""What else a program may do to the files of a series: each change is refused, or named in the last line."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dicom_series import write
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from test_dicom_manifest import change, verify
from test_series_attacks import adds, item, manifest_of, sets

from ctrecon.certificates.verify import Refused
from ctrecon.dicom.series.encoded import written_anew
from ctrecon.dicom.series.file_check import check_file

Change = Callable[[Dataset], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rewritten") / "series", 2)


def both(*changes: Change) -> Change:
    return lambda ds: [one(ds) for one in changes]


def out(*keywords: str) -> Change:
    return lambda ds: [delattr(ds, keyword) for keyword in keywords]


def header(**values: Any) -> Change:
    return lambda ds: sets(**values)(ds.file_meta)


def of_class(uid: str, **more: Any) -> Change:
    return both(sets(SOPClassUID=uid, **more), header(MediaStorageSOPClassUID=uid))


def overlay(group: int) -> Change:
    values = ((0x10, "US", 4), (0x11, "US", 4), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x3000, "OW", b"\xff\xff"))
    return both(*(adds((group << 16) | element, vr, value) for element, vr, value in values))


def table(**more: Any) -> Sequence:
    return Sequence([item(LUTDescriptor=[2, 0, 16], LUTData=b"\0\0\1\1", **more)])


def reversed_windows(ds: Dataset) -> None:
    ds.WindowCenter, ds.WindowWidth = list(ds.WindowCenter)[::-1], list(ds.WindowWidth)[::-1]


def in_float(ds: Dataset) -> None:
    count = ds.Rows * ds.Columns
    del ds.PixelData
    ds.FloatPixelData = bytes(4 * count)


def numbers(ds: Dataset) -> list[Dataset]:
    own = list(ds.get("ContentSequence", ()))
    below = [inner for one in own for inner in numbers(one)]
    return [one for one in own if one.get("ValueType") == "NUM"] + below


def exchanged(ds: Dataset) -> None:
    """Numbers of two regions, each with its own name."""
    one, other = numbers(ds)[:2]
    one.MeasuredValueSequence, other.MeasuredValueSequence = other.MeasuredValueSequence, one.MeasuredValueSequence


def unit(**values: Any) -> Change:
    return lambda ds: sets(**values)(numbers(ds)[0].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0])


def frame(keyword: str, **values: Any) -> Change:
    return lambda ds: sets(**{keyword: Sequence([item(**values)])})(ds.PerFrameFunctionalGroupsSequence[0])


def document(what: Callable[[bytes], bytes]) -> Change:
    return lambda ds: sets(EncapsulatedDocument=what(bytes(ds.EncapsulatedDocument)))(ds)


CT, REPORT, PDF, MAP, RAW = "ct-0001.dcm", "report.dcm", "report-pdf.dcm", "residual.dcm", "certificate-0001.dcm"
CHANGES: dict[str, tuple[str, Change]] = {
    "windows reversed": (CT, reversed_windows),
    "window explanation": (CT, sets(WindowCenterWidthExplanation=["A", "B", "C", "D"])),
    "no windows": (CT, out("WindowCenter", "WindowWidth")),
    "empty windows": (CT, sets(WindowCenter=None, WindowWidth=None)),
    "a table beside windows": (CT, sets(VOILUTSequence=table(LUTExplanation="x"), WindowCenter=[1])),
    "a table for the scale": (CT, both(out("RescaleSlope", "RescaleIntercept", "RescaleType"),
                                       sets(ModalityLUTSequence=table(ModalityLUTType="HU")))),
    "aspect for spacing": (CT, both(out("PixelSpacing"), sets(PixelAspectRatio=[1, 3]))),
    "calibration": (CT, sets(PixelSpacingCalibrationType="FIDUCIAL", PixelSpacingCalibrationDescription="x")),
    "rows for columns": (CT, lambda ds: sets(Rows=ds.Columns, Columns=ds.Rows)(ds)),
    "twice as wide": (CT, lambda ds: sets(Rows=ds.Rows // 2, Columns=ds.Columns * 2)(ds)),
    "planar": (CT, sets(PlanarConfiguration=1)),
    "15 bits": (CT, sets(HighBit=14, BitsStored=15)),
    "sign": (CT, lambda ds: sets(PixelRepresentation=1 - ds.PixelRepresentation)(ds)),
    "smallest": (CT, adds(0x00280106, "US", 3)),
    "largest in series": (CT, adds(0x00280109, "US", 3)),
    "no location": (CT, out("SliceLocation")),
    "empty acquisition": (CT, sets(AcquisitionNumber=None)),
    "image type longer": (CT, lambda ds: ds.ImageType.append("MPR")),
    "image type shorter": (CT, lambda ds: sets(ImageType=list(ds.ImageType)[:2])(ds)),
    "secondary capture": (CT, of_class("1.2.840.10008.5.1.4.1.1.7")),
    "enhanced": (CT, of_class("1.2.840.10008.5.1.4.1.1.2.1")),
    "a class of one's own": (CT, of_class("1.2.3")),
    "frame of reference": (CT, sets(FrameOfReferenceUID="1.2.3")),
    "reference point": (CT, sets(PositionReferenceIndicator="XY")),
    "colour": (CT, sets(ICCProfile=bytes(128), ColorSpace="SRGB")),
    "overlay 6002": (CT, overlay(0x6002)),
    "overlay 601E": (CT, overlay(0x601E)),
    "an odd overlay group": (CT, overlay(0x6001)),
    "label of an overlay": (CT, adds(0x60041500, "LO", "tumour")),
    "text on it": (CT, sets(GraphicAnnotationSequence=Sequence([item(TextObjectSequence=Sequence([
        item(UnformattedTextValue="tumour")]))]))),
    "layer": (CT, sets(GraphicLayerSequence=Sequence([item(GraphicLayer="A")]))),
    "softcopy window": (CT, sets(SoftcopyVOILUTSequence=Sequence([item(WindowCenter=1, WindowWidth=2)]))),
    "floats beside": (CT, adds(0x7FE00008, "OF", bytes(4))),
    "doubles beside": (CT, adds(0x7FE00009, "OD", bytes(8))),
    "floats for integers": (CT, in_float),
    "pixels elsewhere": (CT, sets(PixelDataProviderURL="http://x")),
    "tables of offsets without frames": (CT, sets(ExtendedOffsetTable=bytes(8), ExtendedOffsetTableLengths=bytes(8))),
    "tilt": (CT, sets(GantryDetectorTilt=20)),
    "seen from behind": (CT, sets(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])),
    "feet first": (CT, sets(PatientPosition="FFS")),
    "a ten-millionth of z": (CT, lambda ds: ds.ImagePositionPatient.__setitem__(2, ds.ImagePositionPatient[2] + 1e-7)),
    "region": (CT, sets(AnatomicRegionSequence=Sequence([item(CodeValue="x", CodeMeaning="Knee")]))),
    "contrast": (CT, sets(ContrastBolusAgent="IODINE")),
    "algorithm": (CT, sets(ReconstructionAlgorithm="FBP")),
    "acquired when": (CT, sets(AcquisitionDate="20200101")),
    "words of an unknown attribute": (CT, adds(0x0018FFFE, "LO", "tumour")),
    "retired words": (CT, adds(0x40004000, "LT", "tumour")),
    "attributes encrypted": (CT, sets(EncryptedAttributesSequence=Sequence([item(EncryptedContent=b"ab")]))),
    "digital signature": (CT, sets(DigitalSignaturesSequence=Sequence([item(MACIDNumber=1)]))),
    "another character set": (CT, sets(SpecificCharacterSet="GB18030")),
    "another in the report": (REPORT, sets(SpecificCharacterSet="GB18030")),
    "a sender's title": (CT, header(SourceApplicationEntityTitle="EVIL")),
    "a receiver's title": (REPORT, header(ReceivingApplicationEntityTitle="EVIL")),
    "an address": (PDF, lambda ds: ds.file_meta.add_new(0x00020026, "UR", "http://x")),
    "an unknown line of the header": (MAP, lambda ds: ds.file_meta.add_new(0x00020200, "LO", "hello")),
    "a private element without its creator": (CT, adds(0x20011003, "FL", 1.0)),
    "numbers of two regions exchanged": (REPORT, exchanged),
    "items in another order": (REPORT, lambda ds: sets(ContentSequence=Sequence(list(ds.ContentSequence)[::-1]))(ds)),
    "unit": (REPORT, unit(CodeValue="mm")),
    "meaning of a unit": (REPORT, unit(CodeMeaning="per cent")),
    "no unit": (REPORT, lambda ds: delattr(numbers(ds)[0].MeasuredValueSequence[0], "MeasurementUnitsCodeSequence")),
    "name of a number": (REPORT, lambda ds: sets(CodeMeaning="Risk")(numbers(ds)[0].ConceptNameCodeSequence[0])),
    "verified by somebody": (REPORT, sets(VerificationFlag="VERIFIED")),
    "complete or not": (REPORT, lambda ds: sets(CompletionFlag="PARTIAL")(ds)),
    "a point": (REPORT, lambda ds: ds.ContentSequence.append(item(ValueType="SCOORD", GraphicType="POINT"))),
    "a finding": (REPORT, lambda ds: ds.ContentSequence.append(item(ValueType="TEXT", TextValue="none"))),
    "a document before it": (REPORT, sets(PredecessorDocumentsSequence=Sequence([item(StudyInstanceUID="1.2.3")]))),
    "a PDF of the same size": (PDF, document(lambda raw: raw[:-20] + bytes([raw[-20] ^ 1]) + raw[-19:])),
    "zeros after the PDF": (PDF, document(lambda raw: raw + bytes(16))),
    "another kind of document": (PDF, sets(MIMETypeOfEncapsulatedDocument="text/html")),
    "title of the PDF": (PDF, sets(DocumentTitle="Approved")),
    "window of a frame": (MAP, frame("FrameVOILUTSequence", WindowCenter=1, WindowWidth=2)),
    "place of a frame": (MAP, frame("PlanePositionSequence", ImagePositionPatient=[1, 2, 3])),
    "number of a frame": (MAP, frame("FrameContentSequence", StackID="9", InStackPositionNumber=4)),
    "frames described in another order": (MAP, lambda ds: sets(PerFrameFunctionalGroupsSequence=Sequence(
        list(ds.PerFrameFunctionalGroupsSequence)[::-1]))(ds)),
    "map turned over": (MAP, sets(PresentationLUTShape="INVERSE")),
    "what the map is of": (MAP, sets(ContentLabel="DOSE")),
    "which image raw data are of": (RAW, lambda ds: sets(ReferencedSOPInstanceUID="1.2.3")(
        ds.ReferencedInstanceSequence[0])),
    "who wrote the raw data": (RAW, sets(CreatorVersionUID="1.2.3")),
}  # fmt: skip


def noticed(manifest: Any, path: Path, what: Change) -> str:
    """Why the changed file is refused, or what is named; empty where nothing is."""
    one = replace(manifest, coerced=set())
    with config.disable_value_validation():
        ds = dcmread(path)
        what(ds)
        changed = path.with_name("changed")
        ds.save_as(changed)
        ds = dcmread(changed)
        try:
            check_file(changed, ds)
            one.check_private(ds)
            one.check(ds)
        except Refused as why:
            return str(why)
    return ", ".join(sorted(one.coerced)) + written_anew([ds])


def test_every_change_is_refused_or_named(original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    manifest = manifest_of(series)
    assert len(CHANGES) >= 75
    for name in (CT, REPORT, PDF, MAP, RAW):
        assert noticed(manifest, series / name, lambda ds: None) == ""
    assert [name for name, (file, what) in CHANGES.items() if not noticed(manifest, series / file, what)] == []
    assert noticed(manifest, series / CT, CHANGES["a sender's title"][1]) == "SourceApplicationEntityTitle"


# --- compressed, as an archive may


def compressed(syntax: str, more: Callable[[Dataset, bytes], None] = lambda ds, frame: None) -> Change:
    def do(ds: Dataset) -> None:
        ds.compress(syntax, generate_instance_uid=False)
        more(ds, next(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1)))))

    return do


def extended(start: int) -> Callable[[Dataset, bytes], None]:
    def do(ds: Dataset, frame: bytes) -> None:
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended([frame])
        ds.ExtendedOffsetTable = struct.pack("<Q", start)

    return do


def basic(*starts: int) -> Callable[[Dataset, bytes], None]:
    def do(ds: Dataset, _: bytes) -> None:
        raw = ds.PixelData
        (length,) = struct.unpack_from("<L", raw, 4)
        table = struct.pack(f"<{len(starts)}L", *starts)
        ds.PixelData = raw[:4] + struct.pack("<L", len(table)) + table + raw[8 + length :]

    return do


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_image_is_valid_and_named(syntax: str, original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    change(series / CT, compressed(syntax))
    result = verify(series, "--strict")
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert f"; 1 file was written anew, as {syntax.name}: what stands beside the pixels" in last


def test_tables_of_offsets_lead_to_the_frames(original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    manifest = manifest_of(series)
    for more in (basic(0), basic(), extended(0)):
        assert "written anew" in noticed(manifest, series / CT, compressed(RLELossless, more))
    for more in (basic(8), basic(0, 8), extended(20), lambda ds, one: sets(PixelData=encapsulate([one, one]))(ds)):
        assert "table of offsets is wrong" in noticed(manifest, series / CT, compressed(RLELossless, more))
    # The map's frames exchanged for a program that trusts the table.
    assert "table of offsets is wrong" in noticed(
        manifest, series / MAP, compressed(RLELossless, lambda ds, one: basic(8 + len(one), 0)(ds, one))
    )


def test_data_that_travel_are_those_of_the_certificate_also_where_its_files_lie_beside(
    original: Path, tmp_path: Path
) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))

    def bit(ds: Dataset) -> None:
        element = ds.private_block(0x71, "CTRECON")[0x11]
        element.value = element.value[:500] + bytes([element.value[500] ^ 1]) + element.value[501:]

    change(series / RAW, bit)
    result = verify(series)
    assert result.exit_code == 1
    assert "certificate-0001.dcm: its data are not those of its certificate" in result.output


def test_who_wrote_a_file_anew_is_named(original: Path, tmp_path: Path) -> None:
    series = Path(shutil.copytree(original, tmp_path / "series"))
    for name in (CT, REPORT):
        change(series / name, header(ImplementationVersionName="ARCHIVE_1"))
    last = verify(series).output.splitlines()[-1]
    assert "; 2 files were written anew, by 'ARCHIVE_1';" in last
