"""What viewers, archives and other programs take from a series, changed by someone who knows DICOM: each is refused, or
named in the last line."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dicom_series import dicom_files, write
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from test_dicom_manifest import change, verify

from ctrecon.certificates.verify import Refused
from ctrecon.dicom.series.file_check import check_file
from ctrecon.dicom.series.manifest import holds_manifest
from ctrecon.dicom.series.manifest_check import manifest_in


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("attacked") / "series")


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def sets(**values: Any) -> Callable[[Dataset], None]:
    def do(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return do


def lut(**more: Any) -> Dataset:
    return item(LUTDescriptor=[4, 0, 16], LUTData=[65535, 40000, 20000, 0], **more)


def adds(tag: int, vr: str, value: Any) -> Callable[[Dataset], None]:
    return lambda ds: ds.add_new(tag, vr, value)


# Of an image: what decides how it is shown, where it stands, what is written over it.
IMAGE: dict[str, Callable[[Dataset], None]] = {
    "presentation LUT shape": sets(PresentationLUTShape="INVERSE"),
    "presentation LUT": sets(PresentationLUTSequence=Sequence([lut()])),
    "modality LUT": sets(ModalityLUTSequence=Sequence([lut(ModalityLUTType="HU")])),
    "VOI LUT": sets(VOILUTSequence=Sequence([lut()])),
    "sigmoid": sets(VOILUTFunction="SIGMOID"),
    "exact": sets(VOILUTFunction="LINEAR_EXACT"),
    "pixel aspect ratio": sets(PixelAspectRatio=[1, 3]),
    "imager spacing": sets(ImagerPixelSpacing=[2, 2]),
    "nominal spacing": sets(NominalScannedPixelSpacing=[2, 2]),
    "calibration": sets(PixelSpacingCalibrationType="GEOMETRY"),
    "spacing between slices": sets(SpacingBetweenSlices=9),
    "thickness": sets(SliceThickness=9),
    "slice location": sets(SliceLocation=99),
    "patient orientation": sets(PatientOrientation=["R", "P"]),
    "flip": sets(ImageHorizontalFlip="Y"),
    "rotation": sets(ImageRotation=180),
    "laterality": sets(Laterality="R"),
    "image laterality": sets(ImageLaterality="R"),
    "body part": sets(BodyPartExamined="FOOT"),
    "view position": sets(ViewPosition="PA"),
    "position": sets(PatientPosition="HFP"),
    "palette": adds(0x00281101, "US", [256, 0, 16]),
    "supplemental palette": sets(PixelPresentation="COLOR"),
    "real world map": sets(RealWorldValueMappingSequence=Sequence([item(RealWorldValueSlope=2.0)])),
    "padding limit": sets(PixelPaddingRangeLimit=40000),
    "shutter": sets(ShutterShape="CIRCULAR", CenterOfCircularShutter=[5, 5], RadiusOfCircularShutter=4),
    "bitmap shutter": sets(ShutterOverlayGroup=0x6000),
    "curve": adds(0x50003000, "OW", b"\0\0\1\0"),
    "overlay in pixels": adds(0x60020100, "US", 16),
    "graphics": sets(GraphicAnnotationSequence=Sequence([item(GraphicLayer="A")])),
    "displayed area": sets(DisplayedAreaSelectionSequence=Sequence([item(PresentationSizeMode="MAGNIFY")])),
    "shared groups": sets(SharedFunctionalGroupsSequence=Sequence([item(PixelMeasuresSequence=Sequence([]))])),
    "frame groups": sets(PerFrameFunctionalGroupsSequence=Sequence([Dataset()])),
    "frames": sets(NumberOfFrames=1),
    "multi-frame pointer": adds(0x00280009, "AT", 0x00181063),
    "frame time": sets(FrameTime=10),
    "icon": sets(IconImageSequence=Sequence([item(Rows=1, Columns=1)])),
    "float pixels": adds(0x7FE00008, "OF", b"\0\0\0\0"),
    "double pixels": adds(0x7FE00009, "OD", bytes(8)),
    "stack": sets(StackID="1", InStackPositionNumber=2),
    "temporal position": sets(TemporalPositionIdentifier=1, NumberOfTemporalPositions=2),
    "acquisition number": sets(AcquisitionNumber=2),
    "series number": sets(SeriesNumber=1),
    "series description": sets(SeriesDescription="CT chest, for diagnosis"),
    "manufacturer": sets(Manufacturer="SIEMENS"),
    "original": sets(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]),
    "content qualification": sets(ContentQualification="PRODUCT"),
    "lossy": sets(LossyImageCompression="01"),
    "burned in": sets(BurnedInAnnotation="YES"),
    "recognisable": sets(RecognizableVisualFeatures="YES"),
    "kernel": sets(ConvolutionKernel="B70f"),
    "tube voltage": sets(KVP=80),
    "dose": sets(CTDIvol=0.1),
    "rescale type": sets(RescaleType="US"),
    "quality": sets(QualityControlImage="YES"),
    "verified": sets(VerificationFlag="VERIFIED"),
    "source images": sets(SourceImageSequence=Sequence([item(ReferencedSOPInstanceUID="1.2.3")])),
    "presentation intent": sets(PresentationIntentType="FOR PRESENTATION"),
    "optical path": sets(ICCProfile=b"\0" * 128),
}


def manifest_of(series: Path) -> Any:
    return manifest_in([(path, ds) for path in dicom_files(series) if holds_manifest(ds := dcmread(path))])


def test_what_decides_how_an_image_is_shown_is_refused(original: Path) -> None:
    assert len(IMAGE) > 55
    manifest, unnoticed = manifest_of(original), []
    for name, what in IMAGE.items():
        with config.disable_value_validation():
            ds = dcmread(original / "ct-0002.dcm")
            what(ds)
            try:
                manifest.check(ds)
            except Refused:
                continue
        unnoticed.append(name)
    assert unnoticed == []
    assert not manifest.coerced
    manifest.check(dcmread(original / "ct-0002.dcm"))


def edited(ds: Dataset, path: tuple[tuple[str, int], ...], **values: Any) -> None:
    for keyword, k in path:
        ds = ds[keyword].value[k]
    sets(**values)(ds)


EQUIPMENT = (("ContributingEquipmentSequence", 0),)


def test_what_stands_within_items_is_refused_or_listed(original: Path) -> None:
    """Also where an archive may change it at the top, and in blocks of its own."""
    manifest = manifest_of(original)
    for values in ({"InstitutionName": "Elsewhere"}, {"StationName": "B"}):
        ds = dcmread(original / "ct-0001.dcm")
        edited(ds, EQUIPMENT, **values)
        manifest.check(ds)
        assert manifest.coerced == {f"ContributingEquipmentSequence[1].{name}" for name in values}
        manifest.coerced.clear()
    ds = dcmread(original / "ct-0001.dcm")
    ds.ContributingEquipmentSequence[0].private_block(0x11, "OTHER", create=True).add_new(1, "LO", "for diagnosis")
    manifest.check(ds)
    assert "ContributingEquipmentSequence[1].(0011,1001)" in manifest.coerced
    ds = dcmread(original / "ct-0001.dcm")
    edited(ds, EQUIPMENT, Manufacturer="Approved")
    with pytest.raises(Refused, match="Manufacturer"):
        manifest.check(ds)


LOSSLESS = "Lossless JPEG compression, selection value 1, point transform 0, compression ratio 2.14 [{}]"


def test_what_an_archive_writes_as_it_compresses_is_listed_and_nothing_else(original: Path) -> None:
    """As DCMTK does, and the archives built on it."""
    manifest = manifest_of(original)
    ds = dcmread(original / "ct-0001.dcm")
    before = ds.DerivationDescription
    for said in (LOSSLESS.format(before), LOSSLESS.format(LOSSLESS.format(before))):
        ds.DerivationDescription = said
        manifest.check(ds)
        assert manifest.coerced == {"DerivationDescription"}
        manifest.coerced.clear()
    for said in (
        LOSSLESS.format("Approved"), "Approved. " + LOSSLESS.format(before), LOSSLESS.format(before) + " Approved",
        LOSSLESS.format(before).replace("form 0", "form 1"), LOSSLESS.format(before).replace("2.14", "fine"),
        LOSSLESS.format(before + " Approved"),
    ):  # fmt: skip
        ds.DerivationDescription = said
        with pytest.raises(Refused, match="DerivationDescription"):
            manifest.check(ds)
    bare = LOSSLESS.removesuffix(" [{}]")
    residual = dcmread(original / "residual.dcm")  # which had none
    residual.DerivationDescription = bare
    manifest.coerced.clear()
    manifest.check(residual)
    assert manifest.coerced == {"DerivationDescription"}
    for which, said in ((residual, bare + ". Approved"), (residual, f"{bare} [Approved]"), (ds, bare)):
        which.DerivationDescription = said
        with pytest.raises(Refused, match="DerivationDescription"):
            manifest.check(which)


def test_lengths_of_groups_and_padding_of_nothing_are_no_change(original: Path) -> None:
    manifest = manifest_of(original)
    ds = dcmread(original / "ct-0001.dcm")
    for where in (ds, ds.DerivationCodeSequence[0]):
        where.add_new(0x00710000, "UL", 17)
        where.add_new(0xFFFCFFFC, "OB", bytes(64))
    manifest.check_private(ds)
    manifest.check(ds)
    assert not manifest.coerced
    ds.DerivationCodeSequence[0].DataSetTrailingPadding = b"Approved"
    manifest.check(ds)
    assert manifest.coerced == {"DerivationCodeSequence[1].DataSetTrailingPadding"}


# --- the file beside its data set


def doubled(raw: bytes, tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    """An element put in front of the one of that tag, which most programs do not expect."""
    at = raw.index(struct.pack("<HH", *tag) + vr)
    return raw[:at] + struct.pack("<HH2sH", *tag, vr, len(value)) + value + raw[at:]


FILES: dict[str, Callable[[bytes], bytes]] = {
    "a TIFF in the preamble": lambda raw: b"II*\0\x08\0\0\0".ljust(128, b"\1") + raw[128:],
    "a spacing twice": lambda raw: doubled(raw, (0x28, 0x30), b"DS", b"9\\9 "),
    "a window twice": lambda raw: doubled(raw, (0x28, 0x1050), b"DS", b"9 "),
    "a photometric twice": lambda raw: doubled(raw, (0x28, 0x04), b"CS", b"MONOCHROME1 "),
    "a patient twice": lambda raw: doubled(raw, (0x10, 0x10), b"PN", b"A^B "),
    "a UID twice": lambda raw: doubled(raw, (0x08, 0x18), b"UI", b"1.2\0"),
    "an intercept out of order": lambda raw: doubled(raw, (0x28, 0x1053), b"DS", b"1 ").replace(
        struct.pack("<HH2sH", 0x28, 0x1053, b"DS", 2) + b"1 ", struct.pack("<HH2sH", 0x28, 0x0030, b"DS", 2) + b"1 ", 1
    ),
    "a syntax twice": lambda raw: doubled(raw, (0x02, 0x10), b"UI", b"1.2\0"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_another_program_reads_otherwise_is_refused(name: str, series: Path) -> None:
    path = series / "ct-0001.dcm"
    check_file(path, dcmread(path))
    path.write_bytes(FILES[name](path.read_bytes()))
    with pytest.raises(Refused), config.disable_value_validation():
        check_file(path, dcmread(path))


def test_the_header_of_the_file_names_its_object_and_there_are_as_many_bytes_as_pixels(series: Path) -> None:
    for keyword in ("MediaStorageSOPInstanceUID", "MediaStorageSOPClassUID"):
        ds = dcmread(series / "ct-0001.dcm")
        setattr(ds.file_meta, keyword, "1.2.3")
        ds.save_as(series / "other.dcm", enforce_file_format=False)
        with pytest.raises(Refused, match=keyword):
            check_file(series / "other.dcm", dcmread(series / "other.dcm"))
    ds = dcmread(series / "ct-0001.dcm")
    ds.PixelData += b"a name"
    ds.save_as(series / "other.dcm")
    with pytest.raises(Refused, match="PixelData has"):
        check_file(series / "other.dcm", dcmread(series / "other.dcm"))


# --- the folder


def test_the_manifests_own_object_says_what_it_said(series: Path) -> None:
    change(series / "manifest.dcm", sets(SeriesDescription="Approved for primary diagnosis"))
    result = verify(series)
    assert result.exit_code == 1
    assert "its header is not what the manifest says: SeriesDescription is" in result.output


def presentation(series: Path) -> Dataset:
    """A softcopy presentation state that draws over the first image."""
    image = dcmread(series / "ct-0001.dcm")
    ds = dcmread(series / "ct-0001.dcm", stop_before_pixels=True)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.11.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID, ds.Modality = "1.2.3.5", "PR"
    ds.remove_private_tags()
    del ds.ContributingEquipmentSequence
    reference = item(ReferencedSOPInstanceUID=image.SOPInstanceUID)
    ds.GraphicAnnotationSequence = Sequence([item(ReferencedImageSequence=Sequence([reference]))])
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def test_what_is_put_beside_a_series_is_refused_or_named(series: Path) -> None:
    drawn = presentation(series)
    below = series / "below"
    below.mkdir()
    drawn.save_as(below / "state.dcm")
    (series / "IM1").write_bytes((series / "ct-0001.dcm").read_bytes()[132:])  # without a preamble
    shutil.copy(series / "ct-0001.dcm", series / "certificates" / "more.dcm")
    result = verify(series)
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert "not looked at, as no part of the series: IM1, state.dcm, more.dcm" in last.replace("more.dcm, state.dcm",
                                                                                          "state.dcm, more.dcm")
    # As a study that came from an archive.
    study = series.parent / "study"
    shutil.copytree(series, study / "1", ignore=shutil.ignore_patterns("below", "IM1", "certificates"))
    (study / "2").mkdir()
    drawn.save_as(study / "2" / "a")
    result = verify(study)
    assert result.exit_code == 0, result.output
    assert "of these, a refer to the images and may show or describe them otherwise" in result.output.splitlines()[-1]
    drawn.SeriesInstanceUID = dcmread(series / "ct-0001.dcm").SeriesInstanceUID
    drawn.save_as(study / "2" / "a")
    result = verify(study)
    assert result.exit_code == 1, result.output


def test_files_of_two_certified_series_are_not_exchanged(series: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", 2)
    for name in ("manifest.dcm", "ct-0001.dcm", "certificate-0001.dcm"):
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(series, mixed)
        shutil.copy(other / name, mixed / name)
        assert verify(mixed).exit_code == 1
