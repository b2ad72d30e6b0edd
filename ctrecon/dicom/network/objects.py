"""Objects in files: whose they are, what they are called on disk, and how one that arrives is kept."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from ctrecon.dicom.common.structure import LONG_VRS, Bytes, Encoding, elements
from ctrecon.errors import InputError

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_TAGS = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_MEDIA_CLASS, _MEDIA_INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_META = (_MEDIA_CLASS, _MEDIA_INSTANCE, _SYNTAX)
_MOST_UID = 128  # padded, and by writers who miscount
DEFLATED = "1.2.840.10008.1.2.1.99"


class MismatchError(InputError):
    """File header, or what was announced, and data set name different objects."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the network needs to know of an object; ``study`` and ``series`` are empty where they were not read."""

    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    study: str = ""
    series: str = ""


def name_for(uid: str) -> str:
    """The name on disk of whatever ``uid`` identifies: 32 hexadecimal digits, whatever the text is.

    No path is ever built from a UID: it is text from outside, and ``../..`` is text.
    """
    return hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_header(path: Path) -> Header:
    """Of a DICOM file, without its pixels and in bounded memory. Raises InputError.

    Of a deflated data set only the file's own header is read: its size unpacked is not known before.
    """
    try:
        with path.open("rb") as stream:
            if path.stat().st_size < 132:
                raise InputError(f"{path}: not a DICOM file: no DICM after 128 bytes")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return header_in(data, path)
    except (OSError, ValueError) as why:
        raise InputError(f"{path}: cannot be read: {type(why).__name__}") from None


def header_in(data: Bytes, path: Path) -> Header:
    """The same of the beginning of a file; ``path`` is what it is called. Raises InputError.

    The element headers are walked over and four values read, nothing else: libraries build an object of each item of
    a sequence, and a file of seven megabytes can hold a million.
    """
    if data[128:132] != b"DICM":
        raise InputError(f"{path}: not a DICOM file: no DICM after 128 bytes")
    meta, at = _uids(data, path, 132, Encoding(explicit=True, little=True), _META)
    syntax = meta.get(_SYNTAX, "")
    if not (meta.get(_MEDIA_CLASS) and meta.get(_MEDIA_INSTANCE) and syntax):
        raise InputError(f"{path}: its file header lacks SOP class, SOP instance or transfer syntax")
    if syntax == DEFLATED:
        return Header(
            path=path, sop_class=meta[_MEDIA_CLASS], sop_instance=meta[_MEDIA_INSTANCE], transfer_syntax=syntax
        )
    encoding = Encoding(explicit=syntax != ImplicitVRLittleEndian, little=syntax != ExplicitVRBigEndian)
    found, _ = _uids(data, path, at, encoding, _TAGS)
    if not (found.get(_SOP_CLASS) and found.get(_SOP_INSTANCE)):
        raise InputError(f"{path}: its data set lacks SOP class or SOP instance; copy it again")
    if (found[_SOP_CLASS], found[_SOP_INSTANCE]) != (meta[_MEDIA_CLASS], meta[_MEDIA_INSTANCE]):
        raise MismatchError(
            f"{path}: the file header and the data set name different objects; the file was tampered with"
        )
    return Header(
        path=path, sop_class=meta[_MEDIA_CLASS], sop_instance=meta[_MEDIA_INSTANCE], transfer_syntax=syntax,
        study=found.get(_STUDY, ""), series=found.get(_SERIES, ""),
    )


def _uids(data: Bytes, path: Path, at: int, encoding: Encoding, tags: tuple[int, ...]) -> tuple[dict[int, str], int]:
    """The values of these tags, and where the first tag beyond their group, or beyond the last of them, stands."""
    found: dict[int, str] = {}
    last = 0x0002FFFF if tags is _META else tags[-1]
    for depth, header in elements(str(path), data, at, encoding):
        if depth > 1:
            continue
        if header.tag > last:
            return found, header.value_at - (12 if header.vr in LONG_VRS else 8)
        if header.tag in tags:
            if header.length > _MOST_UID or header.value_at + header.length > len(data):
                raise InputError(f"{path}: a UID of {header.length} bytes; a UID has at most 64, the file is damaged")
            value = data[header.value_at : header.value_at + header.length]
            found[header.tag] = value.decode("ascii", "replace").strip(" \0")
    return found, len(data)


def headers_of(paths: Iterable[Path]) -> list[Header]:
    """Read the headers of DICOM files, in the order of their names, each object once.

    Args:
        paths: Files and folders. In folders what is no DICOM file is passed over; given by name it is an error.

    Returns:
        What the network needs to know of each.

    Raises:
        InputError: For a file that is no DICOM, a folder without any, or two versions of one object.
    """
    found: dict[str, Header] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink() and is_dicom(p))
            if not inside:
                raise InputError(f"{path}: there is no DICOM file in this folder")
            files = inside
        elif path.is_file():
            files = [path]
        else:
            raise InputError(f"{path}: no such file or folder")
        for file in files:
            header = read_header(file)
            first = found.setdefault(header.sop_instance, header)
            if first is not header and content_digest(first.path) != content_digest(file):
                raise InputError(f"{first.path} and {file} hold different versions of one object; give one of them")
    return list(found.values())


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def sync_file(path: Path) -> None:
    """Bring a file's content to the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk itself, where a folder can be opened (not on Windows)."""
    if os.name != "nt":
        sync_file(path)


def content_digest(path: Path) -> str:
    """32 hexadecimal digits of the SHA-256 of the data set, without the file header, which each node writes anew."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(data_offset(path))
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


def data_offset(path: Path) -> int:
    """Where the data set begins: behind preamble, mark and the group 0002 that gives its own length first."""
    with path.open("rb") as stream:
        head = stream.read(144)
        if head[132:140] == b"\x02\x00\x00\x00UL\x04\x00":
            return 144 + int.from_bytes(head[140:144], "little")
    from pynetdicom.dsutils import split_dataset

    return int(split_dataset(path)[1])


def data_set_bytes(path: Path) -> bytes:
    """The encoded data set of a file, as it is."""
    with path.open("rb") as stream:
        stream.seek(data_offset(path))
        return stream.read()
