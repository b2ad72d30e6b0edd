"""A file beside what its data set says: nothing in it that another program may read as another image.

A preamble can be the head of another format (PS3.10, 7.1), the header of the file can name another object than the data
set, an element that comes twice is read by some programs as the first and by others as the last, one of another kind of
value (the spacing as UN) is skipped by some, a length or a transfer syntax that is not true leads some elsewhere, and
lengths of groups, reserved bytes and what is behind the pixels have room for more.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from ctrecon.certificates.verify import Refused, require
from ctrecon.dicom.common.pixels import NATIVE
from ctrecon.dicom.common.structure import LONG_VRS, Encoding, Header, elements, read_header, tag_name
from ctrecon.errors import InputError
from ctrecon.support.text import printable

_META_AT, _META_LENGTH, _ITEM, _DELIMITERS = 132, 0x00020000, 0xFFFEE000, 0xFFFE0000
_ITEM_BYTES = b"\xfe\xff\x00\xe0"
_OTHER_PIXELS = ("FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL")


def check_file(path: Path, ds: Dataset) -> None:
    """Compare a file with the data set that was read from it.

    Args:
        path: The file.
        ds: What pydicom made of it.

    Raises:
        Refused: Where the preamble is not empty, the header is another object's, an element comes twice, out of
            order, as another kind of value or as none, there are more bytes than pixels, or lengths, tables of
            offsets or a transfer syntax lead elsewhere than to what was read.
        OSError: Where it cannot be read again.
    """
    meta = getattr(ds, "file_meta", Dataset())
    for own, named in (("SOPInstanceUID", "MediaStorageSOPInstanceUID"), ("SOPClassUID", "MediaStorageSOPClassUID")):
        require(meta.get(named) == ds.get(own), f"the file's header has another {named} than its data set {own}")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        require(data[:128] == bytes(128), "its preamble is not empty: another program may read another file from it")
        syntax = str(meta.get("TransferSyntaxUID"))
        require(
            "PixelData" in ds or syntax in NATIVE,
            f"its transfer syntax {printable(syntax)[:64]} is none without pixels: programs read it otherwise",
        )
        encoding = Encoding(explicit=syntax != ImplicitVRLittleEndian, little=syntax != ExplicitVRBigEndian)
        try:
            _check_order(path.name, data, encoding)
        except InputError as why:
            raise Refused(str(why).removeprefix(f"{path.name}: ")) from None
    shown = [name for name in _OTHER_PIXELS if name in ds]
    require(not shown, f"{', '.join(shown)} was added, which other programs may show instead of its pixels")
    if "PixelData" in ds and meta.TransferSyntaxUID.is_compressed:
        _check_frames(ds)
    else:
        require("ExtendedOffsetTable" not in ds, "ExtendedOffsetTable was added: it has no compressed frames")
        _check_length(ds)


def _check_order(name: str, data: mmap.mmap, encoding: Encoding) -> None:
    """Elements stand in the order of their tags, each once (PS3.5, 7.1), and as the standard writes them."""
    before = dict[int, int]()
    for depth, header in elements(name, data, _data_set_at(name, data), encoding):
        if header.tag == _ITEM:
            before[depth + 1] = -1
        elif header.tag < _DELIMITERS:
            require(header.tag > before.get(depth, -1), f"{tag_name(header.tag)} comes twice, or out of order")
            before[depth] = header.tag
            _check_representation(header, data)


def _data_set_at(name: str, data: mmap.mmap) -> int:
    """Where the file's header ends; its length says the same (PS3.10, 7.1)."""
    at, before, stated = _META_AT, 0, 0
    while data[at : at + 2] == b"\x02\x00":
        header = read_header(name, data, at, Encoding(explicit=True, little=True))
        require(header.tag > before, f"{tag_name(header.tag)} comes twice, or out of order")
        _check_representation(header, data)
        before, at = header.tag, header.value_at + header.length
        if header.tag == _META_LENGTH:
            stated = at + struct.unpack_from("<L", data, header.value_at)[0]
    require(at == stated, "the length of its header (0002,0000) does not lead to the data set: some begin elsewhere")
    return at


def _check_representation(header: Header, data: mmap.mmap) -> None:
    """An attribute is written as the kind of value that the standard says (PS3.6): others are skipped or misread.

    So are the lengths of groups (PS3.5, 7.2), which nobody shows and nothing is compared with.
    """
    named = keyword_for_tag(header.tag) or tag_name(header.tag)
    require(not header.nameless, f"{named} is written without its kind of value: programs read on elsewhere")
    reserved = data[header.value_at - 6 : header.value_at - 4] if header.vr in LONG_VRS else bytes(2)
    require(reserved == bytes(2), f"{named} has bytes where none may be")
    if header.tag & 0xFFFF == 0:
        right = header.length == 4 and header.vr in (b"", b"UL")
        require(right, f"{named} is the length of a group, and holds something else")
        return
    if not header.vr or not dictionary_has_tag(header.tag):
        return
    known = dictionary_VR(header.tag)
    written = header.vr.decode("ascii", "replace")
    require(written in known.split(" or "), f"{named} is written as {written}, not {known}: programs read it otherwise")


def _check_length(ds: Dataset) -> None:
    """As many bytes of pixels as there are pixels, where they are not compressed."""
    if "PixelData" not in ds:
        return
    bits = ds.Rows * ds.Columns * int(ds.get("NumberOfFrames", 1)) * ds.SamplesPerPixel * ds.BitsAllocated
    wanted = (bits + 7) // 8
    found = len(ds.PixelData)
    require(found == wanted + wanted % 2, f"PixelData has {found} bytes, its pixels {wanted}")


def _check_frames(ds: Dataset) -> None:
    """Every frame begins where the tables of offsets say, so that all programs find the same (PS3.5, A.4)."""
    data, at = ds.PixelData, 0
    items: list[tuple[int, int]] = []
    while data[at : at + 4] == _ITEM_BYTES:
        (length,) = struct.unpack_from("<L", data, at + 4)
        items.append((at, length))
        at += 8 + length
    require(len(items) > 1 and at <= len(data), "its compressed pixels are in no fragments, or cut off")
    (_, table_bytes), *fragments = items
    starts = [place - 8 - table_bytes for place, _ in fragments]
    frames = int(ds.get("NumberOfFrames") or 1)
    tables = [np.frombuffer(data, "<u4", table_bytes // 4, 8).tolist()] if table_bytes else []
    if "ExtendedOffsetTable" in ds:
        tables.append(np.frombuffer(ds.ExtendedOffsetTable, "<u8").tolist())
    for table in tables:
        right = len(table) == frames and table[0] == 0 and table == sorted(set(table)) and set(table) <= set(starts)
        require(right, "its table of offsets is wrong: other programs may show another frame")
    require(bool(tables) or frames in (1, len(fragments)), f"its {frames} frames are in {len(fragments)} fragments")
