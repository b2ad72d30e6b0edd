"""Whether the bytes of a DICOM file hang together, before anything is built from them.

Libraries read damaged files leniently: what ends early is filled or dropped in silence, and sequences in sequences
are followed until the stack ends. This walk over the element headers (PS3.5, chapter 7) keeps its own stack, reads no
value, and says at which byte something is wrong.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR

from ctrecon.errors import InputError

Bytes = bytes | mmap.mmap
MAX_DEPTH = 64
MAX_ELEMENTS = 500_000
UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END, _PIXEL_DATA = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


@dataclass(frozen=True)
class Encoding:
    """How elements are written: with or without their value representation, and in which byte order."""

    explicit: bool
    little: bool


@dataclass(frozen=True)
class Header:
    """One element's header: its ``tag`` (group and element in one number), where its value begins, its length.

    ``nameless``: no value representation stands where all others have theirs.
    """

    tag: int
    vr: bytes
    value_at: int
    length: int
    nameless: bool = False


@dataclass(frozen=True)
class _Open:
    """A level that has begun: of items (``sequence``), of fragments, or of elements; ``end`` None until a delimiter."""

    kind: str
    end: int | None
    encoding: Encoding


def tag_name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read_header(name: str, data: Bytes, at: int, encoding: Encoding) -> Header:
    """The header at byte ``at``. Raises InputError where the file ends inside it."""
    if len(data) - at < 8:
        raise InputError(f"{name}: ends inside a tag at byte {at}; the file is cut off, copy it again")
    order = "<" if encoding.little else ">"
    group, element, length = struct.unpack_from(order + "HHL", data, at)
    tag = (group << 16) | element
    vr = data[at + 4 : at + 6]
    # Items have no value representation, and some writers leave it out of sequences, too.
    if not encoding.explicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
        return Header(tag, b"", at + 8, length, nameless=encoding.explicit and group != 0xFFFE)
    if vr not in LONG_VRS:
        return Header(tag, vr, at + 8, struct.unpack_from(order + "H", data, at + 6)[0])
    if len(data) - at < 12:
        raise InputError(f"{name}: ends inside the tag {tag_name(tag)} at byte {at}; it is cut off, copy it again")
    return Header(tag, vr, at + 12, struct.unpack_from(order + "L", data, at + 8)[0])


def check_structure(name: str, data: bytes, start: int, encoding: Encoding) -> None:
    """Walk over all elements from byte ``start`` to the end. Raises InputError as ``elements`` does."""
    for _ in elements(name, data, start, encoding):
        pass


def elements(name: str, data: Bytes, start: int, encoding: Encoding) -> Iterator[tuple[int, Header]]:
    """The header of every element from byte ``start`` to the end, and how deep it stands: 1 in the data set itself.

    ``data`` may be a file that is mapped into memory: no value is touched. Each header is given before the walk
    goes on, so that who needs no more may stop. Raises InputError where an element claims more than there is, items
    and delimiters do not match, sequences are nested deeper than ``MAX_DEPTH``, or there are more than
    ``MAX_ELEMENTS``.
    """
    _check_byte_order(name, data, start, encoding)
    levels = [_Open("dataset", len(data), encoding)]
    at = start
    for _ in range(MAX_ELEMENTS):
        while levels and levels[-1].end == at:
            levels.pop()
        if not levels:
            return
        level = levels[-1]
        if at == len(data):
            raise InputError(f"{name}: ends inside a sequence; the file is cut off, copy it again")
        header = read_header(name, data, at, level.encoding)
        yield len(levels), header
        limit = next(open_.end for open_ in reversed(levels) if open_.end is not None)
        at = header.value_at
        if header.tag in (_ITEM_END, _SEQUENCE_END):
            levels.pop()
            if level.end is not None or (header.tag == _ITEM_END) != (level.kind == "dataset"):
                raise InputError(f"{name}: a delimiter at byte {at - 8} ends nothing; the file is damaged")
            continue
        if (level.kind == "dataset") == (header.tag == _ITEM):
            raise InputError(
                f"{name}: the tag {tag_name(header.tag)} at byte {at - 8} cannot stand there; the file is damaged"
            )
        inner = _inside(name, header, level)
        if header.length != UNDEFINED and header.length > limit - at:
            raise InputError(
                f"{name}: {tag_name(header.tag)} at byte {at} claims {header.length} bytes where {max(limit - at, 0)} "
                "are left; the file is damaged or cut off"
            )
        if inner is None:
            at += header.length
        else:
            levels.append(inner)
            if len(levels) > 2 * MAX_DEPTH:
                raise InputError(f"{name}: sequences are nested more than {MAX_DEPTH} deep; nothing real is, refused")
    raise InputError(f"{name}: holds more than {MAX_ELEMENTS} elements, which no image needs; refused")


def _inside(name: str, header: Header, level: _Open) -> _Open | None:
    """The level that an element opens, or None where its value is just bytes."""
    end = None if header.length == UNDEFINED else header.value_at + header.length
    if level.kind == "sequence":
        return _Open("dataset", end, level.encoding)
    if level.kind == "dataset":
        if header.tag == _PIXEL_DATA and end is None:
            return _Open("fragments", None, level.encoding)
        is_sequence = header.vr == b"SQ" or (not header.vr and _dictionary_vr(header.tag) == "SQ")
        if header.vr == b"UN" and end is None:
            # PS3.5, 6.2.2: a sequence whose representation was lost is in implicit little endian.
            return _Open("sequence", None, Encoding(explicit=False, little=True))
        if is_sequence or (end is None and not header.vr):
            return _Open("sequence", end, level.encoding)
    if end is None:
        raise InputError(f"{name}: {tag_name(header.tag)} has no length, which only sequences may; the file is damaged")
    return None


def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


def _check_byte_order(name: str, data: Bytes, start: int, encoding: Encoding) -> None:
    if len(data) - start < 8:
        return
    order, other = ("<", ">") if encoding.little else (">", "<")
    group, swapped = (struct.unpack_from(o + "H", data, start)[0] for o in (order, other))
    if group >= 0x0100 and swapped <= 0x0040:
        raise InputError(
            f"{name}: the byte order is not the one that its transfer syntax says (first group {group:04X}); "
            "write the file again with the right transfer syntax"
        )
