"""Bad DICOM input: one clear line, exit code 2, nothing written, whatever is wrong; names in files stay there."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import change, ct, element, enhanced, raw_file, stored, to_bytes
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from ctrecon.cli.main import cli

GOOD = to_bytes(ct(0))
PIXELS_AT = GOOD.index(b"\xe0\x7f\x10\x00OW")


def nested(levels: int) -> bytes:
    """Sequences within sequences, of undefined length, then a plain slice's elements are not even reached."""
    opened = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return raw_file(opened * levels + closed * levels)


@cache
def bomb(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = element(0x7FE0, 0x10, b"OW", b"", length=size)
    block = bytes(1 << 20)
    packed = packer.compress(head) + b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    return raw_file(packed, b"1.2.840.10008.1.2.1.99")


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "text")
    return stream.getvalue()


def compressed(frame: bytes, syntax: str, **changes) -> bytes:
    ds = ct(0, **changes)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return to_bytes(ds)


def of(**changes) -> Callable[[], bytes]:
    return lambda: to_bytes(ct(0, **changes))


def raw_text(keyword: str, vr: bytes, tag: tuple[int, int], value: bytes) -> Callable[[], bytes]:
    """A value that no library writes, in the place of a good one."""

    def make() -> bytes:
        ds = ct(0)
        good = ds[keyword]
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        write_data_element(stream, good)
        return GOOD.replace(stream.getvalue(), element(*tag, vr, value + b" " * (len(value) % 2)))

    return make


J2K = "1.2.840.10008.1.2.4.90"
GARBAGE = np.random.default_rng(3).bytes(4000)
SIZ = struct.pack(">HHHLLLLLLLLH", 0xFF51, 41, 0, 16, 12, 0, 0, 16, 12, 0, 0, 1) + bytes((15, 1, 1))

CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"Dear colleague,\nplease find attached " * 9, "is a text file"),
    "zip": (zipped, "is a zip archive that is not named .zip"),
    "no preamble": (lambda: GOOD[132:], "without its preamble"),
    "ends in a tag": (lambda: GOOD[: PIXELS_AT + 3], "ends inside a tag"),
    "ends in a long header": (lambda: GOOD[: PIXELS_AT + 9], "ends inside the tag (7FE0,0010)"),
    "ends in the file meta": (lambda: GOOD[:160], "ends inside"),
    "short pixel data": (lambda: GOOD[:-50], "(7FE0,0010)"),
    "fewer pixels than declared": (of(PixelData=stored()[:6].tobytes()), "has 192 bytes of pixel data where"),
    "length 0xFFFFFFF0": (
        lambda: GOOD[: PIXELS_AT + 8] + struct.pack("<L", 0xFFFFFFF0) + GOOD[PIXELS_AT + 12 :],
        "claims 4294967280 bytes",
    ),
    "65535 x 65535": (of(Rows=65535, Columns=65535), "claims 65535 x 65535 pixels"),
    "no PixelData": (of(PixelData=None), "has no pixel data"),
    "wrong endian": (lambda: GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), "byte order"),
    "unknown transfer syntax": (
        lambda: GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"), "1.2.840.10008.1.2.7 is not known",
    ),
    "video": (lambda: compressed(b"\0" * 100, "1.2.840.10008.1.2.4.102"), "1.2.840.10008.1.2.4.102 (MPEG-4"),
    "no transfer syntax": (lambda: bytes(128) + b"DICM" + element(8, 0x60, b"CS", b"CT"), "no transfer syntax"),
    "deflate bomb": (lambda: bomb(300 << 20), "decompression bomb"),
    "damaged deflate": (lambda: raw_file(b"\xff" * 90, b"1.2.840.10008.1.2.1.99"), "deflated data are damaged"),
    "5,000 nested sequences": (lambda: nested(5000), "nested more than 64 deep"),
    "garbage JPEG 2000": (lambda: compressed(GARBAGE, J2K), "no JPEG or JPEG 2000 stream"),
    "garbage in a JPEG 2000": (lambda: compressed(b"\xff\x4f" + SIZ + GARBAGE, J2K), "cannot be decoded"),
    "huge JPEG 2000": (
        lambda: compressed(b"\xff\x4f\xff\x51" + bytes(4) + struct.pack(">LL", 1 << 31, 1 << 31) + bytes(32), J2K),
        "2147483648 x 2147483648",
    ),
    "a large picture in few bytes": (
        lambda: compressed(GARBAGE, "1.2.840.10008.1.2.5", Rows=16000, Columns=16000), "decompression bomb",
    ),
    "garbage JPEG": (lambda: compressed(b"\xff\xd8" + GARBAGE, "1.2.840.10008.1.2.4.70"), "no JPEG"),
    "garbage RLE": (lambda: compressed(GARBAGE, "1.2.840.10008.1.2.5"), "cannot be decoded"),
    "100,000 frames": (of(NumberOfFrames=100000), "has 384 bytes of pixel data where 100000 frames"),
    "more frames than pixels": (
        lambda: to_bytes(change(enhanced(), PixelData=stored().tobytes())),
        "has 384 bytes of pixel data where 3 frames",
    ),
    "frames without positions": (
        lambda: to_bytes(change(enhanced(), PerFrameFunctionalGroupsSequence=None)), "3 frames without positions",
    ),
    "more frames than described": (
        lambda: to_bytes(change(enhanced(), NumberOfFrames=2)), "describes 3 frames and claims 2",
    ),
    "no RescaleSlope": (of(RescaleSlope=None), "no RescaleSlope"),
    "RescaleSlope 0": (of(RescaleSlope="0"), "RescaleSlope 0"),
    "RescaleSlope is text": (raw_text("RescaleSlope", b"DS", (0x28, 0x1053), b"steep "), "RescaleSlope"),
    "RescaleSlope is NaN": (raw_text("RescaleSlope", b"DS", (0x28, 0x1053), b"NaN "), "finite"),
    "position is infinite": (
        raw_text("ImagePositionPatient", b"DS", (0x20, 0x32), b"0\\inf\\1e999 "), "ImagePositionPatient",
    ),
    "not in HU": (of(RescaleType="Z_EFF"), "not in HU (RescaleType 'Z_EFF')"),
    "signed marked unsigned": (
        of(PixelData=(stored() - 2000).tobytes(), PixelRepresentation=0), "declared wrongly",
    ),
    "PixelSpacing 0": (of(PixelSpacing=[0, 0.8]), "PixelSpacing must be two lengths > 0"),
    "no PixelSpacing": (of(PixelSpacing=None), "has no PixelSpacing"),
    "no orientation": (of(ImageOrientationPatient=None), "has no ImageOrientationPatient"),
    "skew orientation": (of(ImageOrientationPatient=[1, 0, 0, 0.5, 1, 0]), "two unit vectors at right angles"),
    "short orientation": (of(ImageOrientationPatient=[1, 0, 0]), "must be 6 finite numbers"),
    "no position": (of(ImagePositionPatient=None), "has no ImagePositionPatient"),
    "colour": (
        of(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8,
           HighBit=7), "is a colour image (RGB)",
    ),
    "bits that do not fit": (of(BitsStored=12, HighBit=15), "do not fit together"),
    "no CT": (of(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR"), "is no CT image"),
    "long string in a number": (
        raw_text("SliceThickness", b"DS", (0x18, 0x50), b"9" * 60000), "SliceThickness",
    ),
}  # fmt: skip

BENIGN = {
    "bad character set": of(SpecificCharacterSet="ISO_IR 666"),
    "undecodable text": raw_text("PatientName", b"PN", (0x10, 0x10), b"\xff\xfe\xc3\x28"),
    "a UID that is a path": of(SOPInstanceUID="../../x", SeriesInstanceUID="../../../../etc/x"),
    "long strings": of(PatientName="M" * 60000, InstitutionName="I" * 60000),
    "control characters": of(PatientName="A\r\nB\x1b[2J<script>alert(1)</script>", SeriesDescription="\x1b]0;x\x07"),
    "NaN where nobody needs it": raw_text("KVP", b"DS", (0x18, 0x60), b"NaN "),
}


def simulate(tmp_path: Path, content: bytes):
    path = tmp_path / "given.dcm"
    path.write_bytes(content)
    scan = tmp_path / "scan.npz"
    return CliRunner().invoke(cli, ["simulate", "--from-dicom", str(path), "--views", "8", "-o", str(scan)])


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path):
    make, said = CASES[name]
    result = simulate(tmp_path, make())
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert result.output.count("\n") == 1
    assert len(result.output) < 600
    assert "Traceback" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.dcm"]


@pytest.mark.parametrize("name", BENIGN)
def test_what_does_not_concern_the_image_does_not_stop_it_and_is_not_printed(name, tmp_path):
    result = simulate(tmp_path, BENIGN[name]())
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.dcm", "scan.npz", "scan.truth.npy"]
    assert result.output.isascii()
    assert "\x1b" not in result.output
    assert "script" not in result.output
    assert len(result.output) < 1000


def test_a_text_that_is_quoted_is_made_printable(tmp_path):
    result = simulate(tmp_path, to_bytes(ct(0, RescaleType="\x1b[2J<b>\r\n" + "X" * 900)))
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    assert len(result.output) < 2000
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("name", ["empty", "length 0xFFFFFFF0", "5,000 nested sequences", "RescaleSlope is text"])
def test_deidentify_refuses_damaged_files_and_leaves_nothing(name, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(CASES[name][0]())
    result = CliRunner().invoke(cli, ["dicom", "deidentify", str(tmp_path / "in" / "a.dcm"), str(tmp_path / "out")])
    if name == "RescaleSlope is text":
        # What is no number is still no name; it is the reader's to refuse.
        assert result.exit_code in (0, 2)
        return
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


LIMITED = """
import resource, sys, time
from pathlib import Path
import ctrecon.dicom.images.images as images
from ctrecon.errors import InputError
base = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (base + (1 << 30),) * 2)
for path in sys.argv[1:]:
    began = time.process_time()
    try:
        images.read_volume(Path(path))
        print("READ", path)
    except InputError as error:
        assert "MemoryError" not in str(error), error
    assert time.process_time() - began < 30, path
# Not ru_maxrss: that one remembers the size of the process that started this one.
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.long
def test_the_worst_stay_within_a_gibibyte_and_five_seconds(tmp_path):
    worst = ("length 0xFFFFFFF0", "65535 x 65535", "deflate bomb", "5,000 nested sequences", "huge JPEG 2000",
             "100,000 frames", "garbage in a JPEG 2000", "a large picture in few bytes",
             "long string in a number")  # fmt: skip
    many = raw_file(element(8, 0x60, b"CS", b"CT") * 700_000)
    paths = []
    for k, content in enumerate([*(CASES[name][0]() for name in worst), many]):
        paths.append(tmp_path / f"{k}.dcm")
        paths[-1].write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, paths)], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "READ" not in run.stdout
    # A small file that grows a thousandfold would show here.
    assert int(run.stdout) < 1 << 20


def test_archives_that_lie(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(100 << 20))
    result = CliRunner().invoke(cli, ["simulate", "--from-dicom", str(path), "-o", str(tmp_path / "scan.npz")])
    assert result.exit_code == 2
    assert "decompression bomb" in result.output
    path.write_bytes(b"PK\x03\x04 and no more")
    result = CliRunner().invoke(cli, ["simulate", "--from-dicom", str(path), "-o", str(tmp_path / "scan.npz")])
    assert result.exit_code == 2
    assert "no zip archive that can be read" in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["bomb.zip"]
