"""Markers in every attribute of the dictionary, in every container and every transfer syntax: none is found again."""

from __future__ import annotations

import csv
import json
import shutil
import struct
import subprocess
import warnings
from importlib.resources import files

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from dicom_files import change, ct, save, to_bytes
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag

from ctrecon.cli.main import cli
from ctrecon.dicom.common.files import read_dataset
from ctrecon.dicom.common.pixels import pixel_format, stored_frames
from ctrecon.dicom.deidentify.changes import Changes
from ctrecon.dicom.deidentify.dataset import deidentify
from ctrecon.dicom.deidentify.files import deidentified_bytes
from ctrecon.dicom.deidentify.harmless import harmless, harmless_value, made_by_rule, registered, terms
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.options import MEANINGS, Options
from ctrecon.errors import InputError

ME = Identity(secret=b"0123456789abcdef")
ALL = Options(clean_descriptors=True, retain_uids=True)
NEEDED = frozenset(
    ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
     "PhotometricInterpretation", "NumberOfFrames", "PixelData", "PlanarConfiguration", "ModalityLUTSequence",
     "ContentSequence", "EncapsulatedDocument", "FloatPixelData", "DoubleFloatPixelData")
)  # fmt: skip
LONG = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "UN", "UT", "UC", "UR", "LT", "ST", "UV", "SV"))


def marker(k: int) -> bytes:
    """Eight bytes that are text, and a number of each binary kind."""
    letters = bytes(ord("a") + k // 26**i % 26 for i in range(4))
    return b"Zq" + letters + b"A@"  # its last two bytes make it a plausible double: between 1e6 and 1e9


def hidden(vr: str, k: int) -> bytes:
    if vr == "UI":
        return b"1.2.3.98765.%04d" % k
    return marker(k) * (3 if vr in LONG else 1)


def attribute(tag: int, vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, True, True)


def filled(ds: Dataset, *, deep: bool) -> list[int]:
    """Every attribute of the dictionary but sequences and what says how pixels lie, with a marker as its bytes."""
    used = []
    warnings.simplefilter("ignore")  # pydicom's, of a character set that is a marker
    for k, (tag, (vr, *_, keyword)) in enumerate(sorted(DicomDictionary.items())):
        group = tag >> 16
        if vr in ("SQ", "NONE") or group in (0, 2, 0xFFFE, 0x7FE0) or (keyword in NEEDED and not deep):
            continue
        ds[tag] = attribute(tag, vr.split(" ")[0], hidden(vr.split(" ")[0], k))
        used.append(k)
    for tag in (0x60003000, 0x50003000, 0x60200022, 0x00190010, 0x00191001, 0x00181319, 0xFFFCFFFC, 0x00091001):
        ds[tag] = attribute(tag, "OW" if tag in (0x60003000, 0x50003000) else "UN", marker(9999))
    return used


def surviving(data: bytes, used: list[int], least: int = 6) -> list[bytes]:
    """Markers of which ``least`` bytes in a row are left, in either order of bytes."""
    found, there = [], {data[i : i + least] for i in range(len(data) - least + 1)}
    for k in [*used, 9999]:
        whole = marker(k)
        swapped = struct.pack(">4H", *struct.unpack("<4H", whole))
        parts = {text[i : i + least] for text in (whole, swapped, whole[::-1]) for i in range(len(whole) - least + 1)}
        found += [part for part in (*parts, b"98765.%04d" % k) if part[:least] in there and part in data]
    return found


@pytest.mark.sampled(1)
@pytest.mark.parametrize("nested", [False, True])
def test_no_attribute_of_the_dictionary_carries_a_marker(nested):
    ds = ct(0)
    target: Dataset = ds
    if nested:
        # Within every sequence that is kept, each in an item of its own, and one deeper.
        target = Dataset()
        kept = [tag for tag, (vr, _, _) in harmless().items() if vr == "SQ"]
        for tag in kept:
            inner = Dataset()
            inner.add_new(kept[0] if tag != kept[0] else kept[1], "SQ", [target])
            ds.add_new(tag, "SQ", [target, inner] if tag in kept[:2] else [target])
    used = filled(target, deep=nested)
    if nested:
        for name in ("CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning"):
            del target[name]
        for tag in kept[5:]:
            del ds[tag]  # 400 items of 5,000 elements take too long; which sequence it is decides nothing
    before = to_bytes(ds)
    assert len(used) > 3500
    assert len({part for part in surviving(before, used, least=8)}) >= len(used) - 200
    for options in (None, ALL):
        data, after = deidentified_bytes("a", before, ME, options)
        left = surviving(data, used)
        if options is not None:  # UIDs are what was to be retained
            left = [part for part in left if not part.startswith(b"98765.")]
        assert left == []
        assert np.array_equal(after.pixel_array, ct(0).pixel_array)


def test_coded_items_keep_codes_and_the_dictionarys_meaning():
    ds = ct(0)
    good = change(Dataset(), CodeValue="113963", CodingSchemeDesignator="DCM", CodeMeaning="of Anna Li",
                  CodingSchemeVersion="Anna", ContextIdentifier="ANNA")  # fmt: skip
    odd = change(Dataset(), CodeValue="LI-17", CodingSchemeDesignator="99HOME", CodeMeaning="Anna Li")
    ds.DerivationCodeSequence = [good, odd]
    data, after = deidentified_bytes("a", to_bytes(ds), ME)
    assert b"Anna" not in data
    assert b"LI-17" not in data
    first, second = after.DerivationCodeSequence
    assert (first.CodeValue, first.CodeMeaning) == ("113963", "Iterative Reconstruction")
    assert second.CodeValue == "REMOVED"
    assert sorted(e.keyword for e in first) == ["CodeMeaning", "CodeValue", "CodingSchemeDesignator"]


def test_the_list_follows_the_rule_and_no_text_is_on_it_without_terms():
    with files("ctrecon.dicom.deidentify").joinpath("harmless.csv").open() as stream:
        listed = {tuple(row.values()) for row in csv.DictReader(stream)}
    by_rule = set(made_by_rule(DicomDictionary))
    assert {row[0] for row in by_rule ^ listed} <= {row[0] for row in listed - by_rule}, "an entry that no rule made"
    assert len(by_rule & listed) > 950
    for vr, _, keyword in harmless().values():
        if vr in ("CS", "LO", "SH", "UT", "LT", "ST", "UC"):
            assert keyword in terms(), keyword
        assert vr in ("US", "SS", "UL", "SL", "FD", "FL", "IS", "DS", "US or SS", "UI", "AT", "SQ", "CS", "LO", "SH")
    assert set(terms()) == {keyword for _, _, keyword in harmless().values() if keyword in terms()}
    assert registered("1.2.840.10008.1.2")
    assert not registered("1.2.3")


@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("KVP", "00120.0 ", 120.0), ("KVP", "1e400", None), ("KVP", "nan", None), ("InstanceNumber", "1234567", None),
        ("SpiralPitchFactor", 1.375, 1.375), ("SpiralPitchFactor", 1e280, None), ("ImageType", ["ORIGINAL", "ANNA"],
        "ORIGINAL"), ("Modality", "ANNA", "OT"), ("Rows", 512, 512), ("Rows", [512, 3], None), ("Rows", b"ab", None),
        ("RescaleType", "Houndsfield Units", "HU"), ("ConvolutionKernel", ["Br40d", "3"], ["Br40d", "3"]),
        ("ConvolutionKernel", "Anna", "REMOVED"), ("PatientPosition", "LI", None), ("Laterality", "", None),
        ("DimensionIndexValues", [1, 2, 3], [1, 2, 3]), ("DimensionIndexValues", [0x61616161, 1], None),
    ],
)  # fmt: skip
def test_values(keyword, value, kept):
    found = harmless_value(pydicom.datadict.tag_for_keyword(keyword), value)
    assert (found[1] if found else None) == kept


def pixels_of(data: bytes) -> np.ndarray:
    ds = read_dataset("a", data)
    form = pixel_format(ds, "a")
    return np.stack(list(stored_frames(ds, "a", form)))


SECRET = b"Zq0001xv Muster"


def app(code: int) -> bytes:
    return bytes([0xFF, code]) + (len(SECRET) + 2).to_bytes(2, "big") + SECRET


def spoiled(frame: bytes, syntax: str) -> list[bytes]:
    """The frame with something hidden in it, once for each place that the syntax has."""
    after = frame + SECRET + b"\0" * ((len(frame) + len(SECRET)) % 2)
    if syntax.endswith(".1.2.5"):
        return [after]
    if frame[:2] == b"\xff\x4f":
        at = 4 + int.from_bytes(frame[4:6], "big")
        return [after, frame[:at] + app(0x64) + frame[at:]]
    marks = (0xFE, 0xE1, 0xE2, 0xED, 0xEF) + ((0xE0, 0xE8) if not syntax.endswith((".80", ".81")) else ())
    return [after, *(frame[:2] + app(code) + frame[2:] for code in marks)]


@pytest.mark.long
def test_every_container_of_every_transfer_syntax(data_dir):
    folder = data_dir / "dicom" / "transfer_syntaxes"
    seen = set()
    for path in sorted(folder.glob("CTImage*.dcm")):
        ds = pydicom.dcmread(path)
        syntax = str(ds.file_meta.TransferSyntaxUID)
        if syntax in seen:
            continue
        seen.add(syntax)
        given = path.read_bytes()
        expected = pixels_of(given)
        if ds.file_meta.TransferSyntaxUID.is_compressed and not syntax.endswith(".1.99"):
            frame = next(generate_frames(ds.PixelData, number_of_frames=1))
            for one in spoiled(frame, syntax)[:: 1 if len(seen) < 8 else 3]:
                ds.PixelData = encapsulate([one])
                data, _ = deidentified_bytes("a", to_bytes(ds), ME)
                assert b"Muster" not in data, (path.name, one[:30])
            ds.PixelData = encapsulate([frame, SECRET + b"\0"])  # another fragment
            ds.ExtendedOffsetTable = SECRET + b"\0"
            further = to_bytes(ds)
            ds.PixelData = encapsulate([frame])
            del ds.ExtendedOffsetTable
            try:
                data, _ = deidentified_bytes("a", further, ME)
            except InputError as error:
                assert "compressed" in str(error) or "decoded" in str(error)  # noqa: PT017
                data, _ = deidentified_bytes("a", to_bytes(ds), ME)
        else:
            ds.PixelData += SECRET + b"\0"
            data, _ = deidentified_bytes("a", to_bytes(ds) if not syntax.endswith(".1.99") else given, ME)
        assert b"Muster" not in data
        assert np.array_equal(pixels_of(data), expected), path.name
        after = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        assert len(after.PixelData) == 512 * 512 * expected.itemsize * after.BitsAllocated // 32
        lossy = syntax in {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91)}
        assert not lossy or after.LossyImageCompression == "01"
    assert len(seen) >= 13


def test_bits_that_pixels_do_not_need():
    values = np.arange(192, dtype=np.uint16).reshape(12, 16)
    ds = ct(0, values | np.uint16(0xA000), BitsStored=12, HighBit=11, PixelRepresentation=0)
    after = deidentify(ds, ME, "a")
    assert np.array_equal(np.frombuffer(after.PixelData, np.uint16).reshape(12, 16), values)
    # Above and below, in a signed image of old: bits 2 to 13.
    signed = (np.arange(192, dtype=np.int16) - 96).reshape(12, 16)
    placed = ((signed.astype(np.uint16) & 0xFFF) << 2) | 0x8003
    after = deidentify(ct(0, placed, BitsStored=12, HighBit=13, PixelRepresentation=1), ME, "a")
    assert np.array_equal(np.frombuffer(after.PixelData, np.int16).reshape(12, 16), signed)
    assert (after.HighBit, after.BitsStored) == (11, 12)
    one_bit = ct(0, np.zeros((2, 3), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0)
    one_bit.PixelData = bytes([0b11_101101, 0x5A])
    assert deidentify(one_bit, ME, "a").PixelData == bytes([0b101101, 0])


def test_colours_and_palettes():
    rng = np.random.default_rng(3)
    shown = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    common = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "Rows": 12, "Columns": 16}
    planes = ct(0, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=1, **common)
    planes.PixelData = shown.transpose(2, 0, 1).tobytes() + SECRET + b"\0"
    planes.ICCProfile = SECRET
    data, after = deidentified_bytes("a", to_bytes(planes), ME)
    assert b"Muster" not in data
    assert np.array_equal(np.frombuffer(after.PixelData, np.uint8).reshape(shown.shape), shown)
    indices = rng.integers(0, 16, (12, 16), dtype=np.uint8)
    table = rng.integers(0, 256, (3, 16), dtype=np.uint8)
    palette = ct(0, SamplesPerPixel=1, PhotometricInterpretation="PALETTE COLOR", **common)
    palette.PixelData = indices.tobytes()
    for name, row in zip(("Red", "Green", "Blue"), table, strict=True):
        setattr(palette, f"{name}PaletteColorLookupTableDescriptor", [16, 0, 8])
        setattr(palette, f"{name}PaletteColorLookupTableData", row.tobytes())
    data, after = deidentified_bytes("a", to_bytes(palette), ME)
    assert b"PaletteColor" not in data
    assert not [e for e in after if "Palette" in e.keyword]
    assert np.array_equal(np.frombuffer(after.PixelData, np.uint8).reshape(12, 16, 3), table.T[indices])
    palette.BluePaletteColorLookupTableData = row.tobytes() + 2 * SECRET
    with pytest.raises(InputError, match="46 bytes for 16 entries"):
        deidentify(palette, ME, "a")
    lut = change(Dataset(), LUTDescriptor=[16, 0, 16], ModalityLUTType="US", LUTData=SECRET + b"\0")
    with pytest.raises(InputError, match="ModalityLUTSequence"):
        deidentify(change(ct(0), ModalityLUTSequence=[lut]), ME, "a")
    with pytest.raises(InputError, match="4 samples"):
        deidentify(ct(0, SamplesPerPixel=4, PhotometricInterpretation="ARGB"), ME, "a")


def test_a_block_that_looks_like_ours():
    good = ct(0, PixelSpacing=[0.8, 0.8])
    for water, sides, stay in ((0.0193, 0.8, [1, 2]), (struct.unpack("<d", b"Zq0001xv")[0], 0.7, []),
                               (struct.unpack("<d", b"AnnaLi\x90\x3f")[0], 0.8, [2])):  # fmt: skip
        block = good.private_block(0x0071, "CTRECON", create=True)
        block.add_new(1, "FD", water)
        block.add_new(2, "FD", sides)
        after = deidentify(good, ME, "a")
        assert [e.tag.element & 0xFF for e in after if e.tag.is_private and not e.tag.is_private_creator] == stay
    assert not [e for e in deidentify(good, ME, "a", Options(safe_private=False)) if e.tag.is_private]
    listed = ct(0)
    listed.private_block(0x0045, "GEMS_HELIOS_01", create=True).add_new(1, "SS", 64)
    listed.private_block(0x0045, "GEMS_HELIOS_01").add_new(2, "FL", struct.unpack("<f", b"Anna")[0])
    listed.private_block(0x0045, "GEMS_HELIOS_01").add_new(3, "LO", "Anna")
    after = deidentify(listed, ME, "a")
    assert [(e.tag.element, e.value) for e in after.group_dataset(0x45)] == [(0x10, "GEMS_HELIOS_01"), (0x1001, 64)]


def test_options_and_their_codes():
    ds = ct(0, SeriesDescription="Thorax Li 2.0mm B30f axial of Bo", ProtocolName="for Anna", PatientName="Li^Thorax",
            StudyDescription="CT chest with contrast")  # fmt: skip
    after = deidentify(ds, ME, "a", Options(clean_descriptors=True))
    assert after.SeriesDescription == "2.0mm B30f axial of"  # names go, even where they are known words
    assert after.ProtocolName == "for"
    assert after.StudyDescription == "CT chest with contrast"
    kept = deidentify(ds, ME, "a", Options(retain_uids=True))
    assert kept.SOPInstanceUID == ds.SOPInstanceUID
    assert deidentify(ds, ME, "a").SOPInstanceUID != ds.SOPInstanceUID
    wrong = change(ct(0), FrameOfReferenceUID="1.2.Anna")
    assert "Anna" not in deidentify(wrong, ME, "a", Options(retain_uids=True)).FrameOfReferenceUID
    for options, codes in ((ALL, ["113100", "113105", "113110", "113111"]), (Options(safe_private=False), ["113100"])):
        items = deidentify(ds, ME, "a", options).DeidentificationMethodCodeSequence
        assert [item.CodeValue for item in items] == codes
        assert [item.CodeMeaning for item in items] == [MEANINGS[code] for code in codes]


def test_the_report_says_what_was_changed_and_no_value(tmp_path):
    ds = ct(0, SeriesDescription="Muster Li")
    ds.private_block(0x0099, "MUSTER INC", create=True).add_new(1, "LO", "Muster")
    changes = Changes()
    deidentify(ds, ME, "a", None, changes)
    rows = {(row["keyword"], row["action"]): row["count"] for row in changes.rows()}
    private = [row["tag"] for row in changes.rows() if row["keyword"] == "private"]
    assert rows["PatientName", "emptied"] == 1
    assert rows["SeriesDescription", "removed"] == 1
    assert rows["SOPInstanceUID", "new UID"] == 1
    assert private == ["0099,0010", "0099,1001"]
    assert "Muster" not in json.dumps(changes.rows())
    folder, report = save(tmp_path / "in", ds, ct(1)), tmp_path / "changes.json"
    arguments = ["dicom", "deidentify", str(folder), str(tmp_path / "out"), "--report", str(report), "--retain-uids"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told = json.loads(report.read_text())
    assert {row["keyword"] for row in told["changes"]} >= {"PatientName", "SeriesDescription"}
    assert told["codes"] == ["113100", "113110", "113111"]
    assert "Muster" not in report.read_text()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
def test_dciodvfy_finds_no_new_errors_in_public_files(tmp_path, data_dir):
    def errors(data: bytes) -> set[str]:
        path = tmp_path / "x.dcm"
        path.write_bytes(data)
        run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
        return {line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")}

    folder = data_dir / "dicom" / "transfer_syntaxes"
    kinds = ("JPEGProcess14SV1", "JPEG2000Lossless", "JPEGLSLossless", "RLELossless", "BigEndian", "JPEGProcess1T")
    for kind in kinds:
        data = next(folder.glob(f"*{kind}*")).read_bytes()
        assert errors(deidentified_bytes("a", data, ME)[0]) <= errors(data), kind
    for path in sorted((data_dir / "ct_slices" / "tcga_luad").glob("*/*"))[::16]:
        data = path.read_bytes()
        assert errors(deidentified_bytes("a", data, ME, ALL)[0]) <= errors(data), path
