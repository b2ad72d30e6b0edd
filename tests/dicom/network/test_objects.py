"""Whose an object is, read in bounded memory from whatever a sender made of it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from pacs_objects import ct, uid
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ctrecon.dicom.network.arriving_file import file_header
from ctrecon.dicom.network.objects import header_in, read_header
from ctrecon.errors import InputError

SEQUENCE = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
ITEM, END = b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def element(group: int, number: int, text: str) -> bytes:
    value = text.encode() + b"\0" * (len(text) % 2)
    return bytes([group, 0, number, 0]) + b"UI" + len(value).to_bytes(2, "little") + value


def with_inside(inside: bytes, instance: str = "1.2.3") -> bytes:
    """An object with something in front of its study and series."""
    first = file_header(CTImageStorage, instance, ExplicitVRLittleEndian) + element(8, 0x16, CTImageStorage)
    return first + element(8, 0x18, "1.2.3") + inside + element(0x20, 0x0D, "1.2.4") + element(0x20, 0x0E, "1.2.5")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_header_says_what_the_data_set_says(syntax: str, tmp_path: Path) -> None:
    data = dcmread(ct(tmp_path / "1.dcm"))
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9"
    inner.StudyInstanceUID = "9.8"  # of another study: not this object's
    data.ReferencedImageSequence = [inner, inner]
    data.file_meta.TransferSyntaxUID = syntax
    del data.PixelData  # whose byte order would have to change
    plain = Dataset()
    plain.update(data)
    plain.file_meta = data.file_meta
    dcmwrite(tmp_path / "2.dcm", plain, enforce_file_format=True)
    found = read_header(tmp_path / "2.dcm")
    assert (found.study, found.series) == (uid("study", 1), uid("series", 1, 1))
    assert (found.sop_class, found.sop_instance) == (CTImageStorage, uid("instance", 1, 1, 1))
    assert found.transfer_syntax == syntax


@pytest.mark.long
def test_many_items_and_deep_ones_take_no_memory(tmp_path: Path) -> None:
    cases = {
        "many": (SEQUENCE + ITEM * 600_000 + END, "more than 500000"),
        "deep": ((SEQUENCE + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 5000, "nested more than 64"),
        "long": (b"\x08\0\x50\0SH\xff\xff", "claims 65535 bytes"),
        "cut": (SEQUENCE + ITEM, "cannot stand there"),
    }
    for name, (inside, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(with_inside(inside))
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match=words):
                read_header(path)
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()
    assert header_in(with_inside(SEQUENCE + ITEM * 1000 + END), tmp_path).study == "1.2.4"


def test_a_uid_without_end_and_another_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 64"):
        header_in(with_inside(b"").replace(element(0x20, 0x0D, "1.2.4"), element(0x20, 0x0D, "1" * 5000)), tmp_path)
    with pytest.raises(InputError, match="tampered"):
        header_in(with_inside(b"", instance="1.2.9"), tmp_path)
    for content in (b"", b"DICM", bytes(128) + b"DICM", with_inside(b"")[:200], with_inside(b"")[:-3]):
        path = tmp_path / "cut"
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_header(path)
